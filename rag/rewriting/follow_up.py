"""Questions that lean on the one before, made to stand alone by rule."""

from __future__ import annotations

import re

_BACK_REFERENCE = re.compile(
    r"\b(it|its|this(?!\s+(?:week|month|quarter|year))|that"
    r"|these|those|them|they|the same|instead|above|former|latter|what about|how about|and for)\b"
    r"|它|这个(?!月|季|星期|礼拜|周)|那个|这些|那些|上面|上述|前者|后者|刚才|那.{0,12}呢|还有.{0,12}呢",
    re.IGNORECASE,
)
_LONGEST = 120


def refers_back(question: str) -> bool:
    return len(question) <= _LONGEST and bool(_BACK_REFERENCE.search(question))


def joined(previous: str, question: str) -> str:
    """Both questions together: enough to find what the later one is about."""
    return f"{previous.strip()} {question}"
