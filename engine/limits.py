"""A bound on memory: checked before a script asks for something large."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import ScriptError
from engine.types import DTYPES, Type

if TYPE_CHECKING:
    from engine.node import Node

DEFAULT_MEMORY_LIMIT = 8 * 2**30
OBJECT_BYTES = 56


def check_allocation(count: int, type_: Type = Type.LONG, node: Node | None = None) -> None:
    """Refuse a value of `count` elements that would not fit into the memory limit of the node (bytes)."""
    if count < 0:
        raise ScriptError(f"The length {count} is invalid.")
    dtype = DTYPES.get(type_)
    width = OBJECT_BYTES if dtype is None or dtype.kind == "O" else dtype.itemsize
    limit = int(getattr(node, "memory_limit", DEFAULT_MEMORY_LIMIT))
    if count * width > limit:
        raise ScriptError(
            f"Out of memory: {count} elements of {type_.name} need {count * width} bytes, the limit is {limit} bytes."
        )
