"""Answers in words, from results."""

from __future__ import annotations

from collections.abc import Sequence

from core.offline.language import Language, say
from core.offline.lexicon import AGGREGATE_NAMES
from core.offline.query import Query
from core.offline.results import NULL, Result, as_number
from core.offline.schema import Table

SHOWN_ROWS = 15


def counted(count: int | str, noun: str) -> str:
    return f"{count} {noun}" if str(count) == "1" else f"{count} {noun}s"


def signed(language: Language, text: str) -> str:
    signature = say(
        language,
        "Answered by the offline model (rules, no language model).",
        "由离线模型（基于规则，不是大语言模型）回答。",
    )
    return f"{text.rstrip()}\n\n_{signature}_"


def capabilities(language: Language) -> str:
    return say(
        language,
        "I am the offline model of ddb-agent: a set of rules, not a language model. I can\n"
        "- list and describe tables, show rows, count rows, list distinct values;\n"
        "- aggregate (average, total, maximum, minimum, median, standard deviation, count) by columns, days, months …, "
        "with conditions on values, numbers and dates, and rank the results;\n"
        "- compute VWAP, OHLC bars, moving averages, returns, correlations and drawdowns;\n"
        "- create sample data, load a CSV file, save a table to a database, delete rows, drop tables;\n"
        "- run a script you give me (in ``` fences, or after `run:`);\n"
        "- quote DolphinDB's documentation (`how do I compute a moving average per symbol?`, `documentation of mavg`), "
        "once `ddb-agent kb build` has indexed it;\n"
        "- rent a DolphinDB server (`give me a 4-core DolphinDB for two hours`), list, use, extend and delete "
        "environments, write the last script to the workspace.\n"
        "For free conversation, set up a real model: point `DDB_AGENT_MODELS` at a model file with an entry for any "
        "OpenAI-compatible endpoint (`model`, `base_url`, `api_key_env`) and restart.",
        "我是 ddb-agent 的离线模型：由规则组成，不是大语言模型。我可以\n"
        "- 列出和描述表、显示数据行、统计行数、列出不同的取值；\n"
        "- 按列、按天、按月等分组聚合（平均、总和、最大、最小、中位数、标准差、计数），可加条件（取值、数值、"
        "日期）并排名；\n"
        "- 计算 VWAP、K 线、移动平均、收益率、相关系数、最大回撤；\n"
        "- 生成示例数据、加载 CSV 文件、把表保存到数据库、删除行、删除表；\n"
        "- 运行您给出的脚本（放在 ``` 中，或写在“运行:”之后）；\n"
        "- 引用 DolphinDB 文档（“怎么做 asof join”、“mavg 的用法”），需先用 `ddb-agent kb build` 建立索引；\n"
        "- 租用 DolphinDB 服务器（“给我一个4核的DolphinDB用两个小时”），列出、使用、延长和删除环境，"
        "把脚本写入工作区。\n"
        "需要自由对话时请配置真正的模型：用 `DDB_AGENT_MODELS` 指定模型文件，写入任意 OpenAI 兼容接口的 "
        "`model`、`base_url`、`api_key_env`，然后重新启动。",
    )


def not_understood(language: Language) -> str:
    return say(language, "I did not understand this.", "我没有理解这个问题。") + "\n\n" + capabilities(language)


def remarks(language: Language, notes: Sequence[tuple[str, str]]) -> str:
    """Assumptions and corrections, one to a line."""
    return "\n".join(say(language, f"Note: {en}.", f"说明：{zh}。") for en, zh in notes)


def query_answer(language: Language, query: Query, result: Result, notes: Sequence[tuple[str, str]]) -> str:
    parts = [_headline(language, query, result)]
    if result.is_table and result.row_count and not _is_single(result):
        parts.append(result.markdown(SHOWN_ROWS))
        parts.append(_rest(language, result))
    if query.conditions:
        conditions = " and ".join(query.conditions)
        parts.append(say(language, f"Condition: `{conditions}`", f"条件：`{conditions}`"))
    parts.append(remarks(language, notes))
    return signed(language, "\n\n".join(part for part in parts if part))


def script_answer(language: Language, result: Result, notes: Sequence[tuple[str, str]] = ()) -> str:
    """The answer to a script that was run as given."""
    if result.is_table:
        head = say(
            language,
            f"The script returned a table with {counted(result.row_count, 'row')} and "
            f"{counted(len(result.columns), 'column')}.",
            f"脚本返回一张表，共 {result.row_count} 行、{len(result.columns)} 列。",
        )
        parts = [head, result.markdown(SHOWN_ROWS) if result.row_count else "", _rest(language, result)]
    elif result.scalar is not None:
        parts = [say(language, f"The script returned {result.scalar}.", f"脚本返回 {result.scalar}。")]
    elif result.form == "NOTHING":
        parts = [say(language, "The script ran and returned nothing.", "脚本已运行，没有返回值。")]
    else:
        parts = [say(language, "The script returned:", "脚本返回：") + f"\n\n```\n{result.text.strip()}\n```"]
    return signed(language, "\n\n".join(part for part in (*parts, remarks(language, notes)) if part))


