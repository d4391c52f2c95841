"""Rules on queries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dolphin.script import syntax as s
from dolphin.script.lint.context import Context
from dolphin.script.lint.finding import Finding
from dolphin.script.lint.vocabulary import AGGREGATES, COMPARISONS, INTEGER_RESULTS, INTEGER_TYPES, is_sequence_function
from dolphin.script.unparse import unparse


def query_findings(node: s.Node, context: Context) -> Iterator[Finding]:
    if isinstance(node, s.Select):
        yield from _select(node, context)
    elif isinstance(node, s.Delete):
        yield from _delete(node)
    if isinstance(node, (s.Select, s.Update, s.Delete)):
        yield from _where(node, context)


def _select(node: s.Select, context: Context) -> Iterator[Finding]:
    if node.top is not None:
        yield from _top(node)
    if node.grouping is not None and node.grouping.kind == "group":
        yield from _group_by(node, node.grouping)
    if node.pivot is not None and node.top is not None:
        yield Finding("pivot-top", "top has no meaning with pivot by", node.span, unparse(replace(node, top=None)))
    if node.pivot is not None and not any(_calls(item, AGGREGATES) for item in node.items):
        message = "pivot by keeps the last of several values for one cell: aggregate them"
        yield Finding("pivot-duplicates", message, node.pivot.span, severity="hint")
    for item in node.items:
        if isinstance(item.value, s.Literal) and item.value.type == "STRING" and node.source and not item.aliases:
            text = item.value.value
            if context.columns is None or text.lower() in context.columns:
                fix = text if text.isidentifier() else f'_"{text}"'
                message = 'quotes make a constant: a column is its plain name, or _"…"'
                yield Finding("quoted-column", message, item.span, fix, context.columns is not None)
        for part in s.walk(item):
            yield from _division(part, context)
    if node.source is not None:
        yield from _joins(node.source)


def _top(node: s.Select) -> Iterator[Finding]:
    if node.limit is not None:
        message = "a query has top or limit, not both"
        yield Finding("top-limit", message, node.span, unparse(replace(node, top=None)), severity="error")
    elif not all(isinstance(part, (s.Literal, s.Binary)) for part in s.walk(node.top or node)):
        fixed = unparse(replace(node, top=None, limit=node.top))
        message = "top takes a constant; limit takes a variable"
        yield Finding("top-variable", message, node.span, fixed, True, "error")


def _group_by(node: s.Select, grouping: s.Grouping) -> Iterator[Finding]:
    for item in node.items:
        if item.value is not None and (call := _unaggregated_sequence(item.value)):
            keys = ",".join(unparse(key) for key in grouping.keys)
            message = f"{call} gives one value per row: use context by (and csort for the order), and select the keys"
            yield Finding("group-by-rolling", message, grouping.span, f"context by {keys} csort …", severity="error")
            return
    names = {unparse(key) for key in grouping.keys}
    repeated = [item for item in node.items if item.value is not None and not item.aliases and unparse(item) in names]
    if repeated and len(repeated) < len(node.items):
        fixed = replace(node, items=tuple(item for item in node.items if item not in repeated))
        message = "group by adds its keys to the result: do not select them again"
        yield Finding("group-keys", message, node.span, unparse(fixed), True, "hint")
    if node.distinct:
        fix = unparse(replace(node, distinct=False))
        yield Finding("distinct-group", "distinct is not supported with group by", node.span, fix, True, "error")


def _where(node: s.Select | s.Update | s.Delete, context: Context) -> Iterator[Finding]:
    late = [condition for condition in node.where[1:] if _calls(condition, None)]
    if late:
        joined = node.where[0]
        for condition in node.where[1:]:
            joined = s.Binary("and", joined, condition, span=node.span)
        first, last = node.where[0].span, node.where[-1].span
        span = replace(first, end=last.end)
        whole = context.text[span.start : span.end]
        message = "a comma filters first, and the function then sees only the rows left: join the conditions with and"
        balanced = whole.count("(") == whole.count(")")
        yield Finding("sequence-filter", message, span, unparse(joined), balanced)
    for condition in node.where:
        yield from _condition(condition, node, context)


def _condition(condition: s.Expression, node: s.Select | s.Update | s.Delete, context: Context) -> Iterator[Finding]:
    aggregate = _calls(condition, AGGREGATES)
    if aggregate and not isinstance(node, s.Delete) and not getattr(node, "grouping", None):
        message = (
            f"{aggregate} in where sees the whole column (and fails on a partitioned table): use having, or query first"
        )
        yield Finding("aggregate-where", message, condition.span, f"having {unparse(condition)}")
    stored = isinstance(node, s.Select) and context.is_stored(node.source)
    for part in _outside_queries(condition):
        if not isinstance(part, s.Binary):
            continue
        left, right = part.left, part.right
        if part.operator == "==" and isinstance(left, s.Name) and isinstance(right, s.Name):
            if left.id.lower() == right.id.lower():
                message = (
                    "inside a query both names mean the column (case does not matter): the condition is always true"
                )
                fix = f"{left.id} = {right.id}_"
                yield Finding("shadowed-variable", message, part.span, fix, severity="error")
        elif (
            part.operator in ("<", "<=")
            and isinstance(left, s.Name)
            and _is_number(right)
            and not _checks_null(condition)
        ):
            message = "NULL is less than any value, so it passes this condition"
            fix = f"{unparse(part)} and isValid({left.id})"
            yield Finding("null-less-than", message, part.span, fix, severity="hint")
        if stored:
            yield from _pruning(part)


def _pruning(part: s.Binary) -> Iterator[Finding]:
    left, right = part.left, part.right
    if (
        part.operator == "&&"
        and isinstance(left, s.Binary)
        and isinstance(right, s.Binary)
        and left.right is right.left
    ):
        low, high = (left.left, right.right) if left.operator[0] == "<" else (right.right, left.left)
        fix = f"{unparse(left.right)} between {unparse(low)} : {unparse(high)}"
        yield Finding("pruning", "a chained comparison does not prune partitions", part.span, fix)
    elif part.operator in COMPARISONS and isinstance(left, s.Binary) and left.operator in ("+", "-"):
        if isinstance(left.left, s.Name) and isinstance(left.right, s.Literal):
            opposite = "-" if left.operator == "+" else "+"
            moved = s.Binary(opposite, right, left.right, span=part.span)
            fix = unparse(s.Binary(part.operator, left.left, moved, span=part.span))
            yield Finding("pruning", "arithmetic on the column does not prune partitions: move it over", part.span, fix)
    elif part.operator in COMPARISONS and isinstance(left, s.Call) and unparse(left.function) == "temporalFormat":
        column = left.arguments[0].value
        if column is not None:
            fix = f"date({unparse(column)}) == 2024.01.01"
            yield Finding("pruning", "temporalFormat does not prune partitions: compare with a date", part.span, fix)
    elif part.operator in ("or", "||") and _columns(left) and _columns(right) and _columns(left) != _columns(right):
        yield Finding("pruning", "or between different columns does not prune partitions", part.span, severity="hint")


def _delete(node: s.Delete) -> Iterator[Finding]:
    if not node.where:
        message = "delete without where removes every row"
        yield Finding("delete-all", message, node.span, f"{unparse(node)} where …")


def _division(node: s.Node, context: Context) -> Iterator[Finding]:
    if not isinstance(node, s.Binary) or node.operator != "/":
        return
    if _is_integer(node.left, context) and _is_integer(node.right, context):
        fix = unparse(replace(node, operator="\\"))
        yield Finding("integer-division", "/ on integers drops the fraction; \\ keeps it", node.span, fix, True)


def _joins(source: s.Source | s.Join) -> Iterator[Finding]:
    if isinstance(source, s.Join):
        yield from _joins(source.left)
        yield from _joins(source.right)
        return
    call = source.value
    if not isinstance(call, s.Call) or not isinstance(call.function, s.Name):
        return
    values = [argument.value for argument in call.arguments]
    if call.function.id == "aj" and len(values) > 1 and isinstance(values[1], (s.Name, s.Call)):
        keys = values[-1]
        order = (
            ",".join(str(item.value) for item in keys.items if isinstance(item, s.Literal))
            if isinstance(keys, s.VectorLiteral)
            else "time"
        )
        right = unparse(values[1])
        fix = unparse(call).replace(right, f"(select * from {right} order by {order})", 1)  # noqa: S608
        message = "aj needs its right table sorted by time within the keys, and the time column last among them"
        yield Finding("aj-sort", message, call.span, fix, severity="hint")
    elif call.function.id == "lj":
        fix = f"lsj({', '.join(unparse(argument) for argument in call.arguments)})"
        message = "lj repeats a row for every match; lsj keeps one"
        yield Finding("lj-lookup", message, call.span, fix, severity="hint")
    elif call.function.id in ("wj", "pwj") and len(values) > 3 and isinstance(values[3], (s.Call, s.VectorLiteral)):
        inner = values[3]
        items = unparse(inner) if isinstance(inner, s.VectorLiteral) else f"[{unparse(inner)}]"
        message = "the aggregates of a window join are quoted code"
        yield Finding("wj-code", message, inner.span, f"<{items}>", True, "error")


# --- what an expression holds


def _outside_queries(node: s.Node) -> Iterator[s.Node]:
    pending: list[s.Node] = [node]
    while pending:
        current = pending.pop()
        yield current
        pending.extend(child for child in s.children(current) if not isinstance(child, (s.Select, s.Lambda, s.Quote)))


def _calls(node: s.Node, names: frozenset[str] | None) -> str | None:
    """The first function called that is one of `names`, or, without names, whose value depends on the row order."""
    for part in _outside_queries(node):
        if isinstance(part, s.Call) and isinstance(part.function, s.Name):
            name = part.function.id
            if is_sequence_function(name) if names is None else name in names:
                return name
    return None


def _unaggregated_sequence(node: s.Node) -> str | None:
    pending = [node]
    while pending:
        current = pending.pop()
        if isinstance(current, s.Call) and isinstance(current.function, s.Name):
            if current.function.id in AGGREGATES:
                continue
            if is_sequence_function(current.function.id):
                return current.function.id
        pending.extend(child for child in s.children(current) if not isinstance(child, (s.Select, s.Lambda)))
    return None


def _checks_null(condition: s.Expression) -> bool:
    return _calls(condition, frozenset({"isValid", "isNull"})) is not None


def _is_number(node: s.Expression) -> bool:
    return (
        isinstance(node, s.Literal)
        and node.type in ("INT", "LONG", "SHORT", "DOUBLE", "FLOAT")
        and node.value is not None
    )


def _columns(node: s.Expression) -> frozenset[str]:
    return frozenset(part.id.lower() for part in _outside_queries(node) if isinstance(part, s.Name))


def _is_integer(node: s.Expression, context: Context) -> bool:
    if isinstance(node, s.Literal):
        return node.type in ("INT", "LONG", "SHORT")
    if isinstance(node, s.Name):
        return (context.columns or {}).get(node.id.lower(), "") in INTEGER_TYPES
    if isinstance(node, s.Call) and isinstance(node.function, s.Name) and node.arguments:
        if node.function.id in ("count", "size", "nunique"):
            return True
        value = node.arguments[0].value
        return node.function.id in INTEGER_RESULTS and value is not None and _is_integer(value, context)
    return (
        isinstance(node, s.Binary)
        and node.operator in ("+", "-", "*", "%")
        and (_is_integer(node.left, context) and _is_integer(node.right, context))
    )
