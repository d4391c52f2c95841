"""Settings of the knowledge base."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

from core.settings import CONFIG, empty_is_unset


def _default_cache_dir() -> Path:
    return Path(platformdirs.user_cache_dir("ddb-agent"))


class KnowledgeSettings(BaseSettings):
    """Read from `DDB_AGENT_<NAME>` like all settings.

    `documentation` is a folder with docs.en.json and docs.zh.json; without it npm fetches the package. `cache_dir` has
    what all knowledge bases of a user share: the fetched package, and vectors by the hash of their text.

    An embedding endpoint is any OpenAI-compatible one: its base URL, a model, and a key. `embedding` none searches by
    words alone; auto takes the endpoint, else the local model, else nothing. `rerank` model spends a call of the
    planner's language model on the order of the passages; local spends none.
    """

    model_config = CONFIG

    documentation: Path | None = None
    cache_dir: Path = Field(default_factory=_default_cache_dir)
    embedding: Literal["auto", "none"] = "auto"
    embedding_url: str | None = None
    embedding_model: str = "text-embedding-3-small"
    embedding_api_key: SecretStr | None = None
    rerank: Literal["local", "model"] = "local"
    embedding_timeout: float = Field(default=60.0, gt=0)

    _empty = field_validator("documentation", "embedding_url", mode="before")(empty_is_unset)

    @field_validator("documentation", "cache_dir")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value is not None else None
