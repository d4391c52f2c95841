"""Rules on single expressions and on the script as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from difflib import get_close_matches

from dolphin.script import syntax as s
from dolphin.script.builtin_names import BUILTIN_NAMES
from dolphin.script.lint.context import Context
from dolphin.script.lint.finding import Finding
from dolphin.script.lint.vocabulary import AGGREGATES, COMPARISONS
from dolphin.script.unparse import unparse

_MOST_UNKNOWN = 20


def expression_findings(node: s.Node, context: Context) -> Iterator[Finding]:
    if isinstance(node, s.Call) and isinstance(node.function, s.Name):
        yield from _call(node, node.function.id)
    elif isinstance(node, s.Binary):
        yield from _binary(node)
    elif isinstance(node, s.For):
        yield from _for(node)
    elif isinstance(node, s.Assign):
        yield from _assign(node, context)


def _call(node: s.Call, name: str) -> Iterator[Finding]:
    values = [argument.value for argument in node.arguments]
    first = values[0] if values else None
    if name == "count" and isinstance(first, s.Call) and unparse(first.function) == "distinct":
        inner = ", ".join(unparse(argument) for argument in first.arguments)
        message = "count(distinct x) does not count distinct values here: nunique does (true leaves NULL out)"
        yield Finding("count-distinct", message, node.span, f"nunique({inner}, true)", True)
    elif name in ("bar", "dailyAlignedBar") and len(values) > 1:
        interval = values[1]
        if isinstance(interval, s.Literal) and interval.type == "DURATION" and interval.value[1] in ("M", "y"):
            unit = "month" if interval.value[1] == "M" else "year"
            fix = f"{unit}({unparse(first)})" if first is not None else None
            message = (
                f"{name} takes no {unit}s (M is month, m is minute): group by {unit}(…), or write {interval.value[0]}m"
            )
            yield Finding("bar-month", message, node.span, fix, severity="error")
    elif name == "getTables" and isinstance(first, s.Literal) and str(first.value).startswith("dfs://"):
        fix = f"getDFSTablesByDatabase({unparse(first)})"
        message = "getTables takes a database handle; by path it is getDFSTablesByDatabase"
        yield Finding("get-tables", message, node.span, fix, True, "error")
    elif name == "createPartitionedTable" and any(argument.name == "engine" for argument in node.arguments):
        kept = tuple(argument for argument in node.arguments if argument.name != "engine")
        message = 'engine belongs to database(…, engine="TSDB"), not to the table'
        yield Finding("engine-argument", message, node.span, unparse(replace(node, arguments=kept)), True, "error")
    if node.style == "space" and len(values) == 1 and isinstance(first, s.Binary) and first.operator in COMPARISONS:
        applied = replace(node, arguments=(s.Argument(first.left, span=first.left.span),), style="call")
        fix = unparse(replace(first, left=applied))
        message = f"{name} without parentheses takes everything to its right as its argument"
        yield Finding("application", message, node.span, fix, True)


def _binary(node: s.Binary) -> Iterator[Finding]:
    left, right = node.left, node.right
    if node.operator in COMPARISONS and isinstance(left, s.Call) and unparse(left.function) == "month":
        numbers = [part for part in s.walk(right) if isinstance(part, s.Literal)]
        if numbers and all(part.type == "INT" and 1 <= (part.value or 0) <= 12 for part in numbers):
            fixed = replace(left, function=s.Name("monthOfYear", span=left.function.span))
            message = "month gives a MONTH such as 2024.03M; the number of the month is monthOfYear"
            yield Finding("month-number", message, node.span, unparse(replace(node, left=fixed)), True, "error")
    elif node.operator == "==" and isinstance(right, s.Literal) and right.type == "CHAR" and isinstance(left, s.Name):
        if right.value is not None and 32 <= right.value < 127 and right.span.end - right.span.start == 3:
            message = "single quotes around one character make a CHAR, not a string"
            yield Finding("char-literal", message, right.span, f'"{chr(right.value)}"', True)
    elif node.operator == "like" and isinstance(right, s.Literal) and "_" in str(right.value):
        fix = unparse(replace(node, right=replace(right, value=str(right.value).replace("_", "?"))))
        message = "in like, ? stands for one character and % for many; _ is itself, and case matters"
        yield Finding("like-underscore", message, node.span, fix)


def _for(node: s.For) -> Iterator[Finding]:
    values = node.values
    if isinstance(values, s.Binary) and values.operator == ":":
        low, high = values.left, values.right
        if isinstance(low, s.Literal) and isinstance(low.value, int) and low.value != 0:
            fix = f"{unparse(low)}..{unparse(high) if isinstance(high, (s.Literal, s.Name)) else f'({unparse(high)})'}"
            yield Finding("for-range", "a:b leaves b out in a loop; a..b has it", values.span, fix, severity="hint")


def _assign(node: s.Assign, context: Context) -> Iterator[Finding]:
    value = node.value
    if isinstance(value, s.Select) and value.kind == "select" and len(value.items) == 1 and value.grouping is None:
        call = value.items[0].value
        aggregate = isinstance(call, s.Call) and isinstance(call.function, s.Name) and call.function.id in AGGREGATES
        if aggregate and value.pivot is None:
            fix = unparse(replace(value, kind="exec"))
            yield Finding("exec-value", "select gives a table; exec gives the value", value.span, fix, severity="hint")
    for target in node.targets:
        if context.columns and isinstance(target, s.Name) and target.id.lower() in context.columns:
            message = f"{target.id} is also a column: inside a query the column wins, whatever the case"
            yield Finding("shadowed-variable", message, target.span, f"{target.id}_")


def script_findings(script: s.Script, context: Context) -> Iterator[Finding]:
    yield from _share_without_go(script, context)
    yield from _unknown_functions(script, context)
    yield from _tsdb(script)
    if script.statements:
        yield from _last(script.statements[-1], context)


def _share_without_go(script: s.Script, context: Context) -> Iterator[Finding]:
    pending: list[s.Share] = []
    for statement in script.statements:
        if isinstance(statement, s.Go):
            pending.clear()
        used = {node.id for node in s.walk(statement) if isinstance(node, s.Name)}
        for share in [item for item in pending if item.name in used]:
            pending.remove(share)
            fix = f"{context.text[share.span.start : share.span.end]}\ngo"
            message = f"a script is parsed as a whole: put go between share … as {share.name} and its first use"
            yield Finding("share-go", message, share.span, fix, True)
        if isinstance(statement, s.Share):
            pending.append(statement)


def _unknown_functions(script: s.Script, context: Context) -> Iterator[Finding]:
    if any(isinstance(node, s.Use) and not node.catalog for node in s.walk(script)):
        return
    seen: set[str] = set()
    for node in s.walk(script):
        if not isinstance(node, s.Call) or not isinstance(node.function, s.Name) or node.style == "method":
            continue
        name = node.function.id
        known = name in BUILTIN_NAMES or name in context.functions or name in context.assigned
        if known or "::" in name or name in seen or len(seen) >= _MOST_UNKNOWN:
            continue
        seen.add(name)
        close = get_close_matches(name, BUILTIN_NAMES, n=1, cutoff=0.8)
        message = f"no built-in function is named {name}" + (f"; did you mean {close[0]}?" if close else "")
        yield Finding("unknown-function", message, node.function.span, close[0] if close else None)


def _tsdb(script: s.Script) -> Iterator[Finding]:
    databases = [
        node
        for node in s.walk(script)
        if isinstance(node, s.Call) and isinstance(node.function, s.Name) and node.function.id == "database"
        if any(item.name == "engine" and unparse(item.value or node).upper() == '"TSDB"' for item in node.arguments)
    ]
    if not databases:
        return
    for node in s.walk(script):
        if isinstance(node, s.Call) and isinstance(node.function, s.Name):
            sorted_by = any(item.name == "sortColumns" for item in node.arguments) or len(node.arguments) > 6
            if node.function.id == "createPartitionedTable" and not sorted_by:
                column = s.Literal("STRING", "time", span=node.span)
                added = (*node.arguments, s.Argument(column, "sortColumns", span=node.span))
                message = "a TSDB table needs sortColumns, the last of them a time or an integer"
                fix = unparse(replace(node, arguments=added))
                yield Finding("sort-columns", message, node.span, fix, severity="error")


def _last(statement: s.Statement, context: Context) -> Iterator[Finding]:
    if isinstance(statement, s.Assign) and isinstance(statement.targets[0], s.Name):
        name = statement.targets[0].id
        fix = f"{context.text[statement.span.start : statement.span.end]}\n{name}"
        message = "an assignment gives nothing back: end with an expression"
        yield Finding("no-result", message, statement.span, fix, True, "hint")
    elif isinstance(statement, s.ExpressionStatement) and isinstance(statement.value, s.Select):
        query = statement.value
        bounded = query.top or query.limit or query.where or query.grouping or query.pivot
        aggregates = any(item.value is not None and isinstance(item.value, s.Call) for item in query.items)
        if query.source is not None and not bounded and not aggregates:
            limit = s.Literal("INT", 100, span=query.span)
            message = "the whole table comes back: aggregate, filter or limit it"
            yield Finding("whole-table", message, query.span, unparse(replace(query, limit=limit)), severity="hint")
