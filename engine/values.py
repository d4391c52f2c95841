"""The value model: every object a script can hold.

Vectors are columns over numpy with DolphinDB's null sentinels inside (see `engine.types`); scalars are
plain Python values with None for NULL. Vectors, dictionaries, sets and tables are mutable objects: functions
that change their argument (`append!`, `sort!` …) change it in place, all others must leave it alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import isqrt
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from engine import coding, parallel
from engine.types import DTYPES, LITERAL, ZERO16, Type, null

if TYPE_CHECKING:
    from dolphin.script import syntax

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value, stored raw: bool, int (integers, temporals, unscaled decimals), float, str, bytes, complex.

    A DURATION is `(amount, unit)`. `value` is None for NULL; NaN never appears.
    """

    type: Type
    value: Any
    scale: int = 0

    @property
    def is_null(self) -> bool:
        return self.value is None or (self.type in LITERAL and not self.value)


NULL = Scalar(Type.VOID, None)
"""The literal NULL."""


class Nothing:
    """What a statement or function without a value returns; also an omitted argument."""

    _instance: Nothing | None = None

    def __new__(cls) -> Nothing:
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance


NOTHING = Nothing()


class SymbolBase:
    """The distinct strings of a SYMBOL vector; index 0 is "" (NULL). Grows only, so codes stay valid."""

    __slots__ = ("_codes", "strings")

    def __init__(self, strings: Iterable[str] = ()) -> None:
        self.strings: list[str] = [""]
        self._codes: dict[str, int] = {"": 0}
        for text in strings:
            self.code(text)

    def __len__(self) -> int:
        return len(self.strings)

    def code(self, text: str) -> int:
        """The code of `text`, added if new."""
        code = self._codes.get(text)
        if code is None:
            code = self._codes[text] = len(self.strings)
            self.strings.append(text)
        return code

    def find(self, text: str) -> int:
        """The code of `text`, or -1."""
        return self._codes.get(text, -1)

    def array(self) -> Array:
        """All strings as an object array, for `array()[codes]`."""
        out = np.empty(len(self.strings), dtype=object)
        out[:] = self.strings
        return out


