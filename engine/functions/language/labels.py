"""Labels as indexes: `indexedSeries`, `setIndexedMatrix!`, `setIndexedSeries!`."""

from __future__ import annotations

import numpy as np

from engine.errors import ScriptError
from engine.forms import as_vector
from engine.functions.registry import Registry
from engine.lifting import labels_or_positions
from engine.types import LITERAL
from engine.values import NOTHING, IndexedSeries, Matrix, Scalar, Value, Vector

functions = Registry()


def _check_increasing(labels: Vector, what: str) -> None:
    data = labels.strings().astype(str) if labels.type in LITERAL else labels.data
    if len(data) > 1 and not bool(np.all(data[1:] > data[:-1])):
        raise ScriptError(f"The {what} must be increasing without duplicates.")


@functions.builtin("indexedSeries", "index, value")
def indexed_series(index: Value, value: Value) -> Value:
    labels, values = as_vector(index), as_vector(value)
    if len(labels) != len(values):
        raise ScriptError("Usage: indexedSeries(index, value). index and value must have the same length.")
    _check_increasing(labels, "index")
    return IndexedSeries(labels.take(slice(None)), values.take(slice(None)))


@functions.builtin("setIndexedMatrix!", "X, [on=true]")
def set_indexed_matrix(value: Value, on: Value = NOTHING) -> Value:
    if not isinstance(value, Matrix):
        raise ScriptError("Usage: setIndexedMatrix!(X, [on=true]). X must be a matrix.")
    value.indexed = not (isinstance(on, Scalar) and on.value is False)
    if value.indexed:
        _check_increasing(labels_or_positions(value.row_labels, value.rows), "row labels")
        _check_increasing(labels_or_positions(value.column_labels, value.columns), "column labels")
    return value


@functions.builtin("setIndexedSeries!", "X, [on=true]")
def set_indexed_series(value: Value, on: Value = NOTHING) -> Value:
    """A one-column matrix keeps its form, but aligns on its row labels."""
    if isinstance(value, IndexedSeries):
        return value
    if not isinstance(value, Matrix) or value.columns != 1 or value.row_labels is None:
        raise ScriptError("Usage: setIndexedSeries!(X, [on=true]). X must be a matrix of one column with row labels.")
    value.indexed = not (isinstance(on, Scalar) and on.value is False)
    if value.indexed:
        _check_increasing(value.row_labels, "row labels")
    return value
