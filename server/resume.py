"""Whether an answer fits what a thread waits for, before a run is made of it."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from core.errors import InvalidInputError


def check_resume(interrupts: list[dict[str, Any]], resume: Any, *, strict: bool) -> None:
    """InvalidInputError when `resume` cannot be the answer to `interrupts` (id, value, response_schema).

    With several open, it is an object by their ids. `strict` refuses an answer when nothing waits.
    """
    if not interrupts:
        if strict:
            raise InvalidInputError("The thread waits for no answer.", "Send an input instead of a resume.")
        return
    known = {item["id"]: item for item in interrupts if item.get("id")}
    if isinstance(resume, dict) and resume and set(resume) & set(known):
        if unknown := set(resume) - set(known):
            raise InvalidInputError(
                f"The thread does not wait for {', '.join(sorted(map(str, unknown)))}.",
                f"It waits for: {', '.join(known)}.",
            )
        for key, answer in resume.items():
            _check(known[key], answer)
        return
    if len(known) > 1:
        raise InvalidInputError(
            f"The thread waits for {len(known)} answers.",
            f"Answer by id: an object with some of the keys {', '.join(known)}.",
        )
    _check(interrupts[0], resume)


def _check(interrupt: dict[str, Any], answer: Any) -> None:
    schema = interrupt.get("response_schema")
    if not isinstance(schema, dict):
        return
    try:
        errors = sorted(Draft202012Validator(schema).iter_errors(answer), key=lambda error: list(map(str, error.path)))
    except SchemaError:
        return
    if errors:
        place = ".".join(str(part) for part in errors[0].path)
        raise InvalidInputError(
            f"The answer does not fit what was asked: {place + ': ' if place else ''}{errors[0].message}.",
            "The question is still open; answer it again.",
        )
