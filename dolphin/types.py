"""DolphinDB's types by the numbers of the wire, and their values written as DolphinDB writes them."""

from __future__ import annotations

import math
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import numpy as np

TYPE_NAMES = {
    0: "VOID",
    1: "BOOL",
    2: "CHAR",
    3: "SHORT",
    4: "INT",
    5: "LONG",
    6: "DATE",
    7: "MONTH",
    8: "TIME",
    9: "MINUTE",
    10: "SECOND",
    11: "DATETIME",
    12: "TIMESTAMP",
    13: "NANOTIME",
    14: "NANOTIMESTAMP",
    15: "FLOAT",
    16: "DOUBLE",
    17: "SYMBOL",
    18: "STRING",
    19: "UUID",
    20: "FUNCTIONDEF",
    21: "HANDLE",
    22: "CODE",
    23: "DATASOURCE",
    24: "RESOURCE",
    25: "ANY",
    26: "COMPRESS",
    27: "DICTIONARY",
    28: "DATEHOUR",
    29: "DATEMINUTE",
    30: "IPADDR",
    31: "INT128",
    32: "BLOB",
    33: "DECIMAL",
    34: "COMPLEX",
    35: "POINT",
    36: "DURATION",
    37: "DECIMAL32",
    38: "DECIMAL64",
    39: "DECIMAL128",
    40: "OBJECT",
}
ARRAY_OFFSET = 64
FORMS = {
    0: "SCALAR",
    1: "VECTOR",
    2: "PAIR",
    3: "MATRIX",
    4: "SET",
    5: "DICTIONARY",
    6: "TABLE",
    7: "CHART",
    8: "CHUNK",
    9: "SYSOBJ",
    10: "TENSOR",
    11: "EXTOBJ",
}

INTEGERS = frozenset({"CHAR", "SHORT", "INT", "LONG"})
FLOATS = frozenset({"FLOAT", "DOUBLE"})
TEMPORALS = frozenset(
    {
        "DATE",
        "MONTH",
        "TIME",
        "MINUTE",
        "SECOND",
        "DATETIME",
        "TIMESTAMP",
        "NANOTIME",
        "NANOTIMESTAMP",
        "DATEHOUR",
        "DATEMINUTE",
    }
)
UNIT_TYPES = {"D": "DATE", "M": "MONTH", "h": "DATEHOUR", "m": "MINUTE", "s": "DATETIME", "ms": "TIMESTAMP"}
STRINGS = frozenset({"STRING", "SYMBOL"})
# Types that the client decodes without loss in a vector. LONG is among them only while it has no NULL.
DECODABLE = (
    INTEGERS
    | FLOATS
    | STRINGS
    | (TEMPORALS - {"DATEMINUTE"})
    | {"BOOL", "UUID", "INT128", "IPADDR", "DECIMAL32", "DECIMAL64", "DECIMAL128", "ANY"}
)
EMPTY_IS_NULL = {
    "STRING": "",
    "SYMBOL": "",
    "UUID": "00000000-0000-0000-0000-000000000000",
    "INT128": "0" * 32,
    "IPADDR": "0.0.0.0",  # noqa: S104
}
NULL = "NULL"
FRAME_ROWS = 20


def type_name(code: int) -> str:
    """The name of a type number; array vectors are written like `INT[]`."""
    if code in TYPE_NAMES:
        return TYPE_NAMES[code]
    base = code - ARRAY_OFFSET
    return f"{TYPE_NAMES[base]}[]" if base in TYPE_NAMES else f"TYPE {code}"


def base_type(name: str) -> str:
    """`DECIMAL64(4)` -> `DECIMAL64`."""
    return name.partition("(")[0].strip().upper()


def is_numeric(name: str) -> bool:
    base = base_type(name)
    return base in INTEGERS or base in FLOATS or base.startswith("DECIMAL")


def is_null(value: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, float | np.floating):
        return bool(math.isnan(value))
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    if isinstance(value, Decimal):
        return value.is_nan()
    return type(value).__name__ in ("NaTType", "NAType")


