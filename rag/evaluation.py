"""How well questions with known answers are answered: recall at 1, 5 and 10, and mean reciprocal rank."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import InvalidInputError

DEPTH = 10


@dataclass(frozen=True)
class Asked:
    """One line of a file of questions. `gold` may be empty where nothing is to be measured; `id` is as it was given."""

    query: str
    id: str | int | None = None
    gold: tuple[str, ...] = ()
    language: str = ""
    style: str = ""


@dataclass(frozen=True)
class Row:
    """One group of questions: the whole, a language, a kind, or a kind in a language."""

    group: str
    questions: int
    recall_1: float
    recall_5: float
    recall_10: float
    mrr: float


@dataclass(frozen=True)
class Evaluation:
    """`misses` are ids of questions without a right answer among the first five, the text of those that have none.
    Latencies in milliseconds."""

    rows: list[Row]
    misses: list[str]
    median_ms: float
    p95_ms: float


def read_questions(path: Path) -> list[Asked]:
    """Raises InvalidInputError that names the line."""
    questions = []
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidInputError(f"{path} cannot be read: {reason}.", "Give a JSON Lines file.") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            item: Mapping[str, Any] = json.loads(line)
            questions.append(
                Asked(
                    str(item["query"] if "query" in item else item["question"]),
                    item.get("id"),
                    tuple(item.get("gold") or ()),
                    str(item.get("lang", "")),
                    str(item.get("style", "")),
                )
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InvalidInputError(
                f"Line {number} of {path} is no question.", 'Write {"query": …} on each line; an "id" is optional.'
            ) from None
    return questions


def evaluate(
    questions: Sequence[Asked],
    search: Callable[[str], Iterable[str]],
    canonical: Callable[[str], str] = lambda name: name,
) -> Evaluation:
    """`search` gives functions, best first; `canonical` folds aliases, so that each counts once."""
    ranks: list[float] = []
    seconds: list[float] = []
    for question in questions:
        gold = {canonical(name) for name in question.gold}
        started = time.perf_counter()
        found = list(search(question.query))
        seconds.append(time.perf_counter() - started)
        folded = list(dict.fromkeys(canonical(name) for name in found))[:DEPTH]
        ranks.append(next((float(rank) for rank, name in enumerate(folded, 1) if name in gold), float("inf")))
    groups: dict[str, list[float]] = {"all": ranks}
    for question, rank in zip(questions, ranks, strict=True):
        for group in (question.language, question.style, f"{question.language} {question.style}"):
            if group.strip():
                groups.setdefault(group, []).append(rank)
    rows = [_row(group, of_group) for group, of_group in groups.items() if of_group]
    missed = [question for question, rank in zip(questions, ranks, strict=True) if rank > 5]
    misses = [question.query if question.id is None else str(question.id) for question in missed]
    times = np.array(seconds or [0.0]) * 1000
    return Evaluation(rows, misses, round(float(np.median(times)), 2), round(float(np.percentile(times, 95)), 2))


def _row(group: str, ranks: Sequence[float]) -> Row:
    array = np.array(ranks)
    return Row(
        group=group,
        questions=len(ranks),
        recall_1=round(float((array <= 1).mean()), 3),
        recall_5=round(float((array <= 5).mean()), 3),
        recall_10=round(float((array <= 10).mean()), 3),
        mrr=round(float((1 / array).mean()), 3),
    )