class Vector:
    """A typed column. `data` is one-dimensional with the dtype of `engine.types.DTYPES`.

    SYMBOL vectors hold codes into `symbols`; DECIMAL vectors hold unscaled integers and a `scale`. `name` is
    what `rename!` called it, which a table made of it takes over.

    A STRING vector may hold codes as well: `coded` and `strings` read from them. Who asks for `data` may write into
    it, so that makes them texts for good.
    """

    __slots__ = ("_held", "_varied", "is_pair", "name", "scale", "symbols", "type")

    def __init__(
        self,
        type: Type,
        data: Array,
        symbols: SymbolBase | None = None,
        scale: int = 0,
        is_pair: bool = False,
        name: str | None = None,
    ) -> None:
        self.type = type
        self.symbols = symbols
        self.scale = scale
        self.is_pair = is_pair
        self.name = name
        # One attribute for all forms, so that threads sharing a vector see one or the other.
        self._held: Array | Vector | coding.Numbering = data
        self._varied = False

    @staticmethod
    def holding(symbols: Vector) -> Vector:
        """A STRING vector of the texts of a SYMBOL vector, whose codes must not be changed afterwards."""
        out = Vector(Type.STRING, symbols.data)
        out._held = symbols
        return out

    @property
    def kind(self) -> str:
        """The kind of the dtype of `data`."""
        held = self._held
        return held.dtype.kind if isinstance(held, np.ndarray) else "O"

    @property
    def data(self) -> Array:
        held = self._held
        return held if isinstance(held, np.ndarray) else self._opened()

    @data.setter
    def data(self, data: Array) -> None:
        self._held = data
        self._varied = False

    def _opened(self) -> Array:
        while not isinstance(held := self._held, np.ndarray):
            texts = held.texts if isinstance(held, coding.Numbering) else held.strings()
            if self._held is held:
                self._held = texts
        return held

    def coded(self) -> Vector | None:
        """The same texts as a SYMBOL vector to read from: of a SYMBOL vector itself, of a long STRING vector whose
        texts recur its codes, which it keeps. Else None."""
        if self.type is Type.SYMBOL:
            return self
        held = self._held
        if isinstance(held, Vector):
            return held
        if (
            self.type is not Type.STRING
            or self._varied
            or isinstance(held, coding.Numbering)
            or len(held) < coding.LONG
        ):
            return None
        numbering = self._held = coding.Numbering(held)
        found = coding.factorized(held)
        if found is None:
            if self._held is numbering:
                self._held, self._varied = held, True
            return None
        numbered = based(*found).held_codes()
        if self._held is numbering and numbered is not None:
            self._held = numbered
        return numbered

    def keep_codes(self, other: Vector | None) -> bool:
        """Hold what another STRING vector holds, if it holds codes."""
        held = None if other is None else other.held_codes()
        if held is None:
            return False
        self._held = held
        return True

    def held_codes(self) -> Vector | None:
        """The codes of a STRING vector if it holds them already."""
        held = self._held
        return held if isinstance(held, Vector) else None

    def __len__(self) -> int:
        held = self._held
        return len(held.texts) if isinstance(held, coding.Numbering) else len(held)

    def nulls(self) -> Array:
        """A boolean mask of the null elements."""
        coded = self.coded() if self.type is Type.STRING else None
        return null_mask(self.type, self.data) if coded is None else null_mask(coded.type, coded.data)

    def has_nulls(self) -> bool:
        """Whether any element is null; of numbers the smallest tells, which NaN makes NaN."""
        if self.kind not in "if":
            return bool(self.nulls().any())
        missing = null(self.type)

        def found(rows: slice) -> bool:
            least = self.data[rows].min(initial=np.inf if self.data.dtype.kind == "f" else 1)
            return bool(least == missing or least != least)

        with np.errstate(invalid="ignore"):
            return any(parallel.each(found, parallel.spans(len(self), 1 << 18), len(self)))

    def take(self, indices: Array | slice) -> Vector:
        """The elements at `indices` (integer array, boolean mask or slice)."""
        if (
            self.type is Type.STRING
            and not isinstance(indices, slice)
            and indices.dtype != np.bool_
            and len(indices) >= max(coding.LONG, coding.SHARE * len(self))
            and not isinstance(self._held, Vector)
        ):
            codes = parallel.taken(np.arange(len(self), dtype=np.int32), indices)
            return based(codes, self.data.tolist())
        return self.moved(lambda data: parallel.taken(data, indices))

    def moved(self, move: Callable[[Array], Array]) -> Vector:
        """The elements that `move` picks of raw storage, which it must not look at."""
        held = self._held
        if isinstance(held, Vector):
            codes, base = move(held.data), held.symbols
            assert base is not None
            if len(codes) >= len(base):
                return Vector.holding(Vector(Type.SYMBOL, codes, base))
            return Vector(Type.STRING, coding.objects([base.strings[code] for code in codes.tolist()]))
        return Vector(self.type, move(self.data), self.symbols, self.scale)

    def with_data(self, data: Array) -> Vector:
        """The same type, symbols and scale over other data."""
        return Vector(self.type, data, self.symbols, self.scale)

    def copy(self) -> Vector:
        held = self._held
        if isinstance(held, Vector):
            return Vector.holding(held)
        return Vector(self.type, self.data.copy(), self.symbols, self.scale, self.is_pair)

    def scalar(self, index: int) -> Scalar:
        held = self._held
        if isinstance(held, Vector):
            text = held.scalar(index).value
            return Scalar(Type.STRING, text or None)
        raw = self.data[index]
        if self.type is Type.SYMBOL:
            assert self.symbols is not None
            return Scalar(Type.STRING, self.symbols.strings[raw])
        return scalar_of(self.type, raw, self.scale)

    def strings(self) -> Array:
        """The elements of a STRING or SYMBOL vector as an object array of str, to read from."""
        held = self._held
        if isinstance(held, Vector):
            return held.strings()
        if self.type is Type.SYMBOL:
            assert self.symbols is not None
            return np.asarray(self.symbols.array()[self.data])
        return self.data


@dataclass(slots=True, eq=False)
class AnyVector:
    """A tuple: elements of any form. A columnar tuple holds one kind of rows and is indexed like a column of them."""

    items: list[Value]
    columnar: bool = False

    def __len__(self) -> int:
        return len(self.items)


@dataclass(slots=True, eq=False)
class ArrayVector:
    """A vector of vectors of one type: row i is `flat[offsets[i]:offsets[i + 1]]`."""

    flat: Vector
    offsets: Array

    @property
    def type(self) -> Type:
        return self.flat.type

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def row(self, index: int) -> Vector:
        return self.flat.take(slice(self.offsets[index], self.offsets[index + 1]))

    def take(self, indices: Array | slice) -> ArrayVector:
        positions = np.arange(len(self))[indices]
        sizes = np.diff(self.offsets)[positions]
        offsets = np.concatenate(([0], np.cumsum(sizes)))
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], sizes)
        return ArrayVector(self.flat.take(np.repeat(self.offsets[:-1][positions], sizes) + within), offsets)


