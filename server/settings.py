"""Settings of who watches the server, and how."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings

from core.errors import ConfigurationError
from core.settings import CONFIG


class WatchSettings(BaseSettings):
    """Read from `DDB_AGENT_<NAME>` like all settings.

    `metrics_access` says who may read /metrics: everyone, or administrators, or these and whoever is on this machine.
    `worker_metrics_port` is where on this machine a worker without a server shows what it counts.
    `otlp_endpoint` is where traces are sent, as OpenTelemetry over HTTP; without it none are made.
    """

    model_config = CONFIG

    metrics_access: Literal["loopback", "admin", "everyone"] = "loopback"
    worker_metrics_port: int | None = Field(default=None, ge=1, le=65535)
    otlp_endpoint: str | None = Field(
        default=None, validation_alias=AliasChoices("DDB_AGENT_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    )

    @field_validator("otlp_endpoint", "worker_metrics_port", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if isinstance(value, str) and not value.strip() else value


def load_watch_settings() -> WatchSettings:
    """Raises ConfigurationError."""
    try:
        return WatchSettings()
    except ValidationError as error:
        said = "; ".join(f"{item['loc'][0]}: {item['msg']}" for item in error.errors(include_input=False))
        raise ConfigurationError(f"Bad settings: {said}.", "Correct them in the environment or in .env.") from None
