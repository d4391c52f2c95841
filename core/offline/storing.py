"""Files and stored tables: loading, exporting, saving, deleting."""

from __future__ import annotations

import re
from datetime import date
from pathlib import PurePosixPath
from typing import NoReturn

from core.offline import answers, scripts
from core.offline.execution import Execution, RefusedError, execute, propose
from core.offline.intents import database_url, file_path, new_name
from core.offline.language import say
from core.offline.lookup import choose_table, describe, failed, failure_text, labels, list_tables, mentioned_tables
from core.offline.querying import conditions_of
from core.offline.replay import Replay
from core.offline.schema import Column, Table, parse_description
from core.offline.unclear import UnableError

_PINNED_FILE = re.compile(r"^\W*file:\s*(\S.*?)(?:\s+\(|\s*$)", re.MULTILINE | re.IGNORECASE | re.ASCII)
_LOAD = re.compile(r"\b(?:load|import|read|open|ingest)\b|加载|导入|读取|载入|读入", re.IGNORECASE | re.ASCII)


def pinned_file(replay: Replay, text: str) -> str | None:
    """The pinned file a request to load something means, when it names no path."""
    if file_path(text) or not _LOAD.search(text):
        return None
    files = _PINNED_FILE.findall(replay.conversation.pinned)
    named = [path for path in files if PurePosixPath(path).stem.lower() in text.lower()]
    about_files = re.search(r"\b(?:csv|file|pinned|attached)\b|文件|附件", text, re.IGNORECASE | re.ASCII)
    found = named or (files if about_files else [])
    return found[0] if len(found) == 1 else None


def load_file(replay: Replay, text: str) -> None:
    language = replay.language
    path = file_path(text) or pinned_file(replay, text) or ""
    name = new_name(text.replace(path, " ")) or re.sub(r"\W", "_", PurePosixPath(path).stem)
    if not re.match(r"[A-Za-z]", name):
        name = f"table_{name}"
    script = scripts.load_file(path, name)
    step = say(language, f"{path} into the session table {name}", f"把 {path} 读入会话表 {name}")
    propose(replay, [(say(language, "Load the file", "加载文件"), step)], script)
    done = _run(replay, script, f"load {path}")
    rows = done.result.values("rows")
    count = rows[0] if rows else "?"
    head = say(language, f"{path} is loaded as {name}: {count} rows.", f"已把 {path} 加载为表 {name}，共 {count} 行。")
    if replay.has("describe_table"):
        described = replay.call("describe_table", table=name)
        if not failed(described):
            try:
                table = parse_description(described.result or "", Table(name, name, ()))
            except (ValueError, KeyError, TypeError):
                table = Table(name, name, ())
            if table.columns:
                columns = ", ".join(f"{column.name} {column.type}" for column in table.columns)
                head += "\n\n" + say(language, "Columns: ", "列：") + columns
    replay.made_table(name, head, answers.signed(language, head), script=done.script, artifact_ids=done.artifact_ids)


def export_file(replay: Replay, text: str) -> None:
    language = replay.language
    path = file_path(text) or ""
    tables, _ = list_tables(replay)
    table = choose_table(replay, text.replace(path, " "), tables)
    script = scripts.export_file(table, path)
    step = say(language, f"all rows of {table.name} to {path}", f"把表 {table.name} 的所有行写入 {path}")
    propose(replay, [(say(language, "Write the file", "写文件"), step)], script)
    done = _run(replay, script, f"export {table.name}")
    _finish(replay, say(language, f"{table.name} was written to {path}.", f"表 {table.name} 已写入 {path}。"), done)


def save_table(replay: Replay, text: str) -> None:
    """Create a partitioned table from a table and append its rows, in a new or an existing database."""
    language = replay.language
    url = database_url(text)
    if url is None:
        question = say(
            language,
            "Which database should it go to (such as dfs://market)?",
            "要保存到哪个数据库（例如 dfs://market）？",
        )
        answer = replay.ask(question)
        url = database_url(answer) or (f"dfs://{answer.strip()}" if re.fullmatch(r"\w+", answer.strip()) else None)
        if url is None:
            replay.finish(say(language, f"{answer!r} is no name of a database.", f"“{answer}”不是数据库名称。"))
    tables, databases = list_tables(replay)
    rest = text.replace(url, " ")
    name = new_name(rest)
    subject = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", " ", rest) if name and not _only_table(name, tables) else rest
    table = describe(replay, choose_table(replay, subject, tables))
    name = name or table.name
    stored = next((item for item in tables if _is_stored(item, url, name)), None)
    if stored is not None:
        _append(replay, table, stored, url)
    time = table.time
    by_time = time is not None and time.has_date and time.base_type != "MONTH"
    column = time if by_time and time is not None else table.key
    if column is None:
        replay.finish(
            answers.signed(
                language,
                say(
                    language,
                    f"{table.name} has neither a date nor a text column to partition by, which the offline rules need.",
                    f"表 {table.name} 既没有日期列也没有文本列，离线规则无法为其选择分区列。",
                ),
            )
        )
    propose(replay, _saving_steps(replay, table, url, name, column))
    partition = "" if url in databases else _partition(replay, table, column)
    script = replay.task.approved_script or scripts.save_table(table, url, name, partition, column)
    done = _run(replay, script, f"save {table.name} to {url}")
    rows = done.result.values("rows")
    count = rows[0] if rows else "?"
    head = say(
        language,
        f"{table.name} is saved as {name} in {url}: it holds {count} rows, partitioned by {column.name}. Read "
        f'it with `loadTable("{url}", "{name}")`.',
        f"表 {table.name} 已保存到 {url} 的 {name}，共 {count} 行，按 {column.name} 分区。读取方式："
        f'`loadTable("{url}", "{name}")`。',
    )
    _finish(replay, head, done)


