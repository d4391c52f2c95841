"""table, keyedTable, indexedTable and their kin, and joins as functions.

The interpreter hands calls of these to `engine.sql.call_named`, which knows how the arguments are written; the
functions here serve calls without that (`call(table, x)`, `each(table, …)`).
"""

from __future__ import annotations

from collections.abc import Callable

from engine.context import Context
from engine.errors import UnsupportedError
from engine.functions.registry import Registry
from engine.sql import joining
from engine.sql.calls import KEYED_KINDS, make_table
from engine.sql.resolve import frame_of_value
from engine.values import NOTHING, Table, Value

functions = Registry()

SIGNATURES = {
    "keyedTable": "keyColumns, X, [args...]",
    "indexedTable": "keyColumns, X, [args...]",
    "latestKeyedTable": "keyColumns, timeColumn, X, [args...]",
    "latestIndexedTable": "keyColumns, timeColumn, X, [args...]",
}


@functions.builtin("table", "X, [args...]")
def table(*values: Value) -> Table:
    return make_table("table", values, [""] * len(values))


@functions.builtin("mvccTable", "X, [args...]")
def mvcc_table(*values: Value) -> Table:
    return make_table("mvccTable", values, [""] * len(values))


def _keyed(name: str) -> Callable[..., Table]:
    def make(*values: Value) -> Table:
        return make_table(name, values, [""] * len(values))

    return make


for _name in KEYED_KINDS:
    functions.builtin(_name, SIGNATURES[_name])(_keyed(_name))


@functions.builtin(
    "streamTable", "X, [args...]", aliases=("keyedStreamTable", "haStreamTable", "latestKeyedStreamTable")
)
def stream_table(*_values: Value) -> Table:
    raise UnsupportedError("A stream table")


def _join(name: str) -> Callable[..., Table]:
    parameters = joining.WINDOW_PARAMETERS if name in joining.WINDOW_JOINS else joining.PARAMETERS

    def join(context: Context, *values: Value) -> Table:
        arguments = dict.fromkeys(parameters, NOTHING) | dict(zip(parameters, values, strict=False))
        left = frame_of_value(arguments["leftTable"], "left")
        right = frame_of_value(arguments["rightTable"], variable_name(context, arguments["rightTable"]))
        scope = context.scope  # type: ignore[attr-defined]
        return joining.join_frames(name, left, right, arguments, context, scope).table()  # type: ignore[arg-type]

    return join


def variable_name(context: Context, value: Value) -> str:
    """The variable of the session that holds an object, for naming its columns in a join."""
    held = [name for name, each in context.session.variables.items() if each is value]
    shared = getattr(value, "shared_as", None)
    return shared or (held[0] if held else "right")


for _name in sorted(joining.JOIN_FUNCTIONS):
    _signature = joining.usage(_name)[len(_name) + 1 : -1]
    functions.builtin(_name, _signature, context=True)(_join(_name))
