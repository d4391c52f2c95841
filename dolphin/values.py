"""Values that DolphinDB answered, with their types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dolphin.types import NULL, UNIT_TYPES, is_null, literal, normalize

if TYPE_CHECKING:
    import pandas

Form = Literal["NOTHING", "SCALAR", "VECTOR", "PAIR", "MATRIX", "SET", "DICTIONARY", "TABLE"]


@dataclass(frozen=True)
class Column:
    """A column; `values` is a one-dimensional array with None, NaN (floats) or NaT (times) for NULL."""

    name: str
    type: str
    values: Any


@dataclass(frozen=True)
class Matrix:
    """`values` is rows x columns; labels are None where the matrix has none."""

    values: Any
    row_labels: Sequence[Any] | None = None
    column_labels: Sequence[Any] | None = None


@dataclass(frozen=True)
class Result:
    """One value. By form `data` is a scalar, an array (VECTOR, PAIR, SET), a Matrix, a list of pairs (DICTIONARY) or a
    tuple of Columns (TABLE). `rows` and `columns` count what the server has; `truncated` tells that `data` has less.
    """

    form: Form
    type: str = ""
    data: Any = field(default=None, repr=False)
    rows: int = 0
    columns: int = 0

    @property
    def fetched(self) -> int:
        """Rows of a table or matrix, elements of anything else, that are in `data`."""
        if self.form == "TABLE":
            return len(self.data[0].values) if self.data else 0
        if self.form == "MATRIX":
            return int(self.data.values.shape[0])
        return len(self.data) if self.form in ("VECTOR", "PAIR", "SET", "DICTIONARY") else self.rows

    @property
    def truncated(self) -> bool:
        return self.fetched < self.rows

    def to_frame(self) -> pandas.DataFrame:
        """A table as a DataFrame; times keep DolphinDB's unit where pandas has it. Raises TypeError for other forms."""
        import pandas

        if self.form != "TABLE":
            raise TypeError(f"a {self.form} is not a table")
        return pandas.DataFrame({column.name: column.values for column in self.data})

    def to_python(self) -> Any:
        """Plain Python: a list of row dicts, a list, a dict with literal keys, nested lists (MATRIX) or a scalar."""
        if self.form == "TABLE":
            names = [column.name for column in self.data]
            cells = [[json_value(value, column.type) for value in column.values] for column in self.data]
            return [dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)]
        if self.form == "MATRIX":
            return [[json_value(value, self.type) for value in row] for row in self.data.values]
        if self.form == "DICTIONARY":
            return {literal(key): json_value(value, "") for key, value in self.data}
        if self.form in ("VECTOR", "PAIR", "SET"):
            return [json_value(value, self.type) for value in self.data]
        return json_value(self.data, self.type)


def python_result(value: Any) -> Result:
    """A value as the client decoded it, without knowledge of its DolphinDB type: types are inferred."""
    if isinstance(value, Result):
        return value
    if value is None:
        return Result("NOTHING")
    if type(value).__name__ == "DataFrame":
        columns = tuple(_inferred_column(str(name), value[name].to_numpy()) for name in value.columns)
        return Result("TABLE", "", columns, len(value), len(columns))
    if isinstance(value, np.ndarray) and value.ndim == 1:
        return Result("VECTOR", infer_type(value), value, len(value), 1)
    if isinstance(value, np.ndarray) and value.ndim == 2:
        return Result("MATRIX", infer_type(value), Matrix(value), *value.shape)
    if isinstance(value, list) and len(value) == 3 and isinstance(value[0], np.ndarray) and value[0].ndim == 2:
        return Result("MATRIX", infer_type(value[0]), Matrix(*value), *value[0].shape)
    if isinstance(value, list | tuple):
        return Result("VECTOR", "ANY", list(value), len(value), 1)
    if isinstance(value, set | frozenset):
        items = sorted(value, key=lambda item: (item is None, item if item is not None else 0))
        return Result("SET", infer_type(np.array(items)), items, len(items), 1)
    if isinstance(value, dict):
        return Result("DICTIONARY", "", list(value.items()), len(value), 1)
    return Result("SCALAR", infer_type(np.array(value)), value, 1, 1)


def infer_type(values: Any) -> str:
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind == "i":
        return {1: "CHAR", 2: "SHORT", 4: "INT"}.get(size, "LONG")
    if kind == "f":
        return "FLOAT" if size == 4 else "DOUBLE"
    if kind == "M":
        return UNIT_TYPES.get(np.datetime_data(values.dtype)[0], "NANOTIMESTAMP")
    if kind in "bUS":
        return {"b": "BOOL", "U": "STRING", "S": "BLOB"}[kind]
    present = next((value for value in values.flat if value is not None), None)
    for python_type, name in ((bool, "BOOL"), (int, "LONG"), (str, "STRING"), (Decimal, "DECIMAL"), (bytes, "BLOB")):
        if isinstance(present, python_type):
            return name
    return "ANY"


def _inferred_column(name: str, values: Any) -> Column:
    kind = infer_type(values)
    return Column(name, kind, normalize(values, kind))


def json_value(value: Any, kind: str = "") -> Any:
    """`value` for JSON: numbers and texts as they are, NULL as null, times and decimals as text."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        number = float(str(value)) if isinstance(value, np.float32) else float(value)
        return None if is_null(value) else number if np.isfinite(number) else literal(value)
    if isinstance(value, str):
        return None if literal(value, kind) == NULL and value != NULL else value
    if isinstance(value, list | tuple | np.ndarray):
        return [json_value(item, kind.removesuffix("[]")) for item in value]
    if isinstance(value, dict):
        return {literal(key): json_value(item) for key, item in value.items()}
    if type(value).__name__ == "DataFrame":
        return python_result(value).to_python()
    return None if is_null(value) else literal(value, kind)
