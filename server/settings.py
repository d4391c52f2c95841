"""Settings of who watches the server, and how."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings

from core.settings import CONFIG, empty_is_unset


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

    _empty = field_validator("otlp_endpoint", "worker_metrics_port", mode="before")(empty_is_unset)
