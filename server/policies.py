"""What a langgraph.json says of the store, of threads, of headers and of webhooks, read and checked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from langgraph.store.base import TTLConfig
from pydantic import ValidationError

from core.errors import ConfigurationError
from server.bodies import TimeToLive

MOST_DIMENSIONS = 16_000
# Credentials do not become part of a run, whatever is included.
SECRET_HEADERS = {"authorization", "proxy-authorization", "cookie", "x-api-key", "x-service-key", "x-tenant-id"}
ENVIRONMENT_PREFIX = "LG_WEBHOOK_"
_TEMPLATE = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")


@dataclass(frozen=True)
class StoreIndex:
    """`embed` is `provider:model` or `./file.py:function`; without it the embedding model of the knowledge base is
    used."""

    dims: int
    embed: str | None = None
    fields: tuple[str, ...] = ("$",)


@dataclass(frozen=True)
class HeaderPolicy:
    """Which headers of a request the graphs find in `config["configurable"]`; `*` stands for any characters."""

    includes: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()

    def chosen(self, headers: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in headers.items() if self._includes(name)} if self.includes else {}

    def _includes(self, name: str) -> bool:
        if name in SECRET_HEADERS or any(_matches(pattern, name) for pattern in self.excludes):
            return False
        return any(_matches(pattern, name) for pattern in self.includes)


@dataclass(frozen=True)
class WebhookPolicy:
    """Which addresses may be called when a run ends, and with what. `domains` are hosts or `*.domain`."""

    enabled: bool = True
    https_only: bool = False
    domains: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    longest: int = 65_536
    headers: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[str, ...] = ()

    def names(self, host: str) -> bool:
        return any(host.endswith(domain[1:]) if domain.startswith("*.") else host == domain for domain in self.domains)


def store_ttl(store: Any, path: object) -> TTLConfig:
    """When items of the store expire."""
    given = _part(store, "ttl")
    if not given:
        return TTLConfig()
    minutes = given.get("default_ttl")
    if minutes is not None and (isinstance(minutes, bool) or not isinstance(minutes, int | float) or minutes < 1):
        raise ConfigurationError(f"{path}: store.ttl.default_ttl is a number of minutes, at least 1.")
    return TTLConfig(default_ttl=minutes, refresh_on_read=bool(given.get("refresh_on_read", True)))


def store_index(store: Any, path: object) -> StoreIndex | None:
    """How items of the store are found by meaning."""
    given = _part(store, "index")
    if not given:
        return None
    dims, embed, fields = given.get("dims"), given.get("embed"), given.get("fields") or ["$"]
    if isinstance(dims, bool) or not isinstance(dims, int) or not 1 <= dims <= MOST_DIMENSIONS:
        raise ConfigurationError(f"{path}: store.index.dims is a number of dimensions from 1 to {MOST_DIMENSIONS}.")
    if embed is not None and (not isinstance(embed, str) or ":" not in embed):
        raise ConfigurationError(f"{path}: store.index.embed has the form provider:model or ./file.py:function.")
    return StoreIndex(dims, embed, _texts(fields, f"{path}: store.index.fields"))


def thread_ttl(checkpointer: Any, path: object) -> TimeToLive | None:
    """How long threads live that are made without a time of their own."""
    given = _part(checkpointer, "ttl")
    if not given or given.get("default_ttl") is None:
        return None
    try:
        return TimeToLive(strategy=given.get("strategy") or "delete", ttl=given["default_ttl"])
    except ValidationError as error:
        found = error.errors()[0]
        name = "strategy" if found["loc"] == ("strategy",) else "default_ttl"
        raise ConfigurationError(f"{path}: checkpointer.ttl.{name}: {found['msg']}.") from None


def header_policy(http: Any, path: object) -> HeaderPolicy:
    given = _part(http, "configurable_headers")
    lists = [
        _texts(given.get(f"{name}s") or given.get(name) or [], f"{path}: http.configurable_headers.{name}s")
        for name in ("include", "exclude")
    ]
    return HeaderPolicy(*[tuple(pattern.lower() for pattern in patterns) for patterns in lists])


def webhook_policy(webhooks: Any, http: Any, path: object) -> WebhookPolicy:
    given, rules = webhooks or {}, _part(webhooks, "url")
    ports = rules.get("allowed_ports") or []
    if not all(isinstance(port, int) for port in ports):
        raise ConfigurationError(f"{path}: webhooks.url.allowed_ports is a list of numbers.")
    domains = _texts(rules.get("allowed_domains") or [], f"{path}: webhooks.url.allowed_domains")
    if any("*" in domain and not re.fullmatch(r"\*\.[^*]+", domain) for domain in domains):
        raise ConfigurationError(f"{path}: webhooks.url.allowed_domains has hosts, and *.domain for hosts below one.")
    prefix = given.get("env_prefix") or ENVIRONMENT_PREFIX
    headers = {str(name): _filled(str(value), prefix, path) for name, value in (given.get("headers") or {}).items()}
    return WebhookPolicy(
        enabled=not (http or {}).get("disable_webhooks"),
        https_only=bool(rules.get("require_https", bool(rules))),
        domains=tuple(domain.lower() for domain in domains),
        ports=tuple(ports),
        longest=int(rules.get("max_url_length") or 65_536),
        headers=headers,
        fields=_texts(given.get("allowed_fields") or [], f"{path}: webhooks.allowed_fields"),
    )


def _part(whole: Any, name: str) -> dict[str, Any]:
    found = (whole or {}).get(name) or {}
    return found if isinstance(found, dict) else {}


def _texts(given: Any, name: str) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(item, str) and item for item in given):
        raise ConfigurationError(f"{name} is a list of texts.")
    return tuple(given)


def _matches(pattern: str, name: str) -> bool:
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), name) is not None


def _filled(text: str, prefix: str, path: object) -> str:
    def value(found: re.Match[str]) -> str:
        name = found[1].removeprefix("env.")
        if name == found[1] or not name.startswith(prefix):
            raise ConfigurationError(f"{path}: webhooks.headers may name env.{prefix}… only, not {found[1]}.")
        if name not in os.environ:
            raise ConfigurationError(f"{path}: webhooks.headers names {name}, which is not set.", "Set it.")
        return os.environ[name]

    return _TEMPLATE.sub(value, text)
