"""Finding items of the store by their meaning: vectors in Postgres, by pgvector."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from langchain_core.embeddings import Embeddings
from langgraph.store.base import TTLConfig, ensure_embeddings
from langgraph.store.postgres.aio import AsyncPostgresStore
from langgraph.store.postgres.base import PostgresIndexConfig

from core.errors import ConfigurationError, UserError
from core.postgres import Pool
from core.settings import read_settings
from rag.embeddings import encoder
from rag.settings import KnowledgeSettings
from server.config import load_object
from server.policies import StoreIndex

logger = logging.getLogger(__name__)

LOCK_KEY = 0x6464625F73746F72
_COMPARISONS = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}


class EmbeddingError(UserError):
    """What makes vectors failed."""

    status = 502


class Store(AsyncPostgresStore):
    """Compares numbers as numbers, and the vectors of a user one by one: an approximate index over everybody's would
    lose those of one among them."""

    VECTOR_MIGRATIONS = tuple(each for each in AsyncPostgresStore.VECTOR_MIGRATIONS if each.condition is None)

    def _get_filter_condition(self, key: str, op: str, value: Any) -> tuple[str, list[Any]]:
        if op not in _COMPARISONS:
            return super()._get_filter_condition(key, op, value)
        _, [_, shown] = super()._get_filter_condition("", "$eq", value)
        same = "jsonb_typeof(value->%s) = jsonb_typeof(%s::jsonb)"
        return f"({same} AND value->%s {_COMPARISONS[op]} %s::jsonb)", [key, shown, key, shown]


async def open_store(
    pool: Pool, ttl: TTLConfig, index: StoreIndex | None = None, directory: Path | None = None
) -> Store:
    """The store over `pool`, with vectors when `index` is given; its tables are made at the first time."""
    if index is None:
        return Store(pool, ttl=ttl)
    embeddings = _Told(await asyncio.to_thread(_embeddings, index, directory or Path.cwd()))
    config = PostgresIndexConfig(dims=index.dims, embed=embeddings, fields=list(index.fields))
    store = Store(pool, ttl=ttl, index=config)
    async with pool.connection() as held:
        await held.execute("SELECT pg_advisory_lock(%s)", (LOCK_KEY,))
        try:
            await Store(held, ttl=ttl, index=config).setup()
            cursor = await held.execute(
                "SELECT atttypmod AS dims FROM pg_attribute WHERE attrelid = 'store_vectors'::regclass"
                " AND attname = 'embedding'"
            )
            row = await cursor.fetchone()
        except (psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile, psycopg.errors.InsufficientPrivilege):
            raise ConfigurationError(
                "store.index needs the extension pgvector, which this Postgres lacks or does not let its user create.",
                "Have it installed (CREATE EXTENSION vector), or remove store.index.",
            ) from None
        finally:
            await held.execute("SELECT pg_advisory_unlock(%s)", (LOCK_KEY,))
    if row is not None and row["dims"] != index.dims:
        raise ConfigurationError(
            f"The vectors of the store have {row['dims']} dimensions, not the {index.dims} of store.index.dims.",
            "Correct it, or drop the tables store_vectors and vector_migrations: items are indexed as they are put.",
        )
    return store


class _Told(Embeddings):
    """Says of an embedding that fails that it did; why is in the log, as it may name what is secret."""

    def __init__(self, embeddings: Embeddings) -> None:
        self._embeddings = embeddings

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        with _telling():
            return self._embeddings.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        with _telling():
            return self._embeddings.embed_query(text)

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        with _telling():
            return await self._embeddings.aembed_documents(texts)

    async def aembed_query(self, text: str) -> list[float]:
        with _telling():
            return await self._embeddings.aembed_query(text)


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        logger.exception("the store's embedding failed")
        raise EmbeddingError(f"The embedding failed: {type(error).__name__}.", "See the server's log.") from error


class _Encoded(Embeddings):
    """The embedding model of the knowledge base."""

    def __init__(self) -> None:
        found = encoder(read_settings(KnowledgeSettings))
        if found is None:
            raise ConfigurationError(
                "store.index names no embedding, and the knowledge base has none.", "Give store.index.embed."
            )
        self._encoder = found

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        found: list[list[float]] = self._encoder.embed(texts).tolist()
        return found

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


def _embeddings(index: StoreIndex, directory: Path) -> Embeddings:
    if index.embed is None:
        return _Encoded()
    if ".py:" in index.embed:
        return ensure_embeddings(load_object(index.embed, directory))
    try:
        return _named(index.embed)
    except ImportError:
        raise ConfigurationError(
            f"store.index.embed {index.embed!r} needs the package langchain and that of its provider.",
            "Install them, or name openai:<model> or ./file.py:function.",
        ) from None
    except Exception as error:  # each provider has errors of its own
        raise ConfigurationError(f"store.index.embed {index.embed!r} cannot be used: {error}") from error


def _named(name: str) -> Embeddings:
    provider, _, model = name.partition(":")
    if provider == "openai" and model:
        from langchain_openai import OpenAIEmbeddings

        return OpenAIEmbeddings(model=model)
    from langchain.embeddings import init_embeddings  # type: ignore[import-not-found]

    found: Embeddings = init_embeddings(name)
    return found