def refused(language: Language, reason: str, script: str) -> str:
    """The answer when a human did not let a script run."""
    because = say(language, f": {reason}", f"：{reason}") if reason else say(language, ".", "。")
    head = say(
        language, f"I did not run this script, since it was rejected{because}", f"脚本被拒绝，因此没有运行{because}"
    )
    asks = say(language, "Tell me what to do instead.", "请告诉我应该怎么做。")
    return signed(language, f"{head}\n\n```dolphindb\n{script}\n```\n{asks}")


def tables_answer(language: Language, tables: Sequence[Table], databases: Sequence[str]) -> str:
    if not tables and not databases:
        return signed(
            language,
            say(
                language,
                "There are no tables and no databases yet. I can create sample data (`create sample trades "
                "data`) or load a CSV "
                "file (`load /path/file.csv as stocks`).",
                "目前没有任何表和数据库。我可以生成示例数据（“生成一份交易示例数据”），或加载 CSV 文件（“把 "
                "/path/file.csv 加载为表 stocks”）。",
            ),
        )
    lines = (
        [
            say(
                language,
                f"There {'is' if len(tables) == 1 else 'are'} {counted(len(tables), 'table')}:",
                f"共有 {len(tables)} 张表：",
            )
        ]
        if tables
        else []
    )
    for table in tables:
        columns = ", ".join(f"{column.name} {column.type}".strip() for column in table.columns)
        rows = "" if table.rows is None else say(language, f", {counted(table.rows, 'row')}", f"，{table.rows} 行")
        reference = "" if table.reference == table.name else f" `{table.reference}`"
        lines.append(f"- {table.name}{reference} ({table.kind or 'table'}{rows}): {columns}")
    if databases:
        lines.append(say(language, "Databases: ", "数据库：") + ", ".join(databases))
    return signed(language, "\n".join(lines))


def description_answer(language: Language, table: Table) -> str:
    rows = (
        "" if table.rows is None else say(language, f" It has {counted(table.rows, 'row')}.", f"共 {table.rows} 行。")
    )
    head = (
        say(
            language,
            f"{table.name} has {counted(len(table.columns), 'column')}.",
            f"表 {table.name} 有 {len(table.columns)} 列。",
        )
        + rows
    )
    names = (say(language, "column", "列"), say(language, "type", "类型"), say(language, "sample values", "示例值"))
    lines = ["| " + " | ".join(names) + " |", "|---|---|---|"]
    for column in table.columns:
        samples = ", ".join(table.samples.get(column.name, ())[:3])
        lines.append(f"| {column.name} | {column.type} | {samples} |")
    reference = (
        ""
        if table.reference == table.name
        else "\n\n" + say(language, "In script: ", "脚本中的写法：") + f"`{table.reference}`"
    )
    return signed(language, f"{head}\n\n" + "\n".join(lines) + reference)


def _is_single(result: Result) -> bool:
    return result.row_count == 1 and len(result.rows) == 1 and len(result.columns) <= 3


def _rest(language: Language, result: Result) -> str:
    shown = min(len(result.rows), SHOWN_ROWS)
    if shown >= result.row_count:
        return ""
    text = say(
        language, f"{shown} of {result.row_count} rows are shown.", f"共 {result.row_count} 行，此处显示 {shown} 行。"
    )
    if result.statistics:
        text += " " + say(language, "Over all rows: ", "全部行的统计：") + result.statistics
    if result.artifact:
        text += " " + say(language, "The full result is attached.", "完整结果见附件。")
    return text


