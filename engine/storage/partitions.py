"""How rows are divided: one level per partitioning column."""

from __future__ import annotations

import itertools
import zlib
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

import numpy as np

from engine.cast import INSTANTS, cast, cast_vector
from engine.errors import ScriptError
from engine.sql.source import Conjunct
from engine.texts import raw_text
from engine.types import BINARY, INTEGRAL, LITERAL, TEMPORAL, Type, null
from engine.values import Array, Scalar, Vector, elements, raw_of, vector

SEQ, VALUE, RANGE, LIST, COMPO, HASH = range(6)
KIND_NAMES = {VALUE: "VALUE", RANGE: "RANGE", LIST: "LIST", COMPO: "COMPO", HASH: "HASH"}
OUTSIDE = -1
"""The number of the partition of rows that belong to none."""

_TRUNCATIONS = {
    "date": Type.DATE, "month": Type.MONTH, "datehour": Type.DATEHOUR, "datetime": Type.DATETIME,
    "timestamp": Type.TIMESTAMP, "nanotimestamp": Type.NANOTIMESTAMP,
}  # fmt: skip
_DAY = 86400 * 10**9


class Level(Protocol):
    """One level of a partition scheme. Partitions are numbered from 0; numbers never change."""

    kind: int
    type: Type

    def assign(self, column: Vector, extend: bool) -> Array:
        """The partition of each row, OUTSIDE for none. `extend` may add partitions."""

    def count(self) -> int:
        """How many partitions there are."""

    def shrink(self, count: int) -> None:
        """Forget the partitions from number `count` on, which nothing refers to."""

    def name(self, number: int) -> str:
        """The directory name of a partition."""

    def order(self) -> list[int]:
        """The partitions in the order in which they are read."""

    def candidates(self, conjunct: Conjunct, column_type: Type) -> set[int] | None:
        """The partitions that may hold rows meeting the condition; None: all."""

    def document(self) -> dict[str, Any]:
        """The level as JSON."""


def span(type_: Type, raw: Any) -> tuple[Any, Any]:
    """The first and last point covered by a value: nanoseconds for points in time, else the value itself."""
    if type_ is Type.MONTH:
        return _month_start(raw), _month_start(raw + 1) - 1
    unit = INSTANTS.get(type_)
    return (raw, raw) if unit is None else (raw * unit, (raw + 1) * unit - 1)


