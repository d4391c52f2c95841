"""Parts of a thread, named by paths such as `values.messages[-1].content`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from core.errors import InvalidInputError

Path: TypeAlias = tuple[str | int, ...]

ROOTS = ("config", "interrupts", "metadata", "values")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(-?\d{1,9})\]")


def parsed_path(text: str) -> Path:
    """The steps of a path: names, and places in lists. InvalidInputError for what is not a path."""
    root = re.match(r"[a-z]*", text)
    assert root is not None
    if root[0] not in ROOTS:
        raise InvalidInputError(f"Extract path {text!r} must start with one of: {', '.join(ROOTS)}")
    steps: list[str | int] = [root[0]]
    place = root.end()
    while place < len(text):
        step = _STEP.match(text, place)
        if step is None:
            raise InvalidInputError(
                f"Extract path {text!r} cannot be read at {text[place:]!r}.",
                "Use dots for names and brackets for places: values.messages[-1].content.",
            )
        steps.append(step[1] if step[1] is not None else int(step[2]))
        place = step.end()
    return tuple(steps)


def extracted(thread: Mapping[str, Any], path: Path) -> Any:
    """What lies at a path; None where there is nothing."""
    found: Any = thread
    for step in path:
        if isinstance(step, str):
            found = found.get(step) if isinstance(found, Mapping) else None
        elif isinstance(found, Sequence) and not isinstance(found, str) and -len(found) <= step < len(found):
            found = found[step]
        else:
            return None
    return found
