"""`langgraph.json`: which graphs are served, and what is around them."""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from langgraph.store.base import TTLConfig

from core.errors import ConfigurationError
from server.bodies import TimeToLive
from server.policies import (
    HeaderPolicy,
    StoreIndex,
    WebhookPolicy,
    header_policy,
    store_index,
    store_ttl,
    thread_ttl,
    webhook_policy,
)

SUPPORTED = {
    "$schema", "dependencies", "graphs", "env", "http", "auth", "python_version", "api_version", "image_distro",
    "pip_config_file", "dockerfile_lines", "base_image", "node_version", "keep_pkg_tools", "ui", "ui_config",
    "disable_persistence", "disable_webhooks", "checkpointer", "store", "pip_installer", "source", "webhooks",
}  # fmt: skip


UNUSED = (
    *(("http", f"disable_{part}") for part in ("meta", "ui", "a2a", "event_streaming")),
    ("http", "enable_custom_route_auth"),
    ("http", "mount_prefix"),
    ("http", "middleware_order"),
    ("http", "logging_headers"),
    ("auth", "allow_langsmith_api_keys"),
    ("auth", "cache"),
    ("auth", "openapi"),
    ("checkpointer", "path"),
    ("checkpointer", "serde"),
    ("store", "path"),
)
# The parts of the API that http.disable_… leaves out.
PARTS = ("assistants", "threads", "runs", "store", "mcp")

JAVASCRIPT = (".js", ".cjs", ".mjs", ".jsx", ".ts", ".cts", ".mts", ".tsx")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerConfig:
    """`graphs` maps names to `path.py:name` or `module:name`; paths are relative to `directory`."""

    directory: Path
    graphs: dict[str, str]
    descriptions: dict[str, str] = field(default_factory=dict)
    http_app: str | None = None
    cors_origins: tuple[str, ...] = ()
    auth: str | None = None
    studio_auth: bool = False
    store_ttl: TTLConfig = field(default_factory=TTLConfig)
    store_index: StoreIndex | None = None
    thread_ttl: TimeToLive | None = None
    headers: HeaderPolicy = field(default_factory=HeaderPolicy)
    webhooks: WebhookPolicy = field(default_factory=WebhookPolicy)
    disabled: frozenset[str] = frozenset()


def load_config(path: Path) -> ServerConfig:
    """Reads the file and makes its `env` and `dependencies` available to what is imported later."""
    try:
        text = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}.", "Name another one with --config."
        ) from None
    except ValueError as error:
        raise ConfigurationError(f"{path} is not JSON: {error}.") from None
    if not isinstance(text, dict) or not isinstance(text.get("graphs"), dict) or not text["graphs"]:
        raise ConfigurationError(f"{path} names no graphs.", 'Write "graphs": {"name": "./file.py:variable"}.')
    if unknown := set(text) - SUPPORTED:
        raise ConfigurationError(
            f"{path} has settings that are not supported: {', '.join(sorted(unknown))}.", "Remove them."
        )
    directory = path.resolve().parent
    _environment(text.get("env"), directory)
    for dependency in text.get("dependencies", []):
        if isinstance(dependency, str) and dependency.startswith("."):
            folder = str((directory / dependency).resolve())
            if folder not in sys.path:
                sys.path.insert(0, folder)
    graphs, descriptions = {}, {}
    for name, value in text["graphs"].items():
        where = value.get("path") if isinstance(value, dict) else value
        if not isinstance(where, str) or ":" not in where:
            raise ConfigurationError(f"The graph {name!r} needs the form './file.py:variable'.")
        graphs[name] = where
        if isinstance(value, dict) and value.get("description"):
            descriptions[name] = str(value["description"])
    http = text.get("http") or {}
    auth = text.get("auth") or {}
    for name, part in UNUSED:
        if (text.get(name) or {}).get(part):
            logger.warning("%s: %s.%s is not used by this server", path, name, part)
    if ((text.get("webhooks") or {}).get("url") or {}).get("disable_loopback") is False:
        logger.warning(
            "%s: webhooks.url.disable_loopback is not used: name the hosts, or DDB_AGENT_WEBHOOK_HOSTS", path
        )
    return ServerConfig(
        directory,
        graphs,
        descriptions,
        http_app=http.get("app"),
        auth=auth.get("path"),
        studio_auth=auth.get("disable_studio_auth") is False,
        cors_origins=_origins(http.get("cors"), path),
        store_ttl=store_ttl(text.get("store"), path),
        store_index=store_index(text.get("store"), path),
        thread_ttl=thread_ttl(text.get("checkpointer"), path),
        headers=header_policy(http, path),
        webhooks=webhook_policy(text.get("webhooks"), http, path),
        disabled=frozenset(part for part in PARTS if http.get(f"disable_{part}")),
    )


def _origins(cors: Any, path: Path) -> tuple[str, ...]:
    named = tuple(origin for origin in (cors or {}).get("allow_origins") or () if isinstance(origin, str))
    if "*" in named:
        logger.warning("%s: http.cors.allow_origins must name the origins; * would let every page in", path)
    return tuple(origin for origin in named if origin != "*")


def _environment(env: Any, directory: Path) -> None:
    values = env if isinstance(env, dict) else dotenv_values(directory / env) if isinstance(env, str) else {}
    for name, value in values.items():
        if value is not None:
            os.environ.setdefault(str(name), str(value))


def load_object(where: str, directory: Path) -> Any:
    """What `path.py:name` or `package.module:name` names."""
    source, _, name = where.rpartition(":")
    if source.endswith(JAVASCRIPT):
        raise ConfigurationError(f"{where} is JavaScript, which this server does not run.", "Name a Python object.")
    try:
        if source.endswith(".py"):
            module = _from_file((directory / source).resolve())
        else:
            module = importlib.import_module(source.replace("/", "."))
    except ImportError as error:
        raise ConfigurationError(f"{where} cannot be imported: {error}.", "Correct it in langgraph.json.") from error
    if not hasattr(module, name):
        raise ConfigurationError(f"{source} has no {name!r}.", "Correct it in langgraph.json.")
    return getattr(module, name)


def _from_file(path: Path) -> Any:
    """Imports a file under its importable name when it has one, so that it is not imported twice."""
    if not path.is_file():
        raise ConfigurationError(f"There is no file {path}.", "Correct it in langgraph.json.")
    for entry in sys.path:
        root = Path(entry or ".").resolve()
        if path.is_relative_to(root):
            name = ".".join(path.relative_to(root).with_suffix("").parts)
            if all(part.isidentifier() for part in name.split(".")) and _finds(name, path):
                return importlib.import_module(name)
    name = f"langgraph_graphs_{path.stem}_{abs(hash(path))}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _finds(name: str, path: Path) -> bool:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None and Path(spec.origin).resolve() == path