def normalize(values: Any, name: str) -> Any:
    """A column as the client gave it, with whole numbers whole again and NULL as None, NaN (floats) or NaT (times)."""
    base = base_type(name)
    array = values if isinstance(values, np.ndarray) else _array(values)
    if base in INTEGERS and array.dtype.kind == "f":
        return _array([None if np.isnan(value) else int(value) for value in array])
    if base in EMPTY_IS_NULL and array.dtype.kind in "OUS":
        empty = EMPTY_IS_NULL[base]
        return _array([None if value is None or value == empty else str(value) for value in array])
    return array


def _array(values: Any) -> Any:
    array = np.empty(len(values), dtype=object)
    for position, value in enumerate(values):
        array[position] = value
    return array


def literal(value: Any, name: str = "") -> str:
    """`value` as DolphinDB would write it: `2024.01.01`, `09:30:00.000`, `true`, `NULL`; floats in full precision."""
    if not isinstance(value, str | bytes | list | tuple | np.ndarray) and is_null(value):
        return NULL
    base = base_type(name)
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, np.float32):
        return _float(str(value))
    if isinstance(value, float | np.floating):
        return _float(repr(float(value)))
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, str):
        return value if value != EMPTY_IS_NULL.get(base) else NULL
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="backslashreplace")
    if isinstance(value, np.datetime64):
        return _temporal(value, base)
    if isinstance(value, datetime | date | time):
        return _temporal(np.datetime64(_moment(value)), base)
    if isinstance(value, list | tuple | np.ndarray):
        return "[" + ", ".join(literal(item, base.removesuffix("[]")) for item in value) + "]"
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(literal(item) for item in value)) + "}"
    if type(value).__name__ == "DataFrame":
        return _frame(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
    return str(value)


def literals(values: Any, name: str) -> list[str]:
    """`literal` of each value of a column, faster."""
    kind = values.dtype.kind if isinstance(values, np.ndarray) else "O"
    if kind == "i":
        return [str(value) for value in values.tolist()]
    if kind == "f" and values.dtype.itemsize == 8:
        return [NULL if value != value else _float(repr(value)) for value in values.tolist()]
    if kind == "M":
        text = np.datetime_as_string(values).tolist()
        return [NULL if item == "NaT" else _moment_text(item, base_type(name)) for item in text]
    return [literal(value, name) for value in values]


def _frame(frame: Any) -> str:
    rows = [" ".join(literal(value) for value in row) for row in frame.itertuples(index=False)]
    shown = rows[:FRAME_ROWS] + ([f"… ({len(rows) - FRAME_ROWS} rows more)"] if len(rows) > FRAME_ROWS else [])
    title = f"TABLE {len(rows)} rows x {len(frame.columns)} columns"
    return f"{title} ({' '.join(map(str, frame.columns))}" + "".join(f"; {row}" for row in shown) + ")"


def _float(text: str) -> str:
    return text.removesuffix(".0")


def _moment(value: datetime | date | time) -> datetime | date:
    return datetime.combine(date(1970, 1, 1), value) if isinstance(value, time) else value


def _temporal(value: np.datetime64, base: str) -> str:
    unit = np.datetime_data(value.dtype)[0]
    if base not in TEMPORALS:
        base = UNIT_TYPES.get(unit, "NANOTIMESTAMP")
    return _moment_text(str(np.datetime_as_string(value)), base)


def _moment_text(text: str, base: str) -> str:
    """An ISO text written as a value of type `base`: cut or filled with zeros to its precision."""
    day, _, clock = text.partition("T")
    day = day.replace("-", ".")
    if base == "MONTH":
        return day[: day.index(".") + 3] + "M"
    if base == "DATE":
        return day
    if base in _CLOCKS:
        return _pad(clock, _CLOCKS[base])
    return f"{day}T{_pad(clock, _MOMENTS.get(base, 18))}"


_CLOCKS = {"TIME": 12, "MINUTE": 5, "SECOND": 8, "NANOTIME": 18}
_MOMENTS = {"DATETIME": 8, "TIMESTAMP": 12, "NANOTIMESTAMP": 18, "DATEHOUR": 2, "DATEMINUTE": 5}
_ZERO_CLOCK = "00:00:00.000000000"


def _pad(clock: str, length: int) -> str:
    return (clock + _ZERO_CLOCK[len(clock) :])[:length]
