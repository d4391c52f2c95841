"""JSON as it goes out: messages, interrupts, models and dates in their plain form."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import orjson
from langchain_core.messages import BaseMessage
from langgraph.types import Interrupt
from pydantic import BaseModel

OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATACLASS


def _default(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, Interrupt):
        return interrupt_json(value)
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    if isinstance(value, type):
        return value.__qualname__
    if dataclasses.is_dataclass(value):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, BaseException):
        return {"error": type(value).__name__, "message": str(value)}
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", errors="replace")
    if hasattr(value, "_asdict"):
        return value._asdict()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)


def interrupt_json(interrupt: Interrupt, *, full: bool = True) -> dict[str, Any]:
    """`full` names the response schema also when there is none."""
    found: dict[str, Any] = {"value": interrupt.value, "id": interrupt.id}
    if full or interrupt.response_schema is not None:
        found["response_schema"] = interrupt.response_schema
    return found


def dumps(value: Any) -> bytes:
    """`value` as JSON. Text that is not valid Unicode is replaced where it is not."""
    try:
        return orjson.dumps(value, _default, OPTIONS)
    except TypeError:
        return orjson.dumps(_cleaned(value), _default, OPTIONS)


def storable(data: bytes) -> str:
    """JSON as Postgres takes it: without the NUL character."""
    return data.replace(b"\\u0000", b"\\ufffd").decode()


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", errors="replace").decode()
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        return float(value)
    if isinstance(value, Mapping):
        return {
            _cleaned(key) if isinstance(key, str | int | float) else str(key): _cleaned(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_cleaned(item) for item in value]
    if isinstance(value, BaseMessage):
        return _cleaned(value.model_dump())
    return value
