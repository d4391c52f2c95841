"""Text into index terms: identifiers split by case, English stemmed, Chinese segmented."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

# An identifier keeps its namespace and its bang, a number its decimals, a run of Chinese its length.
PIECE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z0-9_]+)*!?|[0-9]+(?:\.[0-9]+)*|[\u3400-\u9fff]+")
_VOWELS = re.compile(r"[aeiouy]+")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

_STOPWORDS = """
a an and are as at be been but by can could do does doing for from had has have how i if in into is
it its let may me might my no not of on one only or our shall should so some such than that the
their them then there these they this those to too up was we were what when where which while who
why will with would you your want need please way get got using use used via about also any each
other same just like make dolphindb ddb function functions equivalent counterpart corresponding
analog
"""
STOPWORDS = frozenset(_STOPWORDS.split())
_CHINESE_STOPWORDS = """
的 了 和 是 在 我 有 与 及 或 把 被 将 对 为 以 于 从 到 中 上 下 里 个 这 那 其 之 也 都
就 而 并 让 使 给 用 请 吗 呢 吧 啊 相当于 对应 类似 等价 写 怎么写 怎么 如何 怎样 什么 哪个 哪些
哪里 一个 一种 可以 能 能否 需要 想 要 我们 应该 进行 该 若 则 等 函数 使用 不 会 时 后 去
谁 为什么 帮 帮我
"""
CHINESE_STOPWORDS = frozenset(_CHINESE_STOPWORDS.split())
_IRREGULAR = {
    "indices": "index", "indexes": "index", "matrices": "matrix", "axes": "axis", "quantities": "quantity",
    "frequencies": "frequency", "analysis": "analysi", "analyses": "analysi", "ran": "run", "sent": "send",
    "wrote": "write", "written": "write", "read": "read", "lost": "lose", "kept": "keep", "held": "hold",
    "built": "build", "found": "find", "given": "give", "took": "take", "taken": "take", "data": "data",
    "children": "child", "maxima": "max", "minima": "min", "maximum": "max", "minimum": "min", "hidden": "hide",
    "splitted": "split", "bought": "buy", "sold": "sell", "deleted": "delet", "biggest": "big", "largest": "large",
    "smallest": "small", "lowest": "low", "highest": "high", "latest": "late", "earliest": "early",
}  # fmt: skip
_SUFFIXES = (
    ("ization", "iz"), ("isation", "iz"), ("ational", "at"), ("ation", "at"), ("ating", "at"), ("ated", "at"),
    ("ates", "at"), ("ator", "at"), ("ate", "at"), ("ically", "ic"), ("ical", "ic"), ("ments", "ment"),
    ("nesses", ""), ("ness", ""), ("izing", "iz"), ("ising", "iz"), ("ized", "iz"), ("izes", "iz"), ("ize", "iz"),
    ("ives", "iv"), ("ive", "iv"), ("ions", "ion"), ("ies", "y"), ("ied", "y"), ("ingly", ""), ("edly", ""),
    ("ings", ""), ("ing", ""), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"), ("eed", "ee"),
    ("ed", ""), ("ers", "er"), ("ly", ""), ("es", "e"),
)  # fmt: skip


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """A light English stem of a lower-case word; inflections of one word should meet, words should not."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) <= 3:
        return word
    for suffix, replacement in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            word = word[: len(word) - len(suffix)] + replacement
            if suffix in ("ed", "ing", "ings") and len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    else:
        if word.endswith("s") and not word.endswith(("ss", "us", "is")):
            word = word[:-1]
    if word.endswith("ll") and len(_VOWELS.findall(word)) > 1:
        word = word[:-1]
    if len(word) > 3 and word.endswith("e"):
        word = word[:-1]
    if len(word) > 3 and word.endswith("y") and word[-2] not in "aeiou":
        word = word[:-1] + "i"
    return word


@lru_cache(maxsize=65536)
def split_identifier(name: str) -> tuple[str, ...]:
    """Lower-case parts of an identifier: createTimeSeriesEngine -> create time series engine."""
    return tuple(part.lower() for part in _PART.findall(name))


def chinese_words(run: str) -> list[str]:
    """Words of a run of Chinese, not overlapping."""
    import rjieba

    words: list[str] = rjieba.cut(run)
    return words


def chinese_terms(run: str) -> Iterator[str]:
    """Words, words within words, and pairs of neighbouring characters, each once per place where it stands."""
    import rjieba

    seen = set()
    for word in rjieba.cut_for_search(run):
        if word not in CHINESE_STOPWORDS:
            seen.add(word)
            yield word
    for start in range(len(run) - 1):
        pair = run[start : start + 2]
        if pair not in seen and not (pair[0] in CHINESE_STOPWORDS and pair[1] in CHINESE_STOPWORDS):
            yield pair


@lru_cache(maxsize=65536)
def latin_terms(piece: str) -> tuple[str, ...]:
    """Terms of one identifier or word: its stem, or the whole in lower case and the stems of its parts."""
    parts = split_identifier(piece)
    lowered = piece.lower()
    if len(parts) <= 1 and not lowered.endswith("!"):
        return () if lowered in STOPWORDS else (stem(lowered),)
    stems = tuple(stem(part) for part in parts if part not in STOPWORDS and (len(part) > 1 or part.isdigit()))
    whole = (lowered, lowered[:-1]) if lowered.endswith("!") else (lowered,)
    return whole + stems


def terms(text: str) -> Iterator[str]:
    """Index terms of any text."""
    for piece in PIECE.findall(text):
        if piece[0] >= "\u3400":
            yield from chinese_terms(piece)
        else:
            yield from latin_terms(piece)
