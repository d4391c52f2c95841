"""Adding to objects and emptying them in place: `append!`, `tableInsert`, `clear!`."""

from __future__ import annotations

import numpy as np

from engine.cast import cast_vector
from engine.coded import together
from engine.context import Context
from engine.errors import ScriptError
from engine.forms import array_vector, as_vector, concat, form_name, symbol_codes
from engine.functions.registry import Registry
from engine.limits import check_allocation
from engine.operators.membership import set_of
from engine.sql import modify
from engine.sql.source import StoredTable, stored_table
from engine.sql.statements import stacked
from engine.types import LITERAL, Type
from engine.values import (
    AnyVector,
    ArrayVector,
    Column,
    Dictionary,
    Matrix,
    Scalar,
    Set,
    Table,
    Value,
    Vector,
    nulls,
    repeat,
    take,
)

functions = Registry()


def _append(context: Context, target: Value, added: Value) -> Value:
    stored = stored_table(target)
    if isinstance(target, Table) or stored is not None:
        append_to_table(target if isinstance(target, Table) else stored, added)
    elif isinstance(target, Vector) and not target.is_pair:
        _append_to_vector(context, target, added)
    elif isinstance(target, AnyVector):
        target.items.append(added)
    elif isinstance(target, ArrayVector):
        _append_to_rows(target, added)
    elif isinstance(target, Matrix):
        _append_to_matrix(target, added)
    elif isinstance(target, Set):
        new = set_of(added)
        if new.type is not target.type:
            new = set_of(cast_vector(as_vector(new), target.type))
        target.members.update(new.members)
    else:
        raise ScriptError(f"Usage: append!(obj, newData). Data can't be appended to {form_name(target)}.")
    return target


for _name in ("append!", "push!"):
    functions.builtin(_name, "obj, newData", context=True)(_append)


def _append_to_vector(context: Context, target: Vector, added: Value) -> None:
    column = as_vector(added)
    if target.type not in LITERAL and column.type in LITERAL and target.type is not Type.VOID:
        raise ScriptError(f"Incompatible type. Expected: {target.type.name}, Actual: {column.type.name}")
    check_allocation(len(target) + len(column), target.type, context.node)
    if target.type is Type.SYMBOL:
        column = column if column.type in LITERAL else cast_vector(column, Type.STRING)
        assert target.symbols is not None
        data = symbol_codes(column, target.symbols)
    elif target.type is Type.VOID:
        target.type, data = column.type, column.data
        target.data = cast_vector(Vector(Type.VOID, target.data), column.type, column.scale).data
        target.symbols, target.scale = column.symbols, column.scale
    else:
        column = cast_vector(column, target.type, target.scale)
        if target.keep_codes(together([target, column], appending=True)):
            return
        data = column.data
    target.data = np.concatenate([target.data, data])


def _is_empty(row: Value) -> bool:
    return isinstance(row, Vector | AnyVector) and not len(row)


def _append_to_rows(target: ArrayVector, added: Value) -> None:
    if isinstance(added, AnyVector):
        # An empty row becomes one NULL.
        gap = nulls(target.type, 1)
        rows = array_vector([gap if _is_empty(item) else item for item in added.items])
    elif isinstance(added, ArrayVector):
        rows = added
    else:
        rows = array_vector([added])
    flat = cast_vector(rows.flat, target.type, target.flat.scale)
    joined = concat([target.flat, flat], target.type)
    assert isinstance(joined, Vector)
    target.offsets = np.concatenate([target.offsets, target.offsets[-1] + (rows.offsets[1:] - rows.offsets[0])])
    target.flat = joined


def _append_to_matrix(target: Matrix, added: Value) -> None:
    column = as_vector(added)
    if not target.rows or len(column) % target.rows:
        raise ScriptError("Usage: append!(obj, newData). The length of newData must be a multiple of the rows of obj.")
    data = cast_vector(column, target.type, target.scale).data.reshape((target.rows, -1), order="F")
    if target.column_labels is not None:
        raise ScriptError("Columns can't be appended to a matrix with column labels.")
    target.data = np.asfortranarray(np.hstack([target.data, data]))


