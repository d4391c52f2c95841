"""LangGraph's Postgres checkpointer over a shared pool."""

from __future__ import annotations

from collections.abc import Iterable

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from core.postgres import Pool


def checkpointer(pool: Pool, allowed_types: Iterable[type] = ()) -> AsyncPostgresSaver:
    """A checkpointer for one run: a saver serialises its own queries, so runs that share one wait for each other.

    Call it in the running event loop. Only plain data, LangChain's messages and `allowed_types` are restored from
    checkpoints; any other type comes back as plain data.
    """
    types = [(kind.__module__, kind.__qualname__) for kind in allowed_types]
    return AsyncPostgresSaver(pool, serde=JsonPlusSerializer(allowed_msgpack_modules=types or None))
