"""Functions of columns applied to every form of data.

A kernel takes columns (`Vector`) and returns a column or a scalar; the functions here take values apart into
columns, call the kernel, and put the results together in the form of the arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from engine import parallel
from engine.cast import cast_vector, common_type
from engine.errors import ScriptError
from engine.forms import array_vector, as_vector, concat, form_name, tuple_to_vector
from engine.parallel import LONG, spans
from engine.types import FLOATING, LITERAL, TEMPORAL, Type
from engine.values import (
    AnyVector,
    Array,
    ArrayVector,
    Dictionary,
    IndexedSeries,
    Matrix,
    Scalar,
    Set,
    Table,
    Value,
    Vector,
    elements,
    nulls,
    repeat,
    vector,
)

Kernel = Callable[..., Any]

SAME_LENGTH = "The vectors must have the same length."
PART = 1 << 17
"""Long columns are worked on so many elements at a time."""


def elementwise(kernel: Kernel, values: Sequence[Value]) -> Value:
    """Apply a kernel element by element. It gets columns of one length, or of length 1 for scalars."""
    forms = set(map(type, values))
    if forms <= {Scalar}:
        return _only(kernel(*[repeat(value, 1) for value in values if isinstance(value, Scalar)]))
    if forms <= {Vector, Scalar}:
        return _on_vectors(kernel, values)
    for form, handler in _ELEMENTWISE:
        if any(isinstance(value, form) for value in values):
            return handler(kernel, values)
    other = next(value for value in values if not isinstance(value, Scalar))
    raise ScriptError(f"The function doesn't accept {form_name(other)}.")


def spread(kernel: Kernel) -> Kernel:
    """A kernel that wants all columns of the same length, given one or the same length."""

    def call(*columns: Any) -> Any:
        count = max((len(column) for column in columns), default=1)
        if min((len(column) for column in columns), default=1) == 0:
            count = 0
        full = [column if len(column) == count else column.take(np.zeros(count, dtype=np.int64)) for column in columns]
        return kernel(*full)

    return call


def blockwise(kernel: Kernel, check: Callable[[], object] | None = None) -> Kernel:
    """A kernel that works on long columns a part at a time, so that what is in between stays small.

    `check` is called before each part.
    """

    def part(columns: Sequence[Any], rows: slice) -> Any:
        if check is not None:
            check()
        return kernel(*[each if len(each) == 1 else each.take(rows) for each in columns])

    def call(*columns: Any) -> Any:
        count = max((len(column) for column in columns), default=1)
        if count <= LONG or not all(_divisible(each, count) for each in columns):
            return kernel(*columns)
        first, *others = spans(count, PART)
        head = part(columns, first)
        if (
            not isinstance(head, Vector)
            or head.symbols is not None
            or head.held_codes() is not None
            or len(head) != first.stop
        ):
            return kernel(*columns)
        whole = head.with_data(np.empty(count, dtype=head.data.dtype))
        whole.data[first] = head.data

        def fill(rows: slice) -> bool:
            found = part(columns, rows)
            alike = isinstance(found, Vector) and (found.type, found.scale) == (head.type, head.scale)
            if alike and len(found) == rows.stop - rows.start:
                whole.data[rows] = found.data
                return True
            return False

        plain = all(each.data.dtype.kind != "O" for each in (head, *columns))
        return whole if all(parallel.each(fill, others, count if plain else 0)) else kernel(*columns)

    return call


def _divisible(column: Any, count: int) -> bool:
    return isinstance(column, Vector) and len(column) in (1, count) and column.coded() is None


def _only(result: Any) -> Value:
    if isinstance(result, Vector):
        return result.scalar(0)
    if isinstance(result, AnyVector):
        return result.items[0]
    if isinstance(result, ArrayVector):
        return result.row(0)
    value: Value = result
    return value


def _column(value: Value) -> Vector:
    if isinstance(value, Scalar):
        return repeat(value, 1)
    return as_vector(value)


def _on_vectors(kernel: Kernel, values: Sequence[Value]) -> Value:
    lengths = {len(value) for value in values if isinstance(value, Vector)}
    if len(lengths) > 1:
        raise ScriptError(SAME_LENGTH)
    result = kernel(*[_column(value) for value in values])
    if isinstance(result, Vector) and all(not isinstance(value, Vector) or value.is_pair for value in values):
        result = Vector(result.type, result.data, result.symbols, result.scale, is_pair=True)
    value: Value = result
    return value


def _on_sets(kernel: Kernel, values: Sequence[Value]) -> Value:
    return _on_vectors(kernel, [as_vector(value) if isinstance(value, Set) else value for value in values])


def _on_matrices(kernel: Kernel, values: Sequence[Value]) -> Value:
    matrices = [value for value in values if isinstance(value, Matrix)]
    if len(matrices) > 1 and all(matrix.indexed for matrix in matrices):
        aligned = align_matrices(matrices)
        remaining = iter(aligned)
        values = [next(remaining) if isinstance(value, Matrix) else value for value in values]
        matrices = aligned
    first = matrices[0]
    shape = first.data.shape
    columns: list[Vector] = []
    for value in values:
        if isinstance(value, Matrix):
            if value.data.shape != shape:
                raise ScriptError("The matrices must have the same shape.")
            columns.append(as_vector(value))
        elif isinstance(value, Scalar):
            columns.append(repeat(value, 1))
        else:
            part = as_vector(value)
            if len(part) != shape[0]:
                raise ScriptError("The length of the vector must equal the number of rows of the matrix.")
            columns.append(part.take(np.tile(np.arange(shape[0]), shape[1])))
    result = kernel(*columns)
    if not isinstance(result, Vector):
        raise ScriptError("The function doesn't accept a matrix.")
    if result.type is Type.SYMBOL:
        result = cast_vector(result, Type.STRING)
    labelled = next((m for m in matrices if m.row_labels is not None or m.column_labels is not None), first)
    data = result.data.reshape(shape, order="F")
    return Matrix(result.type, data, labelled.row_labels, labelled.column_labels, result.scale, first.indexed)


def _on_tables(kernel: Kernel, values: Sequence[Value]) -> Value:
    tables = [value for value in values if isinstance(value, Table)]
    first = tables[0]
    width = len(first.columns)
    if any(len(table.columns) != width for table in tables):
        raise ScriptError("The tables must have the same number of columns.")
    columns: list[Any] = []
    for position in range(width):
        own = first.columns[position]
        if len(values) == 1 or not (isinstance(own, Vector) and own.type in LITERAL):
            parts = [value.columns[position] if isinstance(value, Table) else value for value in values]
            try:
                result = elementwise(kernel, parts)
            except ScriptError:
                # Times that the function does not take together, such as those of two tables multiplied, are labels.
                if not all(isinstance(part, Vector) and part.type in TEMPORAL for part in parts):
                    raise
                result = own
            if not isinstance(result, Vector | AnyVector | ArrayVector) or len(result) != first.rows:
                raise ScriptError("A table can only be combined with scalars, vectors of its length and tables.")
            columns.append(result)
        else:
            columns.append(own)
    return Table(list(first.names), columns)


def _on_dictionaries(kernel: Kernel, values: Sequence[Value]) -> Value:
    dictionaries = [value for value in values if isinstance(value, Dictionary)]
    first = dictionaries[0]
    items: dict[Any, Value] = {}
    for place, (key, _) in enumerate(first.listed()):
        parts = []
        for value in values:
            if isinstance(value, Dictionary):
                if key not in value.items or len(value) != len(first):
                    raise ScriptError("The dictionaries must have the same keys.")
                parts.append(value.items[key])
            elif first.ordered and isinstance(value, Vector) and len(value) == len(first):
                parts.append(value.scalar(place))
            else:
                parts.append(value)
        items[key] = elementwise(kernel, parts)
    types = {item.type if isinstance(item, Scalar) else Type.ANY for item in items.values()}
    value_type = types.pop() if len(types) == 1 else Type.ANY
    return Dictionary(first.key_type, value_type, items, first.ordered)


def _on_tuples(kernel: Kernel, values: Sequence[Value]) -> Value:
    lengths = {len(value) for value in values if isinstance(value, Vector | AnyVector | ArrayVector)}
    if len(lengths) > 1:
        raise ScriptError(SAME_LENGTH)
    count = lengths.pop()
    parts = [
        list(elements(value)) if isinstance(value, Vector | AnyVector | ArrayVector) else [value] * count
        for value in values
    ]
    columnar = all(value.columnar for value in values if isinstance(value, AnyVector))
    return AnyVector([elementwise(kernel, row) for row in zip(*parts, strict=True)], columnar)


def _on_array_vectors(kernel: Kernel, values: Sequence[Value]) -> Value:
    arrays = [value for value in values if isinstance(value, ArrayVector)]
    sizes = np.diff(arrays[0].offsets)
    for other in arrays[1:]:
        if len(other) != len(sizes):
            raise ScriptError(SAME_LENGTH)
        sizes = np.maximum(sizes, np.diff(other.offsets))
    columns: list[Vector] = []
    for value in values:
        if isinstance(value, ArrayVector):
            columns.append(_flat(value, sizes))
        elif isinstance(value, Scalar):
            columns.append(repeat(value, 1))
        else:
            part = as_vector(value)
            if len(part) == len(sizes):
                columns.append(part.take(np.repeat(np.arange(len(part)), sizes)))
            elif len(sizes) and np.all(sizes == len(part)):
                columns.append(part.take(np.tile(np.arange(len(part)), len(sizes))))
            else:
                raise ScriptError(SAME_LENGTH)
    result = kernel(*columns)
    if not isinstance(result, Vector):
        raise ScriptError("The function doesn't accept an array vector.")
    return ArrayVector(result, np.concatenate(([0], np.cumsum(sizes))))


def _flat(value: ArrayVector, sizes: Array) -> Vector:
    """The elements of all rows; a row without elements counts as one of NULLs."""
    own = np.diff(value.offsets)
    flat = value.flat.take(slice(value.offsets[0], value.offsets[-1]))
    if np.array_equal(own, sizes):
        return flat
    if np.any((own != sizes) & (own > 0)):
        raise ScriptError("The rows of the array vectors must have the same lengths.")
    padded = nulls(value.type, int(sizes.sum()), value.flat.scale)
    padded.data[np.repeat(own > 0, sizes)] = flat.data
    return padded


def _on_series(kernel: Kernel, values: Sequence[Value]) -> Value:
    series = [value for value in values if isinstance(value, IndexedSeries)]
    if any(isinstance(value, Matrix) and value.indexed for value in values):
        return _on_matrices(kernel, _rows_aligned(values))
    if len(series) > 1:
        aligned = iter(align_series(series))
        values = [next(aligned) if isinstance(value, IndexedSeries) else value for value in values]
        series = [value for value in values if isinstance(value, IndexedSeries)]
    result = elementwise(kernel, [value.values if isinstance(value, IndexedSeries) else value for value in values])
    if isinstance(result, Vector):
        return IndexedSeries(series[0].index, result)
    return result


def _rows_aligned(values: Sequence[Value]) -> list[Value]:
    """Indexed series and matrices over the union of their row labels; the series become plain vectors."""
    sides = [value for value in values if isinstance(value, IndexedSeries | Matrix)]
    labels = [v.index if isinstance(v, IndexedSeries) else labels_or_positions(v.row_labels, v.rows) for v in sides]
    union, positions = align_labels(labels)
    places = iter(positions)
    out: list[Value] = []
    for value in values:
        if isinstance(value, IndexedSeries):
            out.append(_gather(value.values, next(places)))
        elif isinstance(value, Matrix):
            place = next(places)
            data = value.data[np.where(place < 0, 0, place)]
            data[place < 0, :] = repeat(Scalar(value.type, None), 1).data[0]
            out.append(Matrix(value.type, data, union, value.column_labels, value.scale, indexed=value.indexed))
        else:
            out.append(value)
    return out


_ELEMENTWISE: list[tuple[type, Callable[[Kernel, Sequence[Value]], Value]]] = [
    (Table, _on_tables),
    (Dictionary, _on_dictionaries),
    (AnyVector, _on_tuples),
    (IndexedSeries, _on_series),
    (Matrix, _on_matrices),
    (ArrayVector, _on_array_vectors),
    (Set, _on_sets),
    (Vector, _on_vectors),
]


def labels_or_positions(labels: Vector | None, count: int) -> Vector:
    return vector(Type.INT, np.arange(count)) if labels is None else labels


def align_labels(labels: Sequence[Vector]) -> tuple[Vector, list[np.ndarray[Any, Any]]]:
    """The sorted union of labels and, for each list, the position of every union label in it (-1: none)."""
    together = concat(list(labels))
    if not isinstance(together, Vector):
        raise ScriptError("The labels must have the same type.")
    keys = together.strings() if together.type in LITERAL else together.data
    distinct, first = np.unique(keys, return_index=True)
    union = together.take(first)
    positions = []
    start = 0
    for label in labels:
        own = keys[start : start + len(label)]
        start += len(label)
        place = np.full(len(distinct), -1, dtype=np.int64)
        place[np.searchsorted(distinct, own)] = np.arange(len(own))
        positions.append(place)
    return union, positions


def align_series(series: Sequence[IndexedSeries]) -> list[IndexedSeries]:
    union, positions = align_labels([one.index for one in series])
    return [IndexedSeries(union, _gather(one.values, place)) for one, place in zip(series, positions, strict=True)]


def _gather(column: Vector, positions: np.ndarray[Any, Any]) -> Vector:
    out = column.take(np.where(positions < 0, 0, positions))
    data = out.data.copy()
    data[positions < 0] = repeat(Scalar(column.type, None), 1).data[0]
    return out.with_data(data)


def align_matrices(matrices: Sequence[Matrix]) -> list[Matrix]:
    rows, row_positions = align_labels([labels_or_positions(m.row_labels, m.rows) for m in matrices])
    columns, column_positions = align_labels([labels_or_positions(m.column_labels, m.columns) for m in matrices])
    out = []
    for matrix, row, column in zip(matrices, row_positions, column_positions, strict=True):
        data = matrix.data[np.where(row < 0, 0, row)][:, np.where(column < 0, 0, column)]
        missing = repeat(Scalar(matrix.type, None), 1).data[0]
        data[row < 0, :] = missing
        data[:, column < 0] = missing
        out.append(Matrix(matrix.type, data, rows, columns, matrix.scale, indexed=True))
    return out


def aggregate(kernel: Kernel, values: Sequence[Value]) -> Value:
    """Reduce to a scalar; a matrix column by column to a vector, a table to a one-row table."""
    first = values[0]
    if isinstance(first, Matrix):
        per_column = [_reduce(kernel, _columns_at(values, i)) for i in range(first.columns)]
        return tuple_to_vector(per_column)
    other = next((value for value in values if isinstance(value, Matrix)), None)
    if other is not None:
        return tuple_to_vector([_reduce(kernel, _columns_at(values, i)) for i in range(other.columns)])
    if isinstance(first, Table):
        names, columns = [], []
        for i, name in enumerate(first.names):
            own = first.columns[i]
            if isinstance(own, Vector) and own.type in LITERAL and len(first.columns) > 1:
                continue
            names.append(name)
            columns.append(as_vector(_reduce(kernel, _columns_at(values, i))))
        return Table(names, list(columns))
    if isinstance(first, Dictionary):
        return _reduce(kernel, [as_vector(first), *values[1:]])
    if isinstance(first, AnyVector | ArrayVector):
        if isinstance(first, AnyVector) and all(isinstance(item, Scalar) for item in first.items) and len(first):
            merged = tuple_to_vector(first.items)
            if isinstance(merged, Vector):
                return _reduce(kernel, [merged, *values[1:]])
        rows = []
        for position, item in enumerate(elements(first)):
            others = [_row_at(value, position, len(first)) for value in values[1:]]
            rows.append(aggregate(kernel, [item, *others]))
        return tuple_to_vector(rows)
    return _reduce(kernel, values)


def _row_at(value: Value, position: int, count: int) -> Value:
    if isinstance(value, AnyVector | ArrayVector) and len(value) == count:
        return value.items[position] if isinstance(value, AnyVector) else value.row(position)
    return value


def _columns_at(values: Sequence[Value], index: int) -> list[Value]:
    out: list[Value] = []
    for value in values:
        if isinstance(value, Matrix):
            out.append(value.column(min(index, value.columns - 1) if value.columns == 1 else index))
        elif isinstance(value, Table):
            column: Value = value.columns[index]
            out.append(column)
        else:
            out.append(value)
    return out


def _reduce(kernel: Kernel, values: Sequence[Value]) -> Value:
    result = kernel(*_same_length(values))
    value: Value = result
    return value


def _same_length(values: Sequence[Value]) -> list[Vector]:
    columns = [_column(value) for value in values]
    count = max(len(column) for column in columns)
    out = []
    for column, value in zip(columns, values, strict=True):
        if len(column) != count:
            if not isinstance(value, Scalar):
                raise ScriptError(SAME_LENGTH)
            column = column.take(np.zeros(count, dtype=np.int64))
        out.append(column)
    return out


def sequence(kernel: Kernel, values: Sequence[Value]) -> Value:
    """A column to a column of the same length; matrices and tables column by column."""
    matrix = next((value for value in values if isinstance(value, Matrix)), None)
    if matrix is not None:
        results = [as_vector(sequence(kernel, _columns_at(values, i))) for i in range(matrix.columns)]
        return stack(results, matrix)
    first = values[0]
    if isinstance(first, Table):
        columns: list[Any] = []
        for i, own in enumerate(first.columns):
            skipped = isinstance(own, Vector) and own.type in LITERAL and len(first.columns) > 1
            result = own if skipped else sequence(kernel, _columns_at(values, i))
            # Times stay as they are where the function makes numbers of what it gets.
            became = result.type if isinstance(result, Vector) else None
            is_time = isinstance(own, Vector) and own.type in TEMPORAL and len(first.columns) > 1
            columns.append(own if is_time and became in FLOATING else result)
        return Table(list(first.names), columns)
    if isinstance(first, ArrayVector):
        rows = [sequence(kernel, [row, *_rows_at(values[1:], i, len(first))]) for i, row in enumerate(elements(first))]
        return array_vector(rows) if rows else first
    if isinstance(first, AnyVector):
        if first.items and all(isinstance(item, Scalar) for item in first.items):
            return sequence(kernel, [as_vector(first), *values[1:]])
        parts = [sequence(kernel, [row, *_rows_at(values[1:], i, len(first))]) for i, row in enumerate(first.items)]
        return AnyVector(parts)
    if isinstance(first, Dictionary) and all(isinstance(item, Scalar) for item in first.items.values()):
        return sequence(kernel, [as_vector(first), *values[1:]])
    if isinstance(first, Dictionary):
        items = {key: sequence(kernel, [item, *values[1:]]) for key, item in first.listed()}
        return Dictionary(first.key_type, Type.ANY, items, first.ordered)
    series = next((value for value in values if isinstance(value, IndexedSeries)), None)
    result = kernel(*_same_length(values))
    if series is not None and isinstance(result, Vector):
        return IndexedSeries(series.index, result)
    if all(isinstance(value, Scalar) for value in values):
        return _only(result)
    value: Value = result
    return value


def _rows_at(values: Sequence[Value], position: int, count: int) -> list[Value]:
    return [_row_at(value, position, count) for value in values]


def stack(columns: Sequence[Vector], like: Matrix) -> Matrix:
    """Columns as a matrix with the labels of another where the shape is the same."""
    type_ = common_type(*(column.type for column in columns))
    if type_ is Type.ANY:
        raise ScriptError("The columns of a matrix must have the same type.")
    if type_ is Type.SYMBOL:
        type_ = Type.STRING
    scale = max((column.scale for column in columns), default=0)
    parts = [cast_vector(column, type_, scale).data for column in columns]
    data = np.column_stack(parts) if parts else np.empty((like.rows, 0))
    rows = like.row_labels if data.shape[0] == like.rows else None
    return Matrix(type_, np.asfortranarray(data), rows, like.column_labels, scale, like.indexed)