def delete_rows(replay: Replay, text: str) -> None:
    language = replay.language
    tables, _ = list_tables(replay)
    table = describe(replay, choose_table(replay, text, tables))
    everything = re.search(r"\b(?:all|every|everything)\b|所有|全部|清空", text, re.IGNORECASE | re.ASCII) is not None
    wanted = re.sub(
        r"(?i)\b(?:delete|remove|erase|drop|all|every|everything)\b|删除|删掉|删|清空|清除|所有|全部", " ", text
    )
    try:
        query = conditions_of(replay, f"show {wanted}", table)
    except UnableError as unable:
        replay.finish(answers.signed(language, unable.sentence(language)))
    conditions = query.conditions
    if not conditions and not everything:
        question = say(
            language, f"Which rows of {table.name} should be deleted?", f"要删除表 {table.name} 中的哪些行？"
        )
        query = conditions_of(replay, f"show {replay.ask(question)}", table)
        conditions = query.conditions
    if query.notes or not (conditions or everything):
        said = "; ".join(say(language, *note) for note in query.notes)
        text = say(
            language,
            "I did not delete anything, since I may have misunderstood which rows are meant "
            f"({said or 'no condition found'}). "
            "Give the condition as, for example, `sym is AAPL and price above 100`.",
            f"没有删除任何数据，因为可能误解了条件（{said or '没有找到条件'}）。请写明条件，例如“sym 为 AAPL "
            "且 price 大于 100”。",
        )
        replay.finish(answers.signed(language, text))
    script = scripts.delete_rows(table, conditions)
    shown = " and ".join(conditions) or say(language, "all rows", "所有行")
    propose(replay, [(say(language, "Delete rows", "删除行"), f"{table.name}: {shown}")], script)
    done = _run(replay, replay.task.approved_script or script, f"delete rows of {table.name}")
    left = done.result.values("rows_left")
    count = left[0] if left else "?"
    before = "" if table.rows is None else say(language, f" of {table.rows}", f"（原有 {table.rows} 行）")
    head = say(
        language,
        f"Deleted from {table.name}: {shown}. {count} rows{before} are left.",
        f"已从表 {table.name} 删除：{shown}。剩余 {count} 行{before}。",
    )
    _finish(replay, head, done)


def drop(replay: Replay, text: str) -> None:
    """Drop a table that is named, or a database; never one that was guessed."""
    language = replay.language
    tables, databases = list_tables(replay)
    url = database_url(text)
    rest = text.replace(url, " ") if url else text
    named = [
        t for t in mentioned_tables(rest, tables) if url is None or url in t.reference or not _of_url(tables, t, url)
    ]
    if named:
        table = named[0]
        script, what = scripts.drop_table(table), say(language, f"the table {table.name}", f"表 {table.name}")
    elif url is not None and re.search(r"\bdatabase\b|\bdb\b|库", text, re.IGNORECASE | re.ASCII):
        if url not in databases:
            known = ", ".join(databases) or say(language, "none", "无")
            replay.finish(
                answers.signed(
                    language,
                    say(
                        language,
                        f"There is no database {url}. Databases: {known}.",
                        f"没有数据库 {url}。已有数据库：{known}。",
                    ),
                )
            )
        script, what = scripts.drop_database(url), say(language, f"the database {url}", f"数据库 {url}")
    else:
        names = labels(tables)
        if not names:
            replay.finish(answers.signed(language, say(language, "There is no table to drop.", "没有可以删除的表。")))
        answer = replay.choice(say(language, "Which table should be dropped?", "要删除哪张表？"), names)
        chosen = mentioned_tables(answer, tables)
        if not chosen:
            replay.finish(answers.signed(language, say(language, "Nothing was dropped.", "没有删除任何表。")))
        script, what = (
            scripts.drop_table(chosen[0]),
            say(language, f"the table {chosen[0].name}", f"表 {chosen[0].name}"),
        )
    propose(replay, [(say(language, "Drop", "删除"), what)], script)
    done = _run(replay, replay.task.approved_script or script, f"drop {what}")
    if done.result.scalar in ("true", "1"):
        _finish(
            replay,
            say(language, f"The script ran, but {what} is still there.", f"脚本已运行，但{what}仍然存在。"),
            done,
        )
    _finish(replay, say(language, f"Dropped {what}.", f"已删除{what}。"), done)