def _month_start(month: int) -> int:
    return (date(month // 12, month % 12 + 1, 1) - date(1970, 1, 1)).days * _DAY


def _truncated(function: str | None, point: Any) -> Any:
    """The value of a time function at a point, as a point again; None if the function is not known."""
    if function is None:
        return point
    type_ = _TRUNCATIONS.get(function)
    days = date.fromordinal(date(1970, 1, 1).toordinal() + point // _DAY) if function in ("month", "year") else None
    if function == "year" and days is not None:
        return days.year
    if type_ is None:
        return None
    if type_ is Type.MONTH and days is not None:
        return _month_start(days.year * 12 + days.month - 1)
    return point // INSTANTS[type_] * INSTANTS[type_]


def _start_of_last(type_: Type, high: Any) -> Any:
    """The start of the last value of a type that lies below a point, as comparisons promote it."""
    if type_ is Type.MONTH:
        return _truncated("month", high)
    unit = INSTANTS.get(type_)
    return high if unit is None else high // unit * unit


def _operands(conjunct: Conjunct) -> list[Scalar]:
    operand = conjunct.operand
    return (
        [operand] if isinstance(operand, Scalar) else [item for item in elements(operand) if isinstance(item, Scalar)]
    )


def _points(conjunct: Conjunct, type_: Type) -> list[Any] | None:
    """The operands as points comparable with those of a partition of `type_`; None if they are not."""
    instants = type_ in INSTANTS or type_ is Type.MONTH
    points = []
    for operand in _operands(conjunct):
        if operand.value is None:
            return None
        if conjunct.function == "year":
            points.append(operand.value)
        elif instants and (operand.type in INSTANTS or operand.type is Type.MONTH):
            points.append(span(operand.type, operand.value)[0])
        elif instants and operand.type in LITERAL:
            converted = cast(operand, type_)
            if not isinstance(converted, Scalar) or converted.value is None:
                return None
            points.append(span(type_, converted.value)[0])
        elif (
            (operand.type in LITERAL and type_ in LITERAL)
            or operand.type is type_
            or (type_ in INTEGRAL and isinstance(operand.value, int | float) and operand.type not in TEMPORAL)
        ):
            points.append(operand.value)
        else:
            return None
    return points


def _may_meet(conjunct: Conjunct, points: list[Any], low: Any, high: Any) -> bool:
    operator = conjunct.operator
    if operator in ("==", "in"):
        return any(low <= point <= high for point in points)
    if operator == "between":
        return bool(low <= points[1] and high >= points[0])
    point = points[0]
    if operator in ("<", "<="):
        return bool(low < point or (operator == "<=" and low == point))
    if operator in (">", ">="):
        return bool(high > point or (operator == ">=" and high == point))
    return True


def _overlapping(
    conjunct: Conjunct, type_: Type, column_type: Type, spans: Callable[[], list[list[tuple[Any, Any]]]]
) -> set[int] | None:
    if type_ not in INSTANTS and type_ is not Type.MONTH:
        alike = any(type_ in family and column_type in family for family in (INTEGRAL, LITERAL))
        if conjunct.function is not None or not (alike or type_ is column_type):
            return None
    points = _points(conjunct, type_)
    if points is None or (conjunct.operator == "between" and len(points) != 2):
        return None
    found = set()
    for number, parts in enumerate(spans()):
        for low, high in parts:
            first = _truncated(conjunct.function, low)
            last = _truncated(conjunct.function, _start_of_last(column_type, high))
            if first is None or last is None:
                return None
            if _may_meet(conjunct, points, first, last):
                found.add(number)
                break
    return found


def _converted(column: Vector, type_: Type) -> Vector:
    """The column in the type of the scheme; ScriptError when they do not go together."""
    if column.type is type_ or (column.type in LITERAL and type_ in LITERAL):
        return column
    temporal = column.type in TEMPORAL and type_ in TEMPORAL
    integral = column.type in (*INTEGRAL, Type.BOOL) and type_ in INTEGRAL
    if not temporal and not integral:
        raise ScriptError(
            f"The data type {column.type.name} of the partitioning column doesn't match the partition scheme "
            f"of type {type_.name}."
        )
    return cast_vector(column, Type.LONG if integral else type_)


def _by_value(column: Vector, numbers: dict[Any, int]) -> Array:
    """`numbers[value]` for each row, OUTSIDE for values without one; computed once per distinct value."""
    if column.type is Type.SYMBOL:
        assert column.symbols is not None
        per_code = np.array([numbers.get(text, OUTSIDE) for text in column.symbols.strings], dtype=np.int64)
        by_row: Array = per_code[column.data]
        return by_row
    import pandas as pd

    codes, distinct = pd.factorize(column.data)
    per_code = np.array([*(numbers.get(item, OUTSIDE) for item in distinct.tolist()), OUTSIDE], dtype=np.int64)
    numbered: Array = per_code[codes]
    return numbered


def _distinct(column: Vector) -> list[Any]:
    if column.type is Type.SYMBOL:
        assert column.symbols is not None
        return [column.symbols.strings[code] for code in np.unique(column.data).tolist() if code]
    import pandas as pd

    missing = null(column.type)
    return [item for item in pd.unique(column.data).tolist() if item != missing]


@dataclass
class ValueLevel:
    type: Type
    values: list[Any]
    numbers: dict[Any, int] = field(init=False)
    kind: int = field(default=VALUE, init=False)

    def __post_init__(self) -> None:
        self.numbers = {value: number for number, value in enumerate(self.values)}

    def add(self, values: list[Any]) -> None:
        for value in values:
            if value not in self.numbers:
                self.numbers[value] = len(self.values)
                self.values.append(value)

    def shrink(self, count: int) -> None:
        for value in self.values[count:]:
            del self.numbers[value]
        del self.values[count:]

    def assign(self, column: Vector, extend: bool) -> Array:
        column = _converted(column, self.type)
        if extend:
            fresh = [value for value in _distinct(column) if value not in self.numbers]
            self.add(sorted(fresh))
        return _by_value(column, self.numbers)

    def count(self) -> int:
        return len(self.values)

    def name(self, number: int) -> str:
        return _directory(self.type, self.values[number])

    def order(self) -> list[int]:
        return sorted(range(len(self.values)), key=self.values.__getitem__)

    def candidates(self, conjunct: Conjunct, column_type: Type) -> set[int] | None:
        if conjunct.operator in ("==", "in") and conjunct.function is None:
            operands = _operands(conjunct)
            alike = (LITERAL if self.type in LITERAL else (self.type,)) if column_type is self.type else ()
            if all(operand.type in alike for operand in operands):
                return {self.numbers[each.value] for each in operands if each.value in self.numbers}
        return _overlapping(
            conjunct, self.type, column_type, lambda: [[span(self.type, value)] for value in self.values]
        )

    def document(self) -> dict[str, Any]:
        return {"kind": VALUE, "type": self.type.name, "values": list(self.values)}


@dataclass
class RangeLevel:
    """Partition i holds `bounds[i]` <= value < `bounds[i + 1]`."""

    type: Type
    bounds: list[Any]
    kind: int = field(default=RANGE, init=False)

    def assign(self, column: Vector, extend: bool) -> Array:  # noqa: ARG002
        column = _converted(column, self.type)
        if column.type in LITERAL:
            texts = {text: bisect_right(self.bounds, text) - 1 for text in _distinct(column)}
            last = len(self.bounds) - 1
            return _by_value(column, {text: n if n < last else OUTSIDE for text, n in texts.items()})
        numbers = np.searchsorted(np.array(self.bounds), column.data, side="right") - 1
        outside = (numbers >= len(self.bounds) - 1) | (numbers < 0) | column.nulls()
        return np.where(outside, OUTSIDE, numbers).astype(np.int64)

    def count(self) -> int:
        return len(self.bounds) - 1

    def shrink(self, count: int) -> None:
        del self.bounds[count + 1 :]

    def name(self, number: int) -> str:
        low, high = self.bounds[number : number + 2]
        return f"{_directory(self.type, low)}_{_directory(self.type, high)}"

    def order(self) -> list[int]:
        return list(range(len(self.bounds) - 1))

    def _spans(self) -> list[list[tuple[Any, Any]]]:
        starts = [span(self.type, bound)[0] for bound in self.bounds]
        open_end = self.type in LITERAL
        return [[(low, high if open_end else high - 1)] for low, high in itertools.pairwise(starts)]

    def candidates(self, conjunct: Conjunct, column_type: Type) -> set[int] | None:
        return _overlapping(conjunct, self.type, column_type, self._spans)

    def document(self) -> dict[str, Any]:
        return {"kind": RANGE, "type": self.type.name, "bounds": self.bounds}


@dataclass
class ListLevel:
    type: Type
    lists: list[list[Any]]
    kind: int = field(default=LIST, init=False)

    def _numbers(self) -> dict[Any, int]:
        return {value: number for number, values in enumerate(self.lists) for value in values}

    def assign(self, column: Vector, extend: bool) -> Array:  # noqa: ARG002
        return _by_value(_converted(column, self.type), self._numbers())

    def count(self) -> int:
        return len(self.lists)

    def shrink(self, count: int) -> None:
        del self.lists[count:]

    def name(self, number: int) -> str:
        return f"List{number}"

    def order(self) -> list[int]:
        return list(range(len(self.lists)))

    def candidates(self, conjunct: Conjunct, column_type: Type) -> set[int] | None:
        return _overlapping(
            conjunct,
            self.type,
            column_type,
            lambda: [[span(self.type, value) for value in values] for values in self.lists],
        )

    def document(self) -> dict[str, Any]:
        return {"kind": LIST, "type": self.type.name, "lists": self.lists}


@dataclass
class HashLevel:
    type: Type
    buckets: int
    kind: int = field(default=HASH, init=False)

    def _bucket(self, value: Any) -> int:
        if isinstance(value, str | bytes):
            return zlib.crc32(value.encode() if isinstance(value, str) else value) % self.buckets
        return int(value) % self.buckets

    def assign(self, column: Vector, extend: bool) -> Array:  # noqa: ARG002
        if column.type in (*LITERAL, *BINARY):
            return _by_value(column, {value: self._bucket(value) for value in _distinct(column)})
        if column.data.dtype.kind != "i":
            raise ScriptError(f"A column of type {column.type.name} can't be a HASH partitioning column.")
        return np.where(column.nulls(), OUTSIDE, column.data.astype(np.int64) % self.buckets)

    def count(self) -> int:
        return self.buckets

    def shrink(self, count: int) -> None:
        self.buckets = count

    def name(self, number: int) -> str:
        return f"Key{number}"

    def order(self) -> list[int]:
        return list(range(self.buckets))

    def candidates(self, conjunct: Conjunct, column_type: Type) -> set[int] | None:
        if conjunct.operator not in ("==", "in") or conjunct.function is not None:
            return None
        found = set()
        for operand in _operands(conjunct):
            converted = operand if operand.type is column_type else cast(operand, column_type)
            if not isinstance(converted, Scalar) or converted.value is None:
                return None
            exact = operand.type in LITERAL or operand.type is column_type or converted.value == operand.value
            if not exact:
                return None
            found.add(self._bucket(raw_of(converted)))
        return found

    def document(self) -> dict[str, Any]:
        return {"kind": HASH, "type": self.type.name, "buckets": self.buckets}


def level_from(document: dict[str, Any]) -> Level:
    type_ = Type[document["type"]]
    kind = document["kind"]
    if kind == VALUE:
        return ValueLevel(type_, document["values"])
    if kind == RANGE:
        return RangeLevel(type_, document["bounds"])
    if kind == LIST:
        return ListLevel(type_, document["lists"])
    return HashLevel(type_, document["buckets"])


def scheme_values(type_: Type, values: list[Any]) -> Vector:
    """Raw values of a scheme as a vector, as `schema` shows them."""
    return vector(Type.STRING if type_ is Type.SYMBOL else type_, values)


def _directory(type_: Type, value: Any) -> str:
    return raw_text(type_, value).replace(".", "").replace(":", "").replace("/", "_")