def _headline(language: Language, query: Query, result: Result) -> str:
    table = query.table.name
    if result.scalar is not None:
        return say(language, f"The result is {result.scalar}.", f"结果是 {result.scalar}。")
    if not result.is_table:
        return say(language, "The result:", "结果：") + f"\n\n```\n{result.text.strip()}\n```"
    if result.row_count == 0:
        return say(language, f"No rows of {table} match.", f"表 {table} 中没有符合条件的行。")
    if query.kind == "count":
        count = result.rows[0][-1]
        if query.conditions:
            return say(language, f"{counted(count, 'row')} of {table} match.", f"表 {table} 中有 {count} 行符合条件。")
        return say(language, f"{table} has {counted(count, 'row')}.", f"表 {table} 共有 {count} 行。")
    if query.kind == "distinct":
        name = query.columns[0].name
        if query.function == "count":
            count = result.rows[0][-1]
            return say(language, f"{name} has {counted(count, 'distinct value')}.", f"{name} 共有 {count} 个不同的值。")
        count = str(result.row_count)
        return say(
            language,
            f"{name} has {counted(count, 'distinct value')}, with their rows:",
            f"{name} 共有 {count} 个不同的值及其行数：",
        )
    if query.kind == "rows":
        count = str(result.row_count)
        if query.order:
            ends = ("highest", "最高") if query.descending else ("lowest", "最低")
            return say(
                language,
                f"The {count} rows of {table} with the {ends[0]} {query.order}:",
                f"表 {table} 中 {query.order} {ends[1]}的 {count} 行：",
            )
        which = ("last", "最后") if query.from_end else ("first", "前")
        matching = say(language, " that match", "符合条件的") if query.conditions else ""
        return say(
            language,
            f"The {which[0]} {count} rows of {table}{matching}:",
            f"表 {table} {matching}{which[1]} {count} 行：",
        )
    if _is_single(result):
        pairs = [
            f"{_label(language, query, name)}: {value}"
            for name, value in zip(result.columns, result.rows[0], strict=True)
        ]
        return say(language, "; ".join(pairs) + ".", "；".join(pairs) + "。")
    return _grouped_headline(language, query, result)


def _grouped_headline(language: Language, query: Query, result: Result) -> str:
    keys = [group.alias for group in query.groups if group.alias in result.columns]
    measures = [name for name in result.columns if name not in keys]
    subject = {
        "vwap": ("VWAP", "VWAP"),
        "ohlc": ("OHLC bars", "K 线"),
        "moving": (
            f"Moving {query.function} over {query.window} rows",
            f"{query.window} 行移动{AGGREGATE_NAMES[query.function][1]}",
        ),
        "returns": ("Returns", "收益率"),
        "total_return": ("Returns from the first to the last price", "首末价格之间的收益率"),
        "correlation": ("Correlations", "相关系数"),
        "pair_correlation": (f"Correlation of {' and '.join(query.symbols)}", f"{'、'.join(query.symbols)} 的相关系数"),
        "drawdown": ("Maximum drawdowns", "最大回撤"),
    }.get(query.kind)
    what = (
        say(language, *subject)
        if subject
        else say(language, ", ", "、").join(_label(language, query, name) for name in measures)
    )
    by = say(language, f" by {', '.join(keys)}", f"（按 {'、'.join(keys)}）") if keys else ""
    head = say(
        language,
        f"{what[:1].upper()}{what[1:]}{by}, {counted(result.row_count, 'row')}.",
        f"{what}{by}，共 {result.row_count} 行。",
    )
    best = _extremes(language, query, result, keys)
    return f"{head} {best}" if best else head


def _extremes(language: Language, query: Query, result: Result, keys: Sequence[str]) -> str:
    """Which group is first, and which last; only from complete results."""
    measure = query.order or (result.columns[-1] if query.kind not in ("ohlc", "moving", "rows") else "")
    if not keys or measure not in result.columns or not result.complete or result.row_count < 2:
        return ""
    pairs = [
        (number, row)
        for row, value in zip(result.rows, result.values(measure), strict=True)
        if value != NULL and (number := as_number(value)) is not None
    ]
    if len(pairs) < 2:
        return ""
    places = [result.columns.index(key) for key in keys]

    def shown(row: Sequence[str]) -> str:
        return f"{' / '.join(row[place] for place in places)} ({row[result.columns.index(measure)]})"

    high, low = max(pairs, key=lambda pair: pair[0])[1], min(pairs, key=lambda pair: pair[0])[1]
    name = _label(language, query, measure)
    if query.order and query.limit:
        first = high if query.descending else low
        ends = ("Highest", "最高") if query.descending else ("Lowest", "最低")
        return say(language, f"{ends[0]} {name}: {shown(first)}.", f"{name}{ends[1]}：{shown(first)}。")
    return say(
        language,
        f"Highest {name}: {shown(high)}; lowest: {shown(low)}.",
        f"{name}最高：{shown(high)}；最低：{shown(low)}。",
    )


def _label(language: Language, query: Query, name: str) -> str:
    for aggregate in query.aggregates:
        if aggregate.alias == name and aggregate.column is not None:
            english, chinese = AGGREGATE_NAMES[aggregate.function]
            return say(language, f"{english} {aggregate.column.name}", f"{aggregate.column.name} 的{chinese}")
    known = {
        "rows": ("rows", "行数"),
        "vwap": ("VWAP", "VWAP"),
        "max_drawdown": ("maximum drawdown", "最大回撤"),
        "correlation": ("correlation", "相关系数"),
        "return_rate": ("return", "收益率"),
    }
    return say(language, *known[name]) if name in known else name
