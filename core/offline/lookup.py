"""Finding the table a question is about, and what it looks like."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from core.offline.columns import concepts_of, find_mentions
from core.offline.conditions import PROPER_NOUN, VALUE_WORDS
from core.offline.conversation import Step
from core.offline.language import say
from core.offline.lexicon import ADJECTIVES, AGGREGATES
from core.offline.patterns import KINDS
from core.offline.replay import Replay
from core.offline.schema import Table, parse_description, parse_tables

WORTH = 6
_NEEDED = {
    "vwap": {"price", "volume"},
    "ohlc": {"price"},
    "total_return": {"price"},
    "drawdown": {"price"},
}
_NAMED_TABLE = (
    r"\b(?:table|from)\s+[`\"']?([A-Za-z_]\w*)|[`\"']?\b([A-Za-z_]\w*)[`\"']?\s+table\b|(?:数据表"
    r"|表)\s*([A-Za-z_]\w*)|([A-Za-z_]\w*)\s*(?:这张|这个)?表(?!示|现|明)"
)
_NOT_NAMES = frozenset(
    [
        "the",
        "a",
        "an",
        "this",
        "that",
        "which",
        "what",
        "each",
        "every",
        "all",
        "my",
        "our",
        "it",
        "its",
        "is",
        "in",
        "of",
        "new",
        "whole",
        "entire",
        "memory",
    ]
)


def failure_text(step: Step) -> str:
    """The server's words of a failed call."""
    text = (step.result or "").strip()
    text, *hints = re.split(r"\nHINT:", text, maxsplit=1)
    said = re.sub(r"^ERROR:\s*", "", text).strip() or "no result"
    gone = any("use_environment" in hint for hint in hints)
    return f"{said} Say `use the default environment`, or ask for another server." if gone else said


def failed(step: Step) -> bool:
    return step.failed or step.result is None or step.result.lstrip().startswith("ERROR")


def list_tables(replay: Replay) -> tuple[list[Table], list[str]]:
    """All tables and databases; ends the task when they cannot be had."""
    language = replay.language
    if not replay.has("list_tables"):
        replay.finish(
            say(
                language,
                "This thread has no DolphinDB environment, so I cannot look at any data. Choose an "
                "environment for the thread first.",
                "当前会话没有选定 DolphinDB 环境，因此无法查看数据。请先为会话选择一个环境。",
            )
        )
    tables, databases = _listed(replay, "")
    named = re.search(r"dfs://\w[\w/-]*", replay.task.question)
    if named is not None and any(named[0] == url for url in databases):
        stored, _ = _listed(replay, named[0])
        references = {table.reference for table in tables}
        tables += [table for table in stored if table.reference not in references]
    return tables, databases


def _listed(replay: Replay, database: str) -> tuple[list[Table], list[str]]:  # noqa: RET503
    step = replay.call("list_tables", database=database)
    if not failed(step):
        try:
            return parse_tables(step.result or "")
        except (ValueError, KeyError, TypeError):
            pass
    text = failure_text(step)
    replay.finish(say(replay.language, f"The tables cannot be listed: {text}", f"无法列出表：{text}"))


def mentioned_tables(text: str, tables: Sequence[Table]) -> list[Table]:
    """Tables whose names the text contains, in order of place; failing that, singular or plural forms of names.

    `price` is no form of the table `prices` where it is a column.
    """
    referred = [table for table in tables if table.reference != table.name and table.reference in text]
    if referred:
        return referred
    exact = _named(text, tables, lambda name: name)
    if exact:
        return exact
    words = [text[m.start : m.end].lower() for table in tables for m in find_mentions(text, table)]
    free = [table for table in tables if _other_number(table.name).lower() not in words]
    return _named(text, free, _other_number)


def labels(tables: Sequence[Table]) -> list[str]:
    """What tables are called in a choice: their names, and the references of those that share a name."""
    names = [table.name for table in tables]
    return [table.reference if names.count(table.name) > 1 else table.name for table in tables]


def _named(text: str, tables: Sequence[Table], form: Callable[[str], str]) -> list[Table]:
    places = []
    for table in tables:
        name = re.escape(form(table.name))
        match = re.search(rf"(?<![A-Za-z0-9_]){name}(?![A-Za-z0-9_])", text, re.IGNORECASE | re.ASCII)
        if match:
            places.append((match.start(), table))
    return [table for _, table in sorted(places, key=lambda place: place[0])]


def _other_number(name: str) -> str:
    return name[:-1] if name.lower().endswith("s") and len(name) > 3 else f"{name}s"