def append_to_table(target: Table | StoredTable | None, added: Value) -> int:
    """Add the rows of a table; returns how many."""
    assert target is not None
    source = stored_table(added)
    if source is not None:
        added = source.read(None, [])
    if isinstance(added, Dictionary):
        rows = _rows_of_dictionary(target.names, added)
    elif isinstance(added, Table):
        rows = added
    elif isinstance(added, AnyVector):
        rows = _rows_of_values(target, list(added.items))
    else:
        raise ScriptError("Usage: append!(obj, newData). newData must be a table.")
    if isinstance(target, Table):
        return modify.append_rows(target, rows)
    return target.append(rows)


def _rows_of_dictionary(names: list[str], added: Dictionary) -> Table:
    lowered = {str(key).lower(): value for key, value in added.items.items()}
    unknown = [name for name in lowered if name not in {each.lower() for each in names}]
    if unknown:
        raise ScriptError(f"Unrecognized column name [{unknown[0]}].")
    missing = Scalar(Type.VOID, None)
    return _table_of(names, [lowered.get(name.lower(), missing) for name in names])


def _rows_of_values(target: Table | StoredTable, values: list[Value]) -> Table:
    if len(values) == 1 and isinstance(values[0], AnyVector) and len(values[0]) == len(target.names):
        values = list(values[0].items)
    if values and all(isinstance(value, Table) for value in values):
        return stacked([value for value in values if isinstance(value, Table)])
    if isinstance(target, Table):
        return modify.rows_of_values(target, target.names, values)
    return _table_of(target.names, values)


def _table_of(names: list[str], values: list[Value]) -> Table:
    if len(values) != len(names):
        raise ScriptError(f"The number of values to insert is {len(values)}, but there are {len(names)} columns.")
    lengths = {len(value) for value in values if isinstance(value, Vector | AnyVector | ArrayVector)}
    if len(lengths) > 1:
        raise ScriptError("All columns to insert must have the same length.")
    count = lengths.pop() if lengths else 1
    columns: list[Column] = []
    for value in values:
        if isinstance(value, Vector | AnyVector | ArrayVector):
            columns.append(value)
        elif isinstance(value, Scalar):
            columns.append(repeat(value, count))
        else:
            columns.append(AnyVector([value] * count))
    return Table(list(names), columns)


@functions.builtin("tableInsert", "table, args...", context=True)
def table_insert(context: Context, target: Value, *values: Value) -> Value:
    """Add rows given as a table, a dictionary, a tuple, or one value per column; returns how many."""
    if isinstance(target, Scalar) and target.type in LITERAL:
        name = str(target.value or "")
        found = context.session.variables.get(name) or context.node.shared.get(name)
        if found is None:
            raise ScriptError(f"The object [{name}] does not exist.")
        target = found
    table = target if isinstance(target, Table) else stored_table(target)
    if table is None:
        raise ScriptError("Usage: tableInsert(table, args...). table must be a table.")
    if not values:
        raise ScriptError("Usage: tableInsert(table, args...). There is nothing to insert.")
    if len(values) == 1 and (isinstance(values[0], Table | Dictionary) or stored_table(values[0]) is not None):
        return Scalar(Type.INT, append_to_table(table, values[0]))
    rows = _rows_of_values(table, list(values))
    return Scalar(Type.INT, append_to_table(table, rows))


@functions.builtin("clear!", "X")
def clear(value: Value) -> Value:
    """Remove all elements; the type stays."""
    if isinstance(value, Vector):
        value.data = value.data[:0].copy()
    elif isinstance(value, AnyVector):
        value.items.clear()
    elif isinstance(value, ArrayVector):
        value.flat, value.offsets = value.flat.take(slice(0, 0)), np.zeros(1, dtype=np.int64)
    elif isinstance(value, Set):
        value.members.clear()
    elif isinstance(value, Dictionary):
        value.items.clear()
    elif isinstance(value, Matrix):
        value.data, value.column_labels = value.data[:, :0].copy(), None
    elif isinstance(value, Table):
        with value.lock:
            value.columns = [take(column, slice(0, 0)) for column in value.columns]
    else:
        raise ScriptError(f"Usage: clear!(X). {form_name(value)} can't be cleared.")
    return value
