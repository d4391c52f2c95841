"""Questions about DolphinDB itself, answered by quoting its documentation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from core.offline import answers
from core.offline.intents import Intent, beyond_rules, documented_function, literal_script, recognise
from core.offline.language import say
from core.offline.lookup import failed, failure_text, list_tables, mentioned_tables
from core.offline.replay import Replay

Shape = Literal["language", "how", "what"]

SEARCH, DOCUMENT = "search_knowledge_base", "get_function_documentation"
LIMIT, QUOTED = 5, 3
QUOTED_CHARACTERS = 900

# What belongs to the language and is no word of data.
_SUBJECT = (
    r"(?:(?:context|pivot|group|cgroup|order|csort)\s?by|(?:as[ -]?of|window|equi|left|inner|outer|full|cross"
    r"|prefix)\s+joins?"
    r"|\b[aewlf]j\b|\blsj\b|(?:stream(?:ing)?|partitioned|keyed|indexed|in-memory|dfs|shared|dimension)\s+tables?"
    r"|partitions?\b|partitioning|tsdb|olap|pkey|data types?|literals?|null values?|error codes?"
    r"|user-defined functions?|higher-order functions?|lambdas?|metaprogramming|stream(?:ing)? engines?|subscriptions?"
    r"|分区|流数据?表|流表|流计算|流数据|键值表|索引表|内存表|分布式表|维度表|共享表|关联|连接"
    r"|数据类型|空值|错误代码|错误码|高阶函数|自定义函数|元编程|窗口函数|订阅)"
)
_PATTERNS: tuple[tuple[Shape, str], ...] = (
    ("language", r"\b(?:which|what|is there an?|are there) (?:dolphindb )?(?:\w+ )?functions?\b"),
    ("language", r"(?:哪个|哪些|什么|有没有|用哪).{0,12}函数"),
    ("language", r"\bwhat does .{3,} mean\b|\bwhy (?:do|did|does|am|is|are) .{0,60}\b(?:error|exception|fail\w*)\b"),
    ("language", r"(?:报错|错误|异常).{0,80}(?:意思|原因|为什么|怎么|如何|解决)|为什么.{0,40}(?:报错|出错)"),
    ("language", rf"\b(?:difference|differences) between (?:the )?{_SUBJECT}|{_SUBJECT}.{{0,40}}\b(?:versus|vs\.?)\s"),
    ("language", rf"{_SUBJECT}.{{0,40}}(?:区别|不同|差别|差异)"),
    (
        "language",
        rf"\b(?:what (?:is|are)|explain|describe|syntax of|when (?:to|should I) use) (?:the |an? )?{_SUBJECT}",
    ),
    (
        "language",
        rf"(?:什么是|解释|介绍)(?:一下)?\s*{_SUBJECT}|{_SUBJECT}\s*(?:是什么|是啥|怎么用|如何使用|的?用法|的?语法)",
    ),
    ("how", r"\bhow (?:do|can|could|should|would|does) (?:i|we|you|one|it|dolphindb)\b|\bhow to\b"),
    ("how", r"(?:怎么|如何|怎样)(?!样|了|变|走|波动|分布|[？?。]|$)"),
    ("what", r"\bwhat(?:'s| is| are| does)\b|\bwhy\b|\bexplain\b|\bdifference between\b|\bdoes dolphindb\b"),
    ("what", r"什么是|是什么|为什么|解释|介绍|区别"),
)
_DATA_INTENTS: tuple[Intent, ...] = (
    "query", "chart", "describe_table", "update", "delete_rows", "drop", "save_table"
)  # fmt: skip
_ASKS = r"\b(?:how|what|why|can|does|is|explain)\b|怎么|如何|怎样|什么|能否|是否|可以|支持|吗"
_INSIDE_DOLPHINDB = (
    r"\b(?:in|with|using|does|can) dolphindb\b|dolphindb\s*(?:里|中|的|支持|怎么|如何|怎样|能|可以)|用\s*dolphindb"
)
_OWN_DATA = r"\b(?:my|our|this|these|those|that)\b|dfs://|我的|我们的|这张|这个表|这些"
_CARRIED_ON = r"^\s*(?:and|what about|how about)\b|^\s*(?:那么?|还有).{0,20}呢"
_EXAMPLES = ("Examples", "Example", "例子", "示例")
_PASSAGE = re.compile(
    r"^<passage number=\"(\d+)\" title=(['\"])([^\n]*)\2>\n(?:signature: ([^\n]*)\n)?(.*?)\n</passage>$",
    re.DOTALL | re.MULTILINE,
)
_SOURCE = re.compile(r"(?m)^\[(\d+)\] .* - (.+)$")


def shape(text: str) -> Shape | None:
    """How the text asks about the language: for certain, by asking how to do something, or by a mere "what is"."""
    if literal_script(text) is not None or beyond_rules(text):
        return None
    if _matches(_INSIDE_DOLPHINDB, text) and _matches(_ASKS, text) and recognise(text) in ("query", "describe_table"):
        return "language"
    return next((shape for shape, pattern in _PATTERNS if _matches(pattern, text)), None)


def is_about_language(replay: Replay, text: str, intent: Intent) -> bool:
    """Whether the documentation answers the text rather than any table.

    A question of how to do something is about data when it names a table, a database or what is the user's own.
    """
    if not replay.has(SEARCH):
        return False
    if intent == "documentation":
        return _matches(_SUBJECT, text)
    found = shape(text)
    if found == "how" and intent in _DATA_INTENTS:
        return not (_matches(_OWN_DATA, text) or _named_table(replay, text))
    return (found == "language" and intent in (*_DATA_INTENTS, "list_tables")) or _carries_on(replay, text)


def answer_from_documentation(replay: Replay, text: str) -> None:
    """End the task with what the documentation says; a question of how to do something that it does not answer may
    still be one about data."""
    quote_documentation(replay, text)
    if shape(text) != "how":
        nothing = say(replay.language, "Not found in the documentation.", "文档中未找到相关内容。")
        replay.finish(answers.signed(replay.language, nothing))


def quote_documentation(replay: Replay, text: str) -> None:
    """End the task with what the documentation says. Returns when it says nothing."""
    language = replay.language
    if not replay.has(SEARCH):
        return
    question = replay.task.question if not replay.following else text
    earlier = replay.conversation.earlier
    if earlier and _carries_on(replay, text):
        question = f"{earlier[-1].question.strip()} {question}"
    step = replay.call(SEARCH, query=question, limit=LIMIT)
    if failed(step):
        error = failure_text(step)
        replay.finish(say(language, f"The documentation cannot be searched: {error}", f"无法检索文档：{error}"))
    passages = _passages(step.result or "")
    if not passages:
        return
    head = say(language, "From the documentation:", "文档中的说明：")
    parts = [passage.quoted(language) for passage in passages[:QUOTED]]
    replay.finish(answers.signed(language, "\n\n".join([head, *parts])))


def answer_documentation(replay: Replay, text: str, parameters: Mapping[str, str]) -> None:
    """A function's page."""
    language = replay.language
    name = documented_function(text) or ""
    if not replay.has(DOCUMENT):
        replay.finish(
            say(
                language,
                f"I have no documentation here, and as a set of rules I know nothing about `{name}` myself. Build the"
                " knowledge base: ddb-agent kb build",
                f"这里没有文档；我只是一组规则，本身并不了解 `{name}`。请构建知识库：ddb-agent kb build",
            )
        )
    step = replay.call(DOCUMENT, **{parameters.get(DOCUMENT, "function"): name})
    if failed(step):
        error = failure_text(step)
        replay.finish(say(language, f"No documentation of `{name}`: {error}", f"没有找到 `{name}` 的文档：{error}"))
    replay.finish(answers.signed(language, step.result or ""))


