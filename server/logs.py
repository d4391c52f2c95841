"""Logs as lines of JSON on standard error, with the ids of requests, runs and threads."""

from __future__ import annotations

import logging
import re
import traceback
from datetime import UTC, datetime
from typing import Any

from server.json import dumps

FIELDS = ("request_id", "run_id", "thread_id", "cron_id", "milliseconds")
_SECRET = re.compile(
    r"(?i)(authorization|x-api-key|password|passwd|secret|token|api[_-]?key)([\"']?\s*[:=]\s*[\"']?)(?:bearer\s+)?[^\s\"',;&]+"
)
_URL_PASSWORD = re.compile(r"(://[^:/@\s]+:)[^@/\s]+@")


def masked(text: str) -> str:
    """`text` without what looks like a secret."""
    return _URL_PASSWORD.sub(r"\1***@", _SECRET.sub(r"\1\2***", text))


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": masked(record.getMessage()),
        }
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
