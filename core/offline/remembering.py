"""Being told to remember an answer, what a word means, or to forget that."""

from __future__ import annotations

import re
from typing import Literal

MemoryIntent = Literal["remember", "define_term", "forget_term"]

_REMEMBER = re.compile(
    r"(?:please\s+)?(?:remember|memorize)\s+(?:this|that|it|the (?:last )?(?:answer|script|query|one))"
    r"(?:\s+(?:answer|script|query|one|as an example|for (?:later|next time)))*"
    r"|(?:please\s+)?(?:save|keep|store)\s+(?:this|that|it)\s+as an example"
    r"|(?:请)?(?:记住|记下)(?:来)?(?:这个|这条|这次|这|它|上面|上述|刚才|刚刚)?的?(?:问题|回答|答案|脚本|查询|结果|例子|示例)?"
    r"|(?:请)?把(?:这个|它|刚才的?|上面的?).{0,6}(?:存为|保存为|记为|作为)(?:一个)?(?:例子|示例|样例)",
    re.IGNORECASE,
)
_QUOTES = "\"'“”‘’「」"
_DEFINE = re.compile(
    rf"(?:by|(?:when|if) I say)\s+[{_QUOTES}]?(?P<a>.+?)[{_QUOTES}]?,?\s+I mean\s+(?P<b>.+)"
    rf"|[{_QUOTES}](?P<c>.+?)[{_QUOTES}]\s+(?:means|stands for)\s+(?P<d>.+)"
    rf"|(?:我(?:所)?说的|所谓的?|以后|今后)\s*[{_QUOTES}]?(?P<e>.+?)[{_QUOTES}]?\s*"
    r"(?:就?是指的?是?|指的是|的意思是|表示|就是)\s*(?P<f>.+)"
    rf"|[{_QUOTES}]?(?P<g>[^，。？?\s]{{1,30}}?)[{_QUOTES}]?(?:指的是|是指|的意思是)\s*(?P<h>.+)",
    re.IGNORECASE,
)
_FORGET = re.compile(
    rf"(?:please\s+)?forget\s+(?:what\s+|the (?:term|meaning of)\s+)[{_QUOTES}]?(?P<a>.+?)[{_QUOTES}]?(?:\s+means)?"
    rf"|(?:请)?(?:忘记|忘掉|忘了)\s*[{_QUOTES}]?(?P<b>.+?)[{_QUOTES}]?\s*的(?:意思|含义|定义)",
    re.IGNORECASE,
)
_ASKS = re.compile(r"[?？]|什么|哪|吗$|\bwhat\b", re.IGNORECASE)


def memory_intent(text: str) -> MemoryIntent | None:
    """What the text, as a whole, wants of the memory."""
    if _REMEMBER.fullmatch(_bare(text)):
        return "remember"
    if defined_term(text) is not None:
        return "define_term"
    return "forget_term" if forgotten_term(text) is not None else None


def defined_term(text: str) -> tuple[str, str] | None:
    """A word and what the user means by it."""
    match = _DEFINE.fullmatch(_bare(text))
    if match is None or _ASKS.search(text):
        return None
    term, meaning = (part for part in match.groups() if part is not None)
    return term.strip(), meaning.strip()


def forgotten_term(text: str) -> str | None:
    match = _FORGET.fullmatch(_bare(text))
    return next(part for part in match.groups() if part is not None).strip() if match else None


def _bare(text: str) -> str:
    return text.strip().rstrip(".!。！ ")
