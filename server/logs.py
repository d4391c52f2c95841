"""Logs as lines of JSON on standard error, with the ids of requests, runs and threads."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from server.json import dumps

FIELDS = ("request_id", "run_id", "thread_id", "cron_id", "milliseconds")
_SECRET = re.compile(
    r"(?i)(authorization|x-api-key|cookie|password|passwd|secret|token|ticket|api[_-]?key)"
    r"([\"']?\s*[:=]\s*[\"']?)(?:(?:bearer|basic)\s+)?[^\s\"',;&]+"
)
_URL_PASSWORD = re.compile(r"(://[^:/@\s]+:)[^@/\s]+@")
# Our API keys, tokens of ours and others (JWT), keys of model endpoints and of Alibaba's cloud.
_KEY = re.compile(r"\b(?:ddba_[\w-]{16,}|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|sk-[\w-]{16,}|LTAI\w{8,})")

KEY_PARTS = ("ddba_", "eyJ", "sk-", "LTAI")

_bound: ContextVar[dict[str, str] | None] = ContextVar("bound", default=None)


@contextmanager
def bound_to(**names: str) -> Iterator[None]:
    """Meanwhile every line of this task, and of those it starts, carries these ids."""
    token = _bound.set({**(_bound.get() or {}), **names})
    try:
        yield
    finally:
        _bound.reset(token)


def masked(text: str) -> str:
    """`text` without what looks like a secret."""
    # Most lines have nothing of the kind, which is told faster without the expressions.
    if ":" in text or "=" in text:
        text = _SECRET.sub(r"\1\2***", text)
        if "://" in text:
            text = _URL_PASSWORD.sub(r"\1***@", text)
    return _KEY.sub("***", text) if any(part in text for part in KEY_PARTS) else text


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": masked(record.getMessage()),
        }
        line.update(_bound.get() or {})
        line.update({name: getattr(record, name) for name in FIELDS if getattr(record, name, None) is not None})
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = masked("".join(traceback.format_exception(*record.exc_info)))
        return dumps(line).decode()


def log_config(level: str = "INFO") -> dict[str, Any]:
    """A logging configuration for the server's process."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "ddb_agent": {"level": level},
            "server": {"level": level},
            "uvicorn": {"handlers": ["stderr"], "level": level, "propagate": False},
            "uvicorn.error": {"level": level},
        },
    }
