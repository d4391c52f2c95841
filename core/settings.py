"""Every setting of the program, read once from the environment and an optional `.env` file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import platformdirs
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.errors import ConfigurationError

Effect = Literal["read", "session", "write", "destroy", "admin"]

PREFIX = "DDB_AGENT_"

CONFIG = SettingsConfigDict(
    env_prefix=PREFIX,
    env_file=".env",
    env_file_encoding="utf-8",
    extra="ignore",
    frozen=True,
    populate_by_name=True,
    hide_input_in_errors=True,
)
"""How all settings are read, those of the other rooms too."""


def _default_data_dir() -> Path:
    return Path(platformdirs.user_data_dir("ddb-agent"))


Group = TypeVar("Group", bound=BaseSettings)


def empty_is_unset(value: object) -> object:
    """For validators: a variable that is set to nothing counts as not set."""
    return None if isinstance(value, str) and not value.strip() else value


def split_commas(value: object) -> object:
    """For validators: a list is written with commas."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


class Settings(BaseSettings):
    """Settings by name; each is read from `DDB_AGENT_<NAME>`. Times are in seconds, sizes in what the name says."""

    model_config = CONFIG

    data_dir: Path = Field(default_factory=_default_data_dir)
    database_url: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("DDB_AGENT_DATABASE_URL", "DATABASE_URL")
    )
    database_pool_size: int = Field(default=10, ge=1, le=500)

    dolphindb_host: str | None = None
    dolphindb_port: int = Field(default=8848, ge=1, le=65535)
    dolphindb_user: str = "admin"
    dolphindb_password: SecretStr = SecretStr("123456")
    engine_idle_seconds: float = Field(default=3600.0, gt=0)
    session_idle_seconds: float = Field(default=1800.0, gt=0)
    max_sessions: int = Field(default=32, ge=1)
    script_timeout: float = Field(default=120.0, gt=0)
    result_row_limit: int = Field(default=100_000, ge=1)

    models: str | None = None
    planner_model: str | None = None
    actor_model: str | None = None

    max_steps: int = Field(default=40, ge=1)
    max_tool_failures: int = Field(default=5, ge=1)
    allowed_effects: Annotated[tuple[Effect, ...], NoDecode] = ("read", "session")
    context_tokens: int = Field(default=32_000, ge=1_000)
    answer_tokens: int = Field(default=4_000, ge=100)
    preview_chars: int = Field(default=6_000, ge=200)

    # `time_zone` says what today is, the machine's own when unset; getMarketCalendar knows the `trading_calendar`.
    rewrite_questions: bool = True
    time_zone: str | None = None
    trading_calendar: str | None = None

    # The HTTP server. `token_secret` signs access tokens; when unset one is made and kept in Postgres.
    run_concurrency: int = Field(default=200, ge=1, le=5000)
    run_lease_seconds: float = Field(default=10.0, ge=1)
    run_attempts: int = Field(default=5, ge=1)
    run_timeout: float = Field(default=3600.0, gt=0)
    drain_seconds: float = Field(default=10.0, ge=0)
    event_retention_seconds: float = Field(default=86_400.0, ge=60)
    run_retention_seconds: float = Field(default=30 * 86_400.0, ge=60)
    request_bytes: int = Field(default=10_000_000, ge=1_000)
    requests_per_minute: int = Field(default=6_000, ge=1)
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    webhook_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    token_secret: SecretStr | None = None
    access_token_seconds: int = Field(default=900, ge=30)
    refresh_token_seconds: int = Field(default=30 * 86_400, ge=60)

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    _empty = field_validator(
        "database_url", "dolphindb_host", "models", "planner_model", "actor_model", "time_zone", "trading_calendar",
        mode="before",
    )(empty_is_unset)  # fmt: skip

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ZoneInfo(value)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise ValueError("no such time zone; use an IANA name such as Asia/Shanghai") from None
        return value

    @field_validator("trading_calendar")
    @classmethod
    def _name_of_calendar(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9_]{1,40}", value):
            raise ValueError("the name of a trading calendar has letters and digits only, such as XSHG")
        return value

    _lists = field_validator("allowed_effects", "cors_origins", "webhook_hosts", mode="before")(split_commas)


def read_settings(kind: type[Group], **overrides: object) -> Group:
    """A group of settings from the environment; `overrides` win.

    Raises ConfigurationError with one line per bad setting. The values themselves are not shown: they may be secret.
    """
    try:
        return kind(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = []
        for item in error.errors(include_url=False, include_input=False, include_context=False):
            name = str(item["loc"][0]) if item["loc"] else "settings"
            variable = name if name.isupper() else PREFIX + name.upper()
            lines.append(f"{variable}: {item['msg']}")
        raise ConfigurationError(
            "Bad settings: " + "; ".join(lines) + ".", "Correct them in the environment or in .env."
        ) from None


def load_settings(**overrides: object) -> Settings:
    """The settings of the program itself, as `read_settings` reads them."""
    return read_settings(Settings, **overrides)