def unknown_table(text: str, tables: Sequence[Table]) -> str | None:
    """A name the text calls a table that is none."""
    known = {table.name.lower() for table in tables}
    for match in re.finditer(_NAMED_TABLE, text, re.IGNORECASE | re.ASCII):
        name = next(group for group in match.groups() if group)
        if name.lower() in known or name.lower() + "s" in known:
            return None
        if name.lower() not in _NOT_NAMES and not re.match(r"\d", name):
            return name
    return None


def choose_table(replay: Replay, text: str, tables: Sequence[Table]) -> Table:
    """The table the text is about: named, the only one, the one that has the columns, the last used, or asked for."""
    language = replay.language
    named = mentioned_tables(text, tables)
    if named:
        in_database = [table for table in named if table.reference.startswith("loadTable") and _url(table) in text]
        return (in_database or named)[0]
    made = [table for table in tables if table.name == replay.made]
    if made:
        return made[0]
    names = [table.name for table in tables]
    unknown = unknown_table(text, tables)
    if unknown is not None and tables:
        question = say(
            language,
            f"There is no table {unknown}. Which one do you mean?",
            f"没有名为 {unknown} 的表。您指的是哪一张？",
        )
        return _asked(replay, question, tables, names)
    if len(tables) == 1:
        return tables[0]
    if not tables:
        replay.finish(
            say(
                language,
                "There are no tables yet. I can create sample data (`create sample trades data`) or load a CSV file "
                "(`load /path/file.csv as stocks`).",
                "目前没有任何表。我可以生成示例数据（“生成一份交易示例数据”），或加载 CSV 文件（“把 "
                "/path/file.csv 加载为表 stocks”）。",
            )
        )
    scores = [(_fitness(text, table), table) for table in tables]
    best = max(score for score, _ in scores)
    fitting = [table for score, table in scores if score == best and best > 0]
    if len(fitting) == 1:
        return fitting[0]
    candidates = fitting or list(tables)
    recent = "\n".join(script for task in replay.conversation.earlier for script in task.scripts)
    for source in (recent, replay.conversation.pinned):
        used = mentioned_tables(source, candidates) if source else []
        if used:
            return max(used, key=lambda table: _last_place(source, table))
    question = say(language, "Which table do you mean?", "您指的是哪张表？")
    return _asked(replay, question, candidates, labels(candidates))


def _fitness(text: str, table: Table) -> int:
    """How much of the text the table's columns account for, in characters, and what its words need."""
    concepts = {concept.name for column in table.columns for concept in concepts_of(column)}
    needed = [(pattern, {concept}) for pattern, concept, _, _ in ADJECTIVES]
    needed += [(pattern, _NEEDED[kind]) for kind, pattern in KINDS if kind in _NEEDED]
    needed += [(AGGREGATES["std"], {"price"}), (PROPER_NOUN, {"location"})]
    needed += [(pattern, {concept}) for pattern, concept, _ in VALUE_WORDS]
    met = [pattern for pattern, names in needed if names <= concepts and re.search(pattern, text, re.I | re.ASCII)]
    mentions = find_mentions(text, table)
    exact = [m for m in mentions if any(text[m.start : m.end].lower() == c.name.lower() for c in m.columns)]
    measured = [text[m.start : m.end].lower() for m in mentions if m.column.is_numeric]
    alike = _other_number(table.name).lower() not in measured and bool(_named(text, [table], _other_number))
    covered = sum(m.end - m.start for m in mentions)
    return covered + WORTH * len(met) + WORTH // 3 * len(exact) + (WORTH // 2 if alike else 0)


def describe(replay: Replay, table: Table) -> Table:
    """The table with exact columns and sample values, as far as they can be had."""
    if not replay.has("describe_table"):
        return table
    step = replay.call("describe_table", table=table.reference)
    if failed(step):
        return table
    try:
        return parse_description(step.result or "", table)
    except (ValueError, KeyError, TypeError):
        return table


def _asked(replay: Replay, question: str, tables: Sequence[Table], names: Sequence[str]) -> Table:  # noqa: RET503
    answer = replay.choice(question, names)
    found = mentioned_tables(answer, tables)
    if found:
        return found[0]
    replay.finish(
        say(
            replay.language,
            f'I know no table "{answer}". Known tables: {", ".join(names)}.',
            f"没有找到表“{answer}”。已有的表：{'、'.join(names)}。",
        )
    )


def _url(table: Table) -> str:
    match = re.search(r"dfs://[^\"']+", table.reference)
    return match[0] if match else ""


def _last_place(text: str, table: Table) -> int:
    return text.lower().rfind(table.name.lower())
