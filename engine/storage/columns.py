"""Columns and rows of stored tables: fitting, joining, sorting, dropping duplicates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.cast import cast_vector
from engine.coded import together
from engine.errors import ScriptError
from engine.forms import tuple_to_vector
from engine.storage.table_schema import ColumnSchema
from engine.types import DECIMAL, LITERAL, NUMERIC, TEMPORAL, Type
from engine.values import AnyVector, Array, ArrayVector, Column, Table, Vector, take


def fit(column: Column, schema: ColumnSchema) -> Column:
    """A column in the declared type, converted as an insertion does."""
    if isinstance(column, AnyVector):
        merged = tuple_to_vector(column.items)
        if not isinstance(merged, Vector):
            raise ScriptError(
                f"The column [{schema.name}] expects type of {schema.type.name}, but the actual type is ANY."
            )
        column = merged
    if isinstance(column, ArrayVector) != schema.is_array:
        raise ScriptError(f"The column [{schema.name}] {'is' if schema.is_array else 'is not'} an array vector.")
    if isinstance(column, ArrayVector):
        return ArrayVector(cast_vector(column.flat, schema.type, schema.scale), column.offsets)
    source, target = column.type, schema.type
    families = ((*NUMERIC, *DECIMAL), TEMPORAL, LITERAL)
    alike = any(source in family and target in family for family in families)
    if not (alike or source is target or source is Type.VOID or (source in LITERAL and target not in NUMERIC)):
        raise ScriptError(
            f"The column [{schema.name}] expects type of {target.name}, but the actual type is {source.name}."
        )
    if source is Type.SYMBOL and target is Type.SYMBOL:
        return column
    if source is Type.STRING and target is Type.SYMBOL:
        return column
    return cast_vector(column, target, schema.scale)


def joined(parts: Sequence[Column]) -> Column:
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    if isinstance(first, ArrayVector):
        arrays = [part for part in parts if isinstance(part, ArrayVector)]
        sizes = np.concatenate([np.diff(part.offsets) for part in arrays])
        flats = [part.flat.data[int(part.offsets[0]) : int(part.offsets[-1])] for part in arrays]
        return ArrayVector(first.flat.with_data(np.concatenate(flats)), np.concatenate(([0], np.cumsum(sizes))))
    assert isinstance(first, Vector)
    vectors = [part for part in parts if isinstance(part, Vector)]
    coded = together(vectors)
    if coded is not None:
        return coded
    if any(part.symbols is not first.symbols for part in vectors):
        data = np.concatenate([part.strings() for part in vectors])
        return Vector(Type.STRING, data)
    return first.with_data(np.concatenate([part.data for part in vectors]))


def stacked(*tables: Table) -> Table:
    columns = [joined([table.columns[i] for table in tables]) for i in range(len(tables[0].columns))]
    return Table(list(tables[0].names), columns)


def _keys(column: Column) -> Array:
    assert isinstance(column, Vector)
    return column.strings() if column.type in (Type.SYMBOL, Type.STRING) else column.data


def without_duplicates(table: Table, keys: Sequence[str], keep: str) -> Table:
    """The first or last row of each key, in the order of the rows kept."""
    import pandas as pd

    frame = pd.DataFrame({i: _keys(table.columns[table.find(name)]) for i, name in enumerate(keys)})
    duplicated = frame.duplicated(keep="first" if keep == "FIRST" else "last").to_numpy()
    return table.take(np.flatnonzero(~duplicated))


def sorted_by(table: Table, columns: Sequence[str]) -> Table:
    import pandas as pd

    frame = pd.DataFrame({i: _keys(table.columns[table.find(name)]) for i, name in enumerate(columns)})
    order = frame.sort_values(list(frame.columns), kind="stable").index.to_numpy()
    return Table(list(table.names), [take(column, order) for column in table.columns])
