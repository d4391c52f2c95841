"""Joins in the from clause, as functions (`ej(t1, t2, `k)`) and in standard syntax."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dolphin.script import syntax
from engine.errors import CallError, ScriptError
from engine.grouping import stable_order
from engine.interpreter.scope import Scope
from engine.limits import check_allocation
from engine.sql import matching, resolve, window_join
from engine.sql.evaluation import Executor, boolean_mask
from engine.sql.frame import Field, Frame, RowScope, joined_names
from engine.sql.pruning import Need
from engine.sql.rewrite import prepare
from engine.values import NOTHING, AnyVector, Array, Column, Scalar, Value, Vector

EQUAL_JOINS = ("ej", "sej", "lj", "lsj", "fj", "rj")
WINDOW_JOINS = ("wj", "pwj")
JOIN_FUNCTIONS = frozenset((*EQUAL_JOINS, *WINDOW_JOINS, "aj", "cj"))
PARAMETERS = ("leftTable", "rightTable", "matchingCols", "rightMatchingCols", "leftFilter", "rightFilter")
WINDOW_PARAMETERS = ("leftTable", "rightTable", "window", "aggs", "matchingCols", "rightMatchingCols")
STANDARD_JOINS = {"inner": "ej", "left": "lj", "left outer": "lj", "left semi": "lsj", "right": "rj", "full": "fj"}


def function_join(node: syntax.Call, executor: Executor, scope: Scope, need: Need) -> Frame:
    """A join function in a from clause, where tables keep their names."""
    assert isinstance(node.function, syntax.Name)
    name = node.function.id
    nodes = _bound(name, node.arguments)
    left_node, right_node = nodes.get("leftTable"), nodes.get("rightTable")
    if left_node is None or right_node is None:
        raise CallError(f"Usage: {usage(name)}. Two tables are required.")
    left = resolve.resolve_expression(
        left_node, resolve.default_alias(left_node), executor, scope, _unaliased(need, nodes)
    )
    right = resolve.resolve_expression(
        right_node, resolve.default_alias(right_node), executor, scope, _unaliased(need, nodes).without_conditions()
    )

    def evaluated(parameter: str, frame: Frame | None = None) -> Value:
        each = nodes.get(parameter)
        if each is None:
            return NOTHING
        return (
            executor.evaluate(prepare(each, frame), RowScope(frame, scope)) if frame else executor.evaluate(each, scope)
        )

    arguments = {
        parameter: evaluated(parameter, {"leftFilter": left, "rightFilter": right}.get(parameter))
        for parameter in ("matchingCols", "rightMatchingCols", "leftFilter", "rightFilter", "window", "aggs")
    }
    return join_frames(name, left, right, arguments, executor, scope)


def _unaliased(need: Need, nodes: dict[str, syntax.Expression]) -> Need:
    """Columns named by strings, as join columns are, count as needed."""
    if need.names is None:
        return need
    names = set(need.names)
    for node in nodes.values():
        for each in syntax.walk(node):
            if isinstance(each, syntax.Literal) and isinstance(each.value, str):
                names.add(each.value.lower())
            elif isinstance(each, syntax.Name):
                names.add(each.id.lower())
            elif isinstance(each, syntax.Member):
                names.add(each.name.lower())
    if not any(
        isinstance(node, syntax.Literal | syntax.VectorLiteral) for key, node in nodes.items() if key == "matchingCols"
    ):
        return Need(None, need.conditions, need.evaluate)
    return Need(frozenset(names), need.conditions, need.evaluate)


def usage(name: str) -> str:
    if name in WINDOW_JOINS:
        return f"{name}(leftTable, rightTable, window, aggs, matchingCols, [rightMatchingCols])"
    if name == "cj":
        return "cj(leftTable, rightTable)"
    if name == "aj":
        return "aj(leftTable, rightTable, matchingCols, [rightMatchingCols])"
    return f"{name}(leftTable, rightTable, matchingCols, [rightMatchingCols], [leftFilter], [rightFilter])"


def _bound(name: str, arguments: Sequence[syntax.Argument]) -> dict[str, syntax.Expression]:
    parameters = WINDOW_PARAMETERS if name in WINDOW_JOINS else PARAMETERS
    bound: dict[str, syntax.Expression] = {}
    for position, argument in enumerate(arguments):
        parameter = argument.name or (parameters[position] if position < len(parameters) else "")
        if parameter not in parameters:
            raise CallError(f"Usage: {usage(name)}. Too many or unknown arguments.")
        if argument.value is not None:
            bound[parameter] = argument.value
    return bound


def join_frames(
    name: str, left: Frame, right: Frame, arguments: dict[str, Value], executor: Executor, scope: Scope
) -> Frame:
    """The join `name` of two frames, with the evaluated arguments of the function."""
    if name == "cj":
        return cross_join(left, right, executor)
    left_names = _strings(arguments.get("matchingCols", NOTHING), name)
    right_names = _strings(arguments.get("rightMatchingCols", NOTHING), name) or left_names
    if not left_names or len(left_names) != len(right_names):
        raise CallError(f"Usage: {usage(name)}. matchingCols must be the names of one or more columns of both tables.")
    if not isinstance(arguments.get("leftFilter", NOTHING), type(NOTHING)):
        left = left.take(boolean_mask(arguments["leftFilter"], left.rows))
    if not isinstance(arguments.get("rightFilter", NOTHING), type(NOTHING)):
        right = right.take(boolean_mask(arguments["rightFilter"], right.rows))
    left_keys = [_position(left, key) for key in left_names]
    right_keys = [_position(right, key) for key in right_names]
    if name in WINDOW_JOINS:
        return window_join.window_join(name, left, right, left_keys, right_keys, arguments, executor, scope)
    if name == "aj":
        return asof_join(left, right, left_keys, right_keys)
    return equal_join(name, left, right, left_keys, right_keys)


def _strings(value: Value, name: str) -> list[str]:
    if isinstance(value, Scalar) and isinstance(value.value, str):
        return [value.value]
    if (isinstance(value, Vector) and value.data.dtype == object) or (
        isinstance(value, Vector) and value.symbols is not None
    ):
        return [str(text) for text in value.strings()]
    if isinstance(value, AnyVector) and all(
        isinstance(item, Scalar) and isinstance(item.value, str) for item in value.items
    ):
        return [item.value for item in value.items if isinstance(item, Scalar)]
    if value is NOTHING or (isinstance(value, Scalar) and value.is_null):
        return []
    raise CallError(f"Usage: {usage(name)}. Join columns must be given by name.")


def _position(frame: Frame, name: str) -> int:
    index = frame.find(name)
    if index < 0:
        raise ScriptError(f"Unrecognized column name [{name}].")
    return index


def columns_at(frame: Frame, positions: Sequence[int]) -> list[Column]:
    return [frame.column(index) for index in positions]


def equal_join(name: str, left: Frame, right: Frame, left_keys: Sequence[int], right_keys: Sequence[int]) -> Frame:
    left_codes, right_codes, count = matching.common_codes(columns_at(left, left_keys), columns_at(right, right_keys))
    if name == "rj":
        found, partners = matching.equal_pairs(right_codes, left_codes, count, keep_left=True)
        return joined(left, right, partners, found, hidden=())
    left_rows: Array | None = None
    if name == "lsj":
        right_rows = matching.first_match(left_codes, right_codes, count)
    else:
        left_rows, right_rows = matching.equal_pairs(left_codes, right_codes, count, keep_left=name in ("lj", "fj"))
    if name == "fj":
        extra = matching.unmatched(right_rows, right.rows)
        left_rows = np.concatenate((_all_rows(left, left_rows), np.full(len(extra), -1)))
        right_rows = np.concatenate((right_rows, extra))
    if name == "sej":
        left_rows = _all_rows(left, left_rows)
        order = stable_order(left_codes[left_rows], max(count, 1))
        left_rows, right_rows = left_rows[order], right_rows[order]
    return joined(left, right, left_rows, right_rows, hidden=() if name == "fj" else right_keys)


def _all_rows(frame: Frame, rows: Array | None) -> Array:
    return np.arange(frame.rows) if rows is None else rows


def asof_join(left: Frame, right: Frame, left_keys: Sequence[int], right_keys: Sequence[int]) -> Frame:
    left_codes, right_codes, _, left_times, right_times = coded(left, right, left_keys, right_keys)
    rows = matching.last_before(left_codes, left_times, right_codes, right_times)
    return joined(left, right, None, rows, hidden=right_keys[:-1])


def coded(
    left: Frame, right: Frame, left_keys: Sequence[int], right_keys: Sequence[int]
) -> tuple[Array, Array, int, Array, Array]:
    """Codes by all join columns but the last, and the last ones as numbers in a common unit."""
    if len(left_keys) > 1:
        left_codes, right_codes, count = matching.common_codes(
            columns_at(left, left_keys[:-1]), columns_at(right, right_keys[:-1])
        )
    else:
        left_codes, right_codes, count = np.zeros(left.rows, np.int64), np.zeros(right.rows, np.int64), 1
    left_times, right_times = matching.comparable(left.column(left_keys[-1]), right.column(right_keys[-1]))
    return left_codes, right_codes, count, left_times, right_times


def joined(
    left: Frame, right: Frame, left_rows: Array | None, right_rows: Array | None, hidden: Sequence[int]
) -> Frame:
    """The columns of both tables at the paired rows (None: all rows, each once).

    Clashing names on the right get their table's name as prefix.
    """
    shown = [index for index in range(len(right.fields)) if index not in hidden and not right.fields[index].hidden]
    left_labels = [each.label for each in left.fields if not each.hidden]
    labels: dict[int, str] = {}
    for index in shown:
        each = right.fields[index]
        labels[index] = joined_names([*left_labels, *labels.values()], [each.label], each.qualifier or "right")[0]
    fields = [
        Field(each.name, _picked(left, index, left_rows), each.qualifier, each.label, each.hidden)
        for index, each in enumerate(left.fields)
    ]
    for index, each in enumerate(right.fields):
        label = labels.get(index)
        fields.append(
            Field(each.name, _picked(right, index, right_rows), each.qualifier, label or each.label, label is None)
        )
    return Frame(fields, left.rows if left_rows is None else len(left_rows))


def _picked(frame: Frame, index: int, rows: Array | None) -> Callable[[], Column]:
    if rows is None:
        return lambda: frame.column(index)
    return lambda: matching.take_or_null(frame.column(index), rows)


def cross_join(left: Frame, right: Frame, executor: Executor) -> Frame:
    """Every left row with every right row."""
    columns = len(left.visible()) + len(right.visible())
    check_allocation((columns + 2) * left.rows * right.rows, node=executor.node)
    left_rows = np.repeat(np.arange(left.rows), right.rows)
    right_rows = np.tile(np.arange(right.rows), left.rows)
    return joined(left, right, left_rows, right_rows, hidden=())


def standard_join(node: syntax.Join, executor: Executor, scope: Scope, need: Need) -> Frame:
    """`a inner|left|right|full|cross join b on …`."""
    kind = " ".join(node.kind.lower().replace("join", " ").split()) or "inner"
    if node.on is not None:
        need = Need(None if need.names is None else need.names | _words(node.on), need.conditions, need.evaluate)
    keeps_left = kind not in ("right", "right outer", "full", "full outer")
    left = resolve.resolve(node.left, executor, scope, need if keeps_left else need.without_conditions())
    right = resolve.resolve(node.right, executor, scope, need.without_conditions())
    kind = kind.removesuffix(" outer")
    if kind == "cross" or (node.on is None and kind == "inner"):
        return cross_join(left, right, executor)
    name = STANDARD_JOINS.get(kind.replace("semijoin", "semi"))
    if name is None:
        raise ScriptError(f"The join [{node.kind}] is not supported.")
    _check_columns(node.on, left, right)
    left_keys, right_keys, filters = [], [], []
    for condition in conjuncts(node.on):
        pair = _key_pair(condition, left, right)
        if pair is None:
            pair, left, right = _computed_pair(condition, left, right, executor, scope)
        if pair is None:
            filters.append(condition)
        else:
            left_keys.append(pair[0])
            right_keys.append(pair[1])
    if not left_keys:
        raise ScriptError("A join requires at least one condition of the form leftTable.column = rightTable.column.")
    for condition in filters:
        left, right = _filtered(condition, name, left, right, executor, scope)
    return equal_join(name, left, right, left_keys, right_keys)


def _check_columns(node: syntax.Expression | None, left: Frame, right: Frame) -> None:
    for each in syntax.walk(node) if node is not None else ():
        if isinstance(each, syntax.Member) and isinstance(each.target, syntax.Name):
            owners = [frame for frame in (left, right) if frame.has_qualifier(each.target.id)]
            if owners and all(_column_of(each, frame) < 0 for frame in owners):
                raise ScriptError(f"Unrecognized column name [{each.target.id}.{each.name}].")


def _words(node: syntax.Node) -> set[str]:
    return {
        (each.id if isinstance(each, syntax.Name) else each.name).lower()
        for each in syntax.walk(node)
        if isinstance(each, syntax.Name | syntax.Member)
    }


def conjuncts(node: syntax.Expression | None) -> list[syntax.Expression]:
    if node is None:
        return []
    if isinstance(node, syntax.Binary) and node.operator in ("and", "&&"):
        return conjuncts(node.left) + conjuncts(node.right)
    return [node]


def _key_pair(node: syntax.Expression, left: Frame, right: Frame) -> tuple[int, int] | None:
    if not isinstance(node, syntax.Binary) or node.operator not in ("=", "=="):
        return None
    for first, second in ((node.left, node.right), (node.right, node.left)):
        a, b = _column_of(first, left), _column_of(second, right)
        if a >= 0 and b >= 0:
            return a, b
    return None


def _computed_pair(
    node: syntax.Expression, left: Frame, right: Frame, executor: Executor, scope: Scope
) -> tuple[tuple[int, int] | None, Frame, Frame]:
    """Two equal expressions, each of columns of one table, as hidden columns of the frames returned."""
    if not isinstance(node, syntax.Binary) or node.operator not in ("=", "=="):
        return None, left, right
    owners = [[frame for frame in (left, right) if _mentions(side, frame)] for side in (node.left, node.right)]
    if any(len(each) != 1 for each in owners) or owners[0][0] is owners[1][0]:
        return None, left, right
    first, second = (node.left, node.right) if owners[0][0] is left else (node.right, node.left)
    left, right = (_with_key(side, frame, executor, scope) for side, frame in ((first, left), (second, right)))
    return (len(left.fields) - 1, len(right.fields) - 1), left, right


def _with_key(node: syntax.Expression, frame: Frame, executor: Executor, scope: Scope) -> Frame:
    value = executor.evaluate(prepare(node, frame), RowScope(frame, scope))
    if not isinstance(value, Vector) or len(value) != frame.rows:
        raise ScriptError("An expression compared in a join condition must have a value for every row of its table.")
    return frame.extended([Field(f"\0key{len(frame.fields)}", value, hidden=True)])


def _column_of(node: syntax.Expression, frame: Frame) -> int:
    if isinstance(node, syntax.Member) and isinstance(node.target, syntax.Name):
        return frame.find(f"{node.target.id}.{node.name}") if frame.has_qualifier(node.target.id) else -1
    if isinstance(node, syntax.Name):
        return frame.find(node.id)
    return -1


def _filtered(
    node: syntax.Expression, name: str, left: Frame, right: Frame, executor: Executor, scope: Scope
) -> tuple[Frame, Frame]:
    """Apply a condition on one table before joining, where that means the same as after."""
    owners = [frame for frame in (left, right) if _mentions(node, frame)]
    if len(owners) > 1:
        raise ScriptError("A join filter can't involve columns in two or more tables.")
    owner = owners[0] if owners else right
    mask = boolean_mask(executor.evaluate(prepare(node, owner), RowScope(owner, scope)), owner.rows)
    kept_whole = {"lj": left, "lsj": left, "rj": right}.get(name)
    if owner is kept_whole or name == "fj":
        raise ScriptError("In an outer join a filter on the table that is kept whole belongs into the where clause.")
    filtered = owner.take(mask)
    return (filtered, right) if owner is left else (left, filtered)


def _mentions(node: syntax.Expression, frame: Frame) -> bool:
    return any(
        isinstance(each, syntax.Member | syntax.Name) and _column_of(each, frame) >= 0 for each in syntax.walk(node)
    )
