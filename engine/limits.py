"""A bound on memory, checked before a script asks for something large, and how freed memory is kept."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from engine.errors import ScriptError
from engine.types import DTYPES, Type

if TYPE_CHECKING:
    from engine.node import Node

DEFAULT_MEMORY_LIMIT = 8 * 2**30
OBJECT_BYTES = 56
# The numbers of glibc's malloc.h, and 32 MB, the most that may come from the heap.
MALLOC_OPTIONS = {"M_TRIM_THRESHOLD": (-1, 2**27), "M_MMAP_THRESHOLD": (-3, 2**25), "M_ARENA_MAX": (-8, 1)}


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


def keep_freed_memory() -> None:
    """Let this process keep 128 MB of freed memory for its next arrays, where its C library is glibc.

    The system hands memory out page by page, which costs as much as computing with it. One heap serves all threads.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        for option, value in MALLOC_OPTIONS.values():
            library.mallopt(option, value)
