"""Answering a question about a table."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NoReturn

from core.offline import answers
from core.offline.conversation import Task
from core.offline.documentation import quote_documentation, shape
from core.offline.execution import RefusedError, execute, propose
from core.offline.intents import recognise
from core.offline.language import normalise, say
from core.offline.lexicon import ADJECTIVES, AGGREGATES, CONCEPTS, UNITS
from core.offline.lookup import choose_table, describe, list_tables
from core.offline.parse import parse_query, parse_remark
from core.offline.patterns import COUNT, DISTINCT, KINDS, RANGE, SHOW, SPAN, SUPERLATIVE
from core.offline.query import Query
from core.offline.replay import Replay
from core.offline.schema import Table
from core.offline.scripts import render
from core.offline.unclear import NotUnderstoodError, UnableError, UnclearError

MAX_QUESTIONS = 4
_FOLLOW_UP = re.compile(
    r"^\s*(?:and|now|only|just|what about|how about|also|but|then|same|instead|use)\b|^\s*(?:那么?|再|只看"
    r"|只要|换成|改成|改为|用|如果|同样|还有|呢)",
    re.IGNORECASE | re.ASCII,
)
_NOTHING_SAID = ("I could not tell what to change from", "无法从这句话判断需要修改什么：")


def answer_query(replay: Replay, text: str, *, chart: bool = False) -> None:
    """Look up the table, run the script for the question and end the task with the answer."""
    language = replay.language
    if not _is_about_data(text) and not replay.conversation.earlier:
        _not_understood(replay, text)
    tables, _ = list_tables(replay)
    if not tables and shape(text) is not None:
        quote_documentation(replay, text)
    try:
        query = _understood(replay, text, tables)
        for remark in replay.task.remarks:
            query = _refined(replay, query, remark)
    except UnableError as unable:
        replay.finish(answers.signed(language, unable.sentence(language)))
    except NotUnderstoodError:
        _not_understood(replay, text)
    if chart:
        note = ("the offline model draws no charts; these are the numbers", "离线模型不能画图，以下是数据")
        query = replace(query, notes=(*query.notes, note))
    script = render(query)
    propose(replay, _steps(replay, query), script)
    columns = [column.name for column in query.table.columns]
    purpose = " ".join(replay.task.question.split())[:200]
    script = replay.task.approved_script or script
    while True:
        try:
            done = execute(replay, script, purpose, columns)
            break
        except RefusedError as refused:
            changed = query.updated(parse_remark(refused.reason, query.table, query)) if refused.reason else query
            if render(changed) == refused.script or changed == query:
                replay.finish(answers.refused(language, refused.reason, refused.script))
            query, script = changed, render(changed)
    notes = [*query.notes, *done.notes]
    answer = answers.query_answer(language, query, done.result, notes)
    replay.finish(answer, script=done.script, artifact_ids=done.artifact_ids)


def _not_understood(replay: Replay, text: str) -> NoReturn:
    if shape(text) is not None:
        quote_documentation(replay, text)
    replay.finish(answers.not_understood(replay.language))


def conditions_of(replay: Replay, text: str, table: Table) -> Query:
    """The rows a text speaks of, with what it could not make use of as notes; asks when it is unclear."""
    query = Query(table)
    chosen: list[str] = []
    for _ in range(MAX_QUESTIONS):
        try:
            return parse_query(text, table, chosen=chosen)
        except UnclearError as unclear:
            text = _clarified(replay, text, unclear, chosen, table)
        except NotUnderstoodError:
            return query
    return query


def _understood(replay: Replay, text: str, tables: list[Table]) -> Query:
    earlier = [
        task for task in replay.conversation.earlier if recognise(normalise(task.question)) in ("query", "chart")
    ]
    if earlier and _FOLLOW_UP.search(text):
        base = _earlier_query(replay, earlier, tables)
        if base is not None:
            table = describe(replay, base.table)
            base = replace(base, table=table, notes=())
            changed = base.updated(parse_remark(text, table, base))
            if changed != base:
                return changed
    table = describe(replay, choose_table(replay, text, tables))
    chosen: list[str] = []
    for _ in range(MAX_QUESTIONS):
        try:
            return parse_query(text, table, chosen=chosen)
        except UnclearError as unclear:
            text = _clarified(replay, text, unclear, chosen, table)
    raise NotUnderstoodError(text)


def _clarified(replay: Replay, text: str, unclear: UnclearError, chosen: list[str], table: Table) -> str:
    """Ask; the answer is a column picked from the options, or words that are added to the question."""
    question = unclear.question(replay.language)
    answer = replay.choice(question, unclear.options) if unclear.options else replay.ask(question)
    named = [
        column.name
        for column in table.columns
        if re.search(rf"(?<!\w){re.escape(column.name)}(?!\w)", answer, re.IGNORECASE | re.ASCII)
    ]
    if named:
        chosen += named
        return text
    return f"{text} {normalise(answer)}"


def _earlier_query(replay: Replay, earlier: list[Task], tables: list[Table]) -> Query | None:
    """The query of the tasks before: the last whole question with the follow-ups after it."""
    start = next(
        (index for index in range(len(earlier) - 1, -1, -1) if not _FOLLOW_UP.search(earlier[index].question)), 0
    )
    first = earlier[start]
    table = next((table for table in tables if any(_uses(script, table) for script in first.scripts)), None)
    if table is None:
        return None
    table = describe(replay, table)
    chosen = [column.name for column in table.columns if column.name in first.answers.values()]
    try:
        query = parse_query(normalise(first.question), table, chosen=chosen)
    except (UnclearError, UnableError, NotUnderstoodError):
        return None
    for task in earlier[start + 1 :]:
        query = query.updated(parse_remark(normalise(task.question), table, query))
    return query


def _uses(script: str, table: Table) -> bool:
    return re.search(rf"(?<!\w){re.escape(table.reference)}(?!\w)", script) is not None


def _refined(replay: Replay, query: Query, remark: str) -> Query:
    """The query with a correction to its plan; asks when the correction says nothing the rules know."""
    changed = query.updated(parse_remark(remark, query.table, query))
    if changed != query or not replay.planning:
        return changed
    question = say(
        replay.language,
        f'{_NOTHING_SAID[0]} "{remark}". How should the plan differ?',
        f"{_NOTHING_SAID[1]}“{remark}”。计划应如何调整？",
    )
    return query.updated(parse_remark(replay.ask(question), query.table, query))


def _is_about_data(text: str) -> bool:
    """Whether any word could ask something of data, so that chit-chat costs no calls and no questions back."""
    words = [word for concept in CONCEPTS for word in concept.words]
    english = "|".join(word for word in words if word.isascii())
    patterns = [
        *AGGREGATES.values(), *(pattern for _, pattern in KINDS), *(item[0] for item in ADJECTIVES), *UNITS.values(),
        COUNT, DISTINCT, SUPERLATIVE, SHOW, SPAN, RANGE, rf"\b(?:{english})s?\b",
        "|".join(word for word in words if not word.isascii()),
        r"\d|\b(?:by|per|each|where|rows?|records?|tables?|columns?|trades|quotes|select|compute|calculate"
        r"|analy[sz]e)\b",
        r"(?-i:\b[A-Z]{2,5}\b)|统计|计算|查询|分析|对比|数据|表|按|每|各|行|列",
    ]  # fmt: skip
    return any(re.search(pattern, text, re.IGNORECASE | re.ASCII) for pattern in patterns)


def _steps(replay: Replay, query: Query) -> list[tuple[str, str]]:
    language = replay.language
    table = query.table
    return [
        (
            say(language, "Read the table", "读取数据表"),
            say(language, f"{table.name}, {len(table.columns)} columns", f"{table.name}，共 {len(table.columns)} 列"),
        ),
        (say(language, "Run the script", "运行脚本"), say(language, "it only reads data", "只读取数据")),
        (say(language, "Answer", "回答"), say(language, "with the numbers of the result", "给出结果中的数值")),
    ]