@dataclass(slots=True, eq=False)
class Matrix:
    """Two-dimensional data (rows × columns; column-major order is usual), with optional labels.

    `indexed` marks an indexed matrix, whose operations align on labels.
    """

    type: Type
    data: Array
    row_labels: Vector | None = None
    column_labels: Vector | None = None
    scale: int = 0
    indexed: bool = False

    @property
    def rows(self) -> int:
        return int(self.data.shape[0])

    @property
    def columns(self) -> int:
        return int(self.data.shape[1])

    def column(self, index: int) -> Vector:
        return Vector(self.type, self.data[:, index], None, self.scale)


@dataclass(slots=True, eq=False)
class IndexedSeries:
    """A vector with a strictly increasing index."""

    index: Vector
    values: Vector


@dataclass(slots=True, eq=False)
class Set:
    """Distinct members of one type, raw as in scalars (str for SYMBOL)."""

    type: Type
    members: dict[Any, None] = field(default_factory=dict)
    scale: int = 0

    def __len__(self) -> int:
        return len(self.members)

    def listed(self) -> list[Any]:
        """The members in the order scripts see: the newest first."""
        return list(reversed(self.members))


@dataclass(slots=True, eq=False)
class Dictionary:
    """Keys (raw as in scalars, str for SYMBOL) to values, in insertion order.

    `value_type` ANY holds any value; otherwise the values are scalars of that type.
    `ordered` is what the script asked for; an unordered one promises no order. `capacity` is how many keys it was
    made for.
    """

    key_type: Type
    value_type: Type
    items: dict[Any, Value] = field(default_factory=dict)
    ordered: bool = False
    capacity: int = 0

    def __post_init__(self) -> None:
        self.capacity = self.capacity or len(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def listed(self) -> list[tuple[Any, Value]]:
        """Keys and values in the order scripts see: an unordered one is a hash table that puts new keys in front
        and is turned round whenever it grows."""
        if self.ordered:
            return list(self.items.items())
        buckets = _prime_from(self.capacity or min(len(self.items), 3))
        order: deque[tuple[Any, Value]] = deque()
        for count, pair in enumerate(self.items.items(), 1):
            if count >= buckets:
                order.reverse()
                buckets = _prime_from(max(count + 1, 2 * buckets))
            order.appendleft(pair)
        return list(order)


def _prime_from(number: int) -> int:
    number = max(number, 2)
    while any(number % divisor == 0 for divisor in range(2, isqrt(number) + 1)):
        number += 1
    return number


Column: TypeAlias = "Vector | AnyVector | ArrayVector"


@dataclass(slots=True, eq=False)
class Table:
    """An in-memory table. Column names match in any case; their spelling is kept.

    `keys` are the key columns of a keyed or indexed table (rows unique by them). `lock` guards a
    shared table: hold it while reading several columns or writing. `name` is the variable it was first
    assigned to, which code about the table is printed with.
    """

    names: list[str]
    columns: list[Column]
    keys: tuple[str, ...] = ()
    kind: str = "TABLE"
    shared_as: str | None = None
    name: str | None = None
    lock: RLock = field(default_factory=RLock)

    @property
    def rows(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    def find(self, name: str) -> int:
        """The position of a column, ignoring case; -1 if there is none."""
        if name in self.names:
            return self.names.index(name)
        lowered = name.lower()
        return next((i for i, other in enumerate(self.names) if other.lower() == lowered), -1)

    def column(self, name: str) -> Column | None:
        index = self.find(name)
        return self.columns[index] if index >= 0 else None

    def take(self, indices: Array | slice) -> Table:
        """The rows at `indices` (integer array, boolean mask or slice) as a new table."""
        return Table(list(self.names), [take(column, indices) for column in self.columns])


@dataclass(slots=True, eq=False)
class Code:
    """Quoted code: `<x + 1>`."""

    node: syntax.Expression | syntax.Statement


@dataclass(slots=True, eq=False)
class Closure:
    """A function defined in script, its source, and the variables it closed over (`captured`), by value. With an
    `owner` its body runs with that user's rights: function views (`is_view`), what they call and what they define."""

    name: str | None
    parameters: tuple[syntax.Parameter, ...]
    body: syntax.Expression | syntax.Block
    captured: dict[str, Value] = field(default_factory=dict)
    is_aggregate: bool = False
    text: str = ""
    owner: str | None = None
    is_view: bool = False


@dataclass(slots=True, eq=False)
class Partial:
    """A function with some arguments fixed; NOTHING marks the open ones."""

    function: Function
    arguments: tuple[Value, ...]


@dataclass(slots=True, eq=False)
class Pattern:
    """A function under an adverb: `f:E` and the like."""

    function: Function
    letter: str


@dataclass(slots=True, eq=False)
class Handle:
    """An opaque object of the engine (database handle, data source …) with its printed text."""

    kind: str
    text: str
    target: Any


if TYPE_CHECKING:
    from engine.functions.registry import Builtin

Function: TypeAlias = "Builtin | Closure | Partial | Pattern"
Value: TypeAlias = (
    "Scalar | Nothing | Vector | AnyVector | ArrayVector | Matrix | IndexedSeries | Set | Dictionary | Table | Code"
    " | Builtin | Closure | Partial | Pattern | Handle"
)


def based(codes: Array, texts: Sequence[str]) -> Vector:
    """The STRING vector of the texts that `codes` stand for; equal ones may be among them."""
    base = SymbolBase()
    mapping = np.array([base.code(text) for text in texts], dtype=np.int32)
    return Vector.holding(Vector(Type.SYMBOL, mapping[codes], base))


def null_mask(type_: Type, data: Array) -> Array:
    """Which elements of raw storage are null."""
    if data.dtype.kind in "fc":
        return np.isnan(data)
    if data.dtype.kind == "i":
        return np.asarray(data == null(type_))
    if type_ is Type.DURATION:
        return np.array([item is None for item in data.ravel()], dtype=bool).reshape(data.shape)
    return np.asarray(data == null(type_), dtype=bool)


def scalar_of(type_: Type, raw: Any, scale: int = 0) -> Scalar:
    """A scalar from one element of raw storage (not SYMBOL)."""
    if isinstance(raw, np.generic):
        raw = raw.item()
    if type_ is Type.BOOL:
        return Scalar(type_, None if raw == -128 else bool(raw))
    if raw is None or raw != raw or (raw == null(type_) and not isinstance(raw, float)) or raw == ZERO16:
        return Scalar(type_, None, scale)
    return Scalar(type_, raw, scale)


def raw_of(scalar: Scalar, type_: Type | None = None) -> Any:
    """The element of raw storage for a scalar of that very type (not SYMBOL)."""
    return null(type_ or scalar.type) if scalar.value is None else scalar.value


def vector(type_: Type, items: Sequence[Any] | Array, scale: int = 0) -> Vector:
    """A vector from raw items; None becomes NULL, str items of a SYMBOL vector get codes."""
    if type_ is Type.SYMBOL:
        base = SymbolBase()
        codes = [base.code(item or "") for item in items]
        return Vector(type_, np.array(codes, dtype=np.int32), base)
    dtype = DTYPES[type_]
    if isinstance(items, np.ndarray):
        return Vector(type_, items.astype(dtype, copy=False), None, scale)
    missing = null(type_)
    out = np.empty(len(items), dtype=dtype)
    for position, item in enumerate(items):
        out[position] = missing if item is None else item
    return Vector(type_, out, None, scale)


def nulls(type_: Type, count: int, scale: int = 0) -> Vector:
    """A vector of `count` nulls."""
    data = np.empty(count, dtype=DTYPES[type_])
    data.fill(null(type_))
    return Vector(type_, data, SymbolBase() if type_ is Type.SYMBOL else None, scale)


def repeat(scalar: Scalar, count: int) -> Vector:
    """A vector of one value (a STRING scalar gives STRING)."""
    if scalar.type is Type.STRING and count >= coding.LONG:
        return based(np.zeros(count, dtype=np.int32), [scalar.value or ""])
    out = nulls(scalar.type, count, scalar.scale)
    if scalar.value is not None:
        if out.symbols is not None:
            out.data.fill(out.symbols.code(scalar.value))
        else:
            out.data.fill(scalar.value)
    return out


def take(column: Column, indices: Array | slice) -> Column:
    if isinstance(column, AnyVector):
        positions = np.arange(len(column))[indices]
        return AnyVector([column.items[position] for position in positions], column.columnar)
    return column.take(indices)


def elements(value: Vector | AnyVector | ArrayVector) -> Iterator[Value]:
    """The elements one by one, as values."""
    for index in range(len(value)):
        if isinstance(value, Vector):
            yield value.scalar(index)
        elif isinstance(value, ArrayVector):
            yield value.row(index)
        else:
            yield value.items[index]


def integer(value: int, type_: Type = Type.INT) -> Scalar:
    return Scalar(type_, value)


def double(value: float) -> Scalar:
    return Scalar(Type.DOUBLE, None if value != value else float(value))


def boolean(value: bool) -> Scalar:
    return Scalar(Type.BOOL, bool(value))


def string(value: str) -> Scalar:
    return Scalar(Type.STRING, value)
