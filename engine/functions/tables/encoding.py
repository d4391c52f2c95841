"""Tables for learning: one column per distinct value, and windows of rows."""

from __future__ import annotations

import numpy as np

from engine.arguments import is_omitted, positive_argument
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.language.assembling import group_codes
from engine.functions.registry import Registry
from engine.limits import check_allocation
from engine.texts import element_texts
from engine.types import LITERAL, Type
from engine.values import NOTHING, Column, Table, Value, Vector, take, vector

functions = Registry()


def _table(value: Value, name: str) -> Table:
    if isinstance(value, Table):
        return value
    raise CallError(f"{name} must be an in-memory table.")


def _names(value: Value, table: Table) -> list[str]:
    names = [str(name) for name in as_vector(value).strings()]
    unknown = next((name for name in names if table.find(name) < 0), None)
    if unknown is not None:
        raise CallError(f"unrecognized column name [{unknown}].")
    return names


@functions.builtin("oneHot", "obj, encodingColumns")
def one_hot(value: Value, names: Value) -> Value:
    """For each distinct value of the chosen columns, a column that is 1 where it occurs and 0 elsewhere."""
    table = _table(value, "obj")
    chosen = _names(names, table)
    out: dict[str, Column] = {}
    for name in chosen:
        column = as_vector(table.columns[table.find(name)])
        raws = column.strings().astype(str) if column.type in LITERAL else column.data
        _, first, codes = np.unique(raws, return_index=True, return_inverse=True)
        texts = element_texts(column.take(first))
        for group in np.argsort(first):
            out[f"{name}_{texts[group]}"] = vector(Type.INT, (codes.reshape(-1) == group).astype(np.int32))
    encoded = {name.lower() for name in chosen}
    rest = {n: own for n, own in zip(table.names, table.columns, strict=True) if n.lower() not in encoded}
    return Table([*out, *rest], [*out.values(), *rest.values()])


@functions.builtin("rollingPanel", "X, window, [groupingCol]")
def rolling_panel(value: Value, window: Value, grouping: Value = NOTHING) -> Value:
    """Every run of `window` rows, within groups if asked for, numbered in the column panelNumber."""
    table, width = _table(value, "X"), positive_argument(window, "window")
    rows = [np.arange(table.rows)]
    if not is_omitted(grouping):
        codes, first = group_codes([table.columns[table.find(name)] for name in _names(grouping, table)])
        rows = [np.flatnonzero(codes == codes[place]) for place in np.sort(first)]
    starts = [group[np.arange(max(len(group) - width + 1, 0))[:, None] + np.arange(width)] for group in rows]
    panels = np.concatenate(starts) if starts else np.zeros((0, width), dtype=np.int64)
    check_allocation(panels.size * len(table.names), Type.LONG)
    number = np.repeat(np.arange(len(panels), dtype=np.int32), width)
    columns: list[Column] = [take(column, panels.ravel()) for column in table.columns]
    return Table([*table.names, "panelNumber"], [*columns, Vector(Type.INT, number)])
