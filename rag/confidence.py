"""How likely it is that the index answers a question at all."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Logistic regressions on the benchmark's questions: those that the documentation answers against those about others.
_WITH_MEANING = {"share": 4.5, "unknown": -3.86, "named": 0.66, "foreign": 1.35, "likeness": 7.56}
_BY_WORDS = {"share": 6.68, "unknown": -4.34, "foreign": 0.19}
_OFFSET_WITH_MEANING, _OFFSET_BY_WORDS = -2.5, -2.0
# A function written as code is asked for whatever else the question says.
_SURELY_NAMED, _SURE = 0.7, 0.9


@dataclass(frozen=True)
class Evidence:
    """What speaks for it.

    `share` is how much of the question's words, by rarity, the best result holds; `unknown` how much of them nothing
    in the index holds. `named` and `foreign` tell how surely a result is named in the question, itself or by another
    tool's name. `likeness` is how much nearer in meaning the question is to the index than to what lies outside, None
    without an encoder.
    """

    share: float
    unknown: float
    named: float
    foreign: float
    likeness: float | None


def confidence(evidence: Evidence) -> float:
    """From 0 to 1."""
    weights, offset = (
        (_BY_WORDS, _OFFSET_BY_WORDS) if evidence.likeness is None else (_WITH_MEANING, _OFFSET_WITH_MEANING)
    )
    total = offset + sum(weight * getattr(evidence, name) for name, weight in weights.items())
    known = 1 / (1 + math.exp(-total))
    return round(max(known, _SURE) if evidence.named >= _SURELY_NAMED else known, 3)