def _append(replay: Replay, table: Table, stored: Table, url: str) -> NoReturn:
    language = replay.language
    options = [say(language, "append to it", "追加到该表"), say(language, "stop", "停止")]
    question = say(
        language,
        f"The table {stored.name} exists already in {url}. Append the rows of {table.name} to it?",
        f"数据库 {url} 中已有表 {stored.name}。要把 {table.name} 的行追加进去吗？",
    )
    answer = replay.choice(question, options)
    if not re.search(r"append|yes|追加|是|好", answer, re.IGNORECASE | re.ASCII):
        replay.finish(answers.signed(language, say(language, "Nothing was saved.", "没有保存任何数据。")))
    wanted = [column.name.lower() for column in stored.columns]
    if wanted and wanted != [column.name.lower() for column in table.columns]:
        text = say(
            language,
            f"The columns of {stored.name} ({', '.join(wanted)}) differ from those of {table.name}; append! "
            "goes by position, so nothing was saved.",
            f"表 {stored.name} 的列（{', '.join(wanted)}）与 {table.name} 不同；append! 按位置追加，因此没有保存。",
        )
        replay.finish(answers.signed(language, text))
    script = scripts.append_rows(table, stored)
    propose(replay, [(say(language, "Append rows", "追加行"), f"{table.name} → {stored.reference}")], script)
    done = _run(replay, script, f"append {table.name} to {stored.name}")
    rows = done.result.values("rows")
    count = rows[0] if rows else "?"
    _finish(
        replay,
        say(language, f"Appended; {stored.name} now has {count} rows.", f"已追加，{stored.name} 现有 {count} 行。"),
        done,
    )


def _partition(replay: Replay, table: Table, column: Column) -> str:
    """Type and scheme of the partitions: by the days or months the rows span, else by hash."""
    if not column.is_time:
        return scripts.partition_by_key(column)
    done = _run(replay, scripts.extent(table, column), "the span of time, for the partitions")
    days = [_date(value) for name in ("first_day", "last_day") for value in done.result.values(name)]
    if len(days) != 2 or days[0] is None or days[1] is None:
        language = replay.language
        replay.finish(
            answers.signed(
                language,
                say(
                    language,
                    f"The span of {column.name} is unknown (is {table.name} empty?), so I cannot choose partitions.",
                    f"无法确定 {column.name} 的时间范围（{table.name} 是否为空？），因此无法选择分区。",
                ),
            )
        )
    return scripts.partition_by_time(days[0], days[1])


def _date(text: str) -> date | None:
    match = re.match(r"(\d{4})[.\-/](\d{2})(?:[.\-/](\d{2}))?", text)
    return date(int(match[1]), int(match[2]), int(match[3] or 1)) if match else None


def _saving_steps(replay: Replay, table: Table, url: str, name: str, column: Column) -> list[tuple[str, str]]:
    language = replay.language
    return [
        (
            say(language, "Choose partitions", "选择分区"),
            say(language, f"from the values of {column.name}", f"根据 {column.name} 的取值"),
        ),
        (
            say(language, "Create the table and append the rows", "建表并写入"),
            say(
                language,
                f"{table.name} to {name} in {url}; this writes stored data",
                f"把 {table.name} 写入 {url} 的 {name}，会修改存储的数据",
            ),
        ),
        (say(language, "Check", "检查"), say(language, "count the stored rows", "统计已保存的行数")),
    ]


def _only_table(name: str, tables: list[Table]) -> bool:
    return [table.name for table in tables] == [name]


def _is_stored(table: Table, url: str, name: str) -> bool:
    return (
        table.name == name
        and table.reference.startswith("loadTable")
        and re.search(rf"[\"'`]{re.escape(url)}[\"'`]", table.reference) is not None
    )


def _of_url(tables: list[Table], table: Table, url: str) -> bool:
    return any(_is_stored(other, url, table.name) for other in tables)


def _run(replay: Replay, script: str, purpose: str) -> Execution:
    try:
        return execute(replay, script, purpose, repair=False)
    except RefusedError as refused:
        replay.finish(answers.refused(replay.language, refused.reason, refused.script), script=refused.script)


def _finish(replay: Replay, text: str, done: Execution) -> NoReturn:
    notes = answers.remarks(replay.language, done.notes)
    replay.finish(
        answers.signed(replay.language, f"{text}\n\n{notes}" if notes else text),
        script=done.script,
        artifact_ids=done.artifact_ids,
    )


__all__ = ["delete_rows", "drop", "export_file", "failure_text", "load_file", "pinned_file", "save_table"]