@dataclass(frozen=True)
class _Passage:
    """`sections` are texts by heading in the page's order; the last part of `title` names the one that was found."""

    number: int
    title: str
    signature: str
    sections: Mapping[str, str]
    source: str

    def quoted(self, language: Literal["en", "zh"]) -> str:
        own = self.title.split(" > ")[-1]
        text = self.sections.get(own) or "\n\n".join(self.sections.values())
        examples = next((self.sections[name] for name in _EXAMPLES if name in self.sections and name != own), "")
        if len(text) > QUOTED_CHARACTERS:
            text = _shortened(text, language)
        elif examples and len(text) + len(examples) <= QUOTED_CHARACTERS:
            text = f"{text}\n\n{examples}"
        signature = f"\n`{self.signature}`" if self.signature and own not in ("Syntax", "语法") else ""
        return f"[{self.number}] **{self.title}** - {self.source}{signature}\n\n{text}"


def _passages(result: str) -> list[_Passage]:
    """What was found, the guides first: they explain where a function's page describes."""
    body, _, listed = result.rpartition("\nsources:\n")
    sources = dict(_SOURCE.findall(listed))
    found = [
        _Passage(int(number), title, (signature or "").strip(), _sections(text), sources.get(number, ""))
        for number, _, title, signature, text in _PASSAGE.findall(body)
    ]
    return sorted(found, key=lambda passage: bool(passage.signature))


def _sections(text: str) -> dict[str, str]:
    first, *rest = re.split(r"(?m)^## (.*)$", text)
    sections = {"": first.strip()} if first.strip() else {}
    for heading, section in zip(rest[::2], rest[1::2], strict=True):
        if section.strip():
            sections.setdefault(heading.strip(), section.strip())
    return sections


def _shortened(text: str, language: Literal["en", "zh"]) -> str:
    """The first lines, with an opened fence closed."""
    cut = text[:QUOTED_CHARACTERS]
    cut = cut[: max(cut.rfind("\n"), QUOTED_CHARACTERS // 2)].rstrip()
    closing = "\n```" if cut.count("```") % 2 else ""
    return f"{cut}{closing}\n{say(language, '… (the page goes on)', '……（后文见原页）')}"


def _named_table(replay: Replay, text: str) -> bool:
    return replay.has("list_tables") and bool(mentioned_tables(text, list_tables(replay)[0]))


def _carries_on(replay: Replay, text: str) -> bool:
    """Whether the text goes on from a question that the documentation answered."""
    earlier = replay.conversation.earlier
    return bool(earlier) and _matches(_CARRIED_ON, text) and any(step.name == SEARCH for step in earlier[-1].steps)


def _matches(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE | re.ASCII) is not None
