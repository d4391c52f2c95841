"""Texts of numbers and times in a given format, and times from texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np

from engine.aggregation.rows import numbers
from engine.arguments import text_argument
from engine.cast import CLOCKS, DAY, INSTANTS, decimal_raws
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.registry import Registry
from engine.functions.text.strings import mapped, object_array
from engine.functions.times.periods import month_number, month_start
from engine.texts import element_texts
from engine.types import DECIMAL, FLOATING, INTEGRAL, LITERAL, TEMPORAL, Type, null
from engine.values import AnyVector, Array, Dictionary, Scalar, Value, Vector, string

functions = Registry()

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
EPOCH = date(1970, 1, 1).toordinal()
FIELDS = {
    "yyyy": "y", "yy": "y", "y": "y", "MMM": "M", "MM": "M", "M": "M", "dd": "d", "d": "d", "HH": "H", "H": "H",
    "hh": "h", "h": "h", "mm": "m", "m": "m", "ss": "s", "s": "s", "aa": "a", "a": "a", "SSS": "S",
    "nnnnnn": "n", "nnnnnnnnn": "n",
}  # fmt: skip
WIDTHS = {"S": "Millisecond (S) must have three digits.", "n": "Nanosecond (n) must have six or nine digits."}


@dataclass(frozen=True)
class Piece:
    """A field of a format, or literal text (`field` empty)."""

    text: str
    field: str = ""


def pieces_of(template: str) -> list[Piece]:
    """A temporal format taken apart; raises CallError if it is none."""
    pieces: list[Piece] = []
    position = 0
    while position < len(template):
        letter = template[position]
        if letter == "\\" and position + 1 < len(template):
            pieces.append(Piece(template[position + 1]))
            position += 2
        elif letter in "yMdHhmsaSn":
            end = position
            while end < len(template) and template[end] == letter:
                end += 1
            run = template[position:end]
            if run not in FIELDS:
                raise CallError(f"Invalid temporal format: '{template}'. {WIDTHS.get(letter, '')}".strip())
            pieces.append(Piece(run, letter))
            position = end
        else:
            pieces.append(Piece(letter))
            position += 1
    return pieces


def _has_digits(piece: Piece) -> bool:
    return bool(piece.field) and piece.field != "a" and piece.text != "MMM"


def _pattern(pieces: list[Piece]) -> re.Pattern[str]:
    """The texts a format stands for: without separators the digits of fields are fixed."""
    parts = []
    for index, piece in enumerate(pieces):
        if not piece.field:
            parts.append(re.escape(piece.text))
            continue
        joined = any(0 <= i < len(pieces) and _has_digits(pieces[i]) for i in (index - 1, index + 1))
        if joined and len(piece.text) == 1 and _has_digits(piece):
            raise CallError(f"{piece.text} in a format without separators must be written {piece.text * 2}.")
        if piece.text == "MMM":
            parts.append("([A-Za-z]{3})")
        elif piece.field == "a":
            parts.append("([AaPp][Mm])")
        elif piece.field in "Sn" or joined:
            parts.append(rf"(\d{{{len(piece.text)}}})")
        else:
            parts.append(r"(\d{1,9})")
    return re.compile("".join(parts))


def _target(fields: set[str], pieces: list[Piece]) -> Type:
    fine = {len(piece.text) for piece in pieces if piece.field == "n"}
    clock = fields & set("Hhmsa")
    if "y" in fields and "M" in fields and "d" in fields:
        if fine:
            return Type.NANOTIMESTAMP
        if "S" in fields:
            return Type.TIMESTAMP
        if not clock:
            return Type.DATE
        return Type.DATETIME if fields & {"m", "s"} else Type.DATEHOUR
    if "y" in fields and "M" in fields:
        return Type.MONTH
    if fine:
        return Type.NANOTIME
    if "S" in fields:
        return Type.TIME
    if "s" in fields:
        return Type.SECOND
    if fields & {"H", "h"} and "m" in fields:
        return Type.MINUTE
    raise CallError("the format does not say a date or a time.")


def _parsed(pieces: list[Piece], match: re.Match[str] | None, type_: Type) -> int | None:
    if match is None:
        return None
    values = {"y": 1970, "M": 1, "d": 1, "H": 0, "m": 0, "s": 0, "ns": 0}
    afternoon: bool | None = None
    fields = [piece for piece in pieces if piece.field]
    for piece, text in zip(fields, match.groups(), strict=True):
        if piece.text == "MMM":
            if text.upper() not in MONTHS:
                return None
            values["M"] = MONTHS.index(text.upper()) + 1
        elif piece.field == "a":
            afternoon = text.upper() == "PM"
        elif piece.field == "y":
            number = int(text)
            if len(text) > 2 and not 1000 <= number <= 9999:
                return None
            values["y"] = number + (2000 if number < 40 else 1900) if len(text) <= 2 else number
        elif piece.field == "S":
            values["ns"] = int(text) * 10**6
        elif piece.field == "n":
            values["ns"] = int(text) * 10 ** (9 - len(piece.text))
        else:
            values["H" if piece.field == "h" else piece.field] = int(text)
    if afternoon is not None:
        if values["H"] > 12:
            return None
        values["H"] = values["H"] % 12 + (12 if afternoon else 0)
    if values["H"] > 23 or values["m"] > 59 or values["s"] > 59:
        return None
    try:
        day = date(values["y"], values["M"], values["d"]).toordinal() - EPOCH
    except ValueError:
        return None
    within = (values["H"] * 3600 + values["m"] * 60 + values["s"]) * 10**9 + values["ns"]
    if type_ is Type.MONTH:
        return values["y"] * 12 + values["M"] - 1
    if type_ in CLOCKS:
        return within // CLOCKS[type_]
    return (day * DAY + within) // INSTANTS[type_]


def parse_times(x: Vector, template: str) -> Vector:
    """Texts as times of the type the format says; NULL where a text does not follow it."""
    pieces = pieces_of(template)
    type_ = _target({piece.field for piece in pieces}, pieces)
    pattern = _pattern(pieces)
    raws = mapped(x, lambda text: _parsed(pieces, pattern.fullmatch(text), type_))
    missing = null(type_)
    size = np.int64 if type_ in (Type.TIMESTAMP, Type.NANOTIME, Type.NANOTIMESTAMP) else np.int32
    return Vector(type_, np.array([missing if raw is None else raw for raw in raws], dtype=size))


@functions.elementwise("temporalParse", "X, format", aliases=("datetimeParse",))
def temporal_parse(x: Vector, template: Value) -> Vector:
    return parse_times(x, text_argument(template, "format"))


def format_times(x: Vector, template: str) -> list[str]:
    """Times as texts; "" for NULL."""
    pieces = pieces_of(template)
    needs_date, needs_clock = x.type not in CLOCKS, x.type in CLOCKS or (x.type in INSTANTS and x.type is not Type.DATE)
    for piece in pieces:
        if (piece.field and piece.field in "yMd" and not needs_date) or (
            piece.field and piece.field in "HhmsaSn" and not needs_clock
        ):
            raise CallError(f"a {x.type.name} has no {piece.text}.")
    missing = x.nulls()
    texts: Any = np.full(len(x), "", dtype=object)
    for text in _texts_of(pieces, x.with_data(np.where(missing, 0, x.data))):
        texts = texts + text
    texts[missing] = ""
    return list(texts)


def _texts_of(pieces: list[Piece], x: Vector) -> Iterator[Any]:
    """The text of every piece, for all times or one for each."""
    if x.type is Type.MONTH:
        months = x.data.astype(np.int64) - 1970 * 12
        days, within = month_start(months), np.zeros(len(x), dtype=np.int64)
    else:
        per_day = DAY // (INSTANTS.get(x.type) or CLOCKS[x.type])
        days, within = np.divmod(x.data.astype(np.int64), per_day)
        within = within * (DAY // per_day)
        months = month_number(days)
    hours = within // (3600 * 10**9)
    parts: dict[str, Callable[[], Array]] = {
        "y": lambda: months // 12 + 1970,
        "M": lambda: months % 12 + 1,
        "d": lambda: days - month_start(months) + 1,
        "H": lambda: hours,
        "h": lambda: hours % 12,
        "m": lambda: within // (60 * 10**9) % 60,
        "s": lambda: within // 10**9 % 60,
        "S": lambda: within // 10**6 % 1000,
        "n": lambda: within % 10**9,
        "a": lambda: hours // 12,
    }
    for piece in pieces:
        if piece.field:
            values, codes = np.unique(parts[piece.field](), return_inverse=True)
            yield object_array([_piece_text(piece, value) for value in values.tolist()])[codes]
        else:
            yield piece.text


def _piece_text(piece: Piece, value: int) -> str:
    width = len(piece.text)
    if piece.text == "MMM":
        return MONTHS[value - 1]
    if piece.field == "a":
        return "PM" if value else "AM"
    if piece.field == "y":
        return f"{value % 100:02d}" if width == 2 else f"{value:04d}"
    if piece.field == "n":
        value //= 10 ** (9 - width)
    return f"{value:0{width}d}"


@functions.elementwise("temporalFormat", "X, format", aliases=("datetimeFormat",))
def temporal_format(x: Vector, template: Value) -> Vector:
    if x.type not in TEMPORAL:
        raise CallError("X must be temporal.")
    return Vector(Type.STRING, object_array(format_times(x, text_argument(template, "format"))))


@dataclass(frozen=True)
class NumberFormat:
    """`0.00`, `#,###.##`, `0.0%`, `0.##E00`, with literal text around."""

    prefix: str
    suffix: str
    whole_digits: int
    least: int
    most: int
    grouping: int
    percent: bool
    exponent: int

    @classmethod
    def of(cls, text: str) -> NumberFormat:
        match = re.fullmatch(r"([^0#.,]*)([0#,]*)(?:\.(0*#*))?(E0+)?(%)?([^0#.,%]*)", text)
        if match is None or (match.group(4) and match.group(5)) or match.group(2).count(",") > 1:
            raise CallError(f"Invalid decimal format: '{text}'.")
        prefix, whole, fraction, exponent, percent, suffix = match.groups(default="")
        grouping = len(whole) - whole.index(",") - 1 if "," in whole else 0
        return cls(
            prefix, suffix, whole.count("0"), fraction.count("0"), len(fraction), grouping, bool(percent),
            len(exponent) - 1 if exponent else 0,
        )  # fmt: skip

    def apply(self, value: Decimal) -> str:
        power = 0
        if self.exponent and value:
            power = value.adjusted()
            value = value.scaleb(-power)
        if self.percent:
            value = value * 100
        rounded = value.quantize(Decimal(1).scaleb(-self.most), rounding=ROUND_HALF_UP)
        whole, _, fraction = f"{abs(rounded):f}".partition(".")
        while len(fraction) > self.least and fraction.endswith("0"):
            fraction = fraction[:-1]
        whole = whole.lstrip("0").rjust(self.whole_digits, "0")
        if self.grouping:
            parts = []
            while len(whole) > self.grouping:
                parts.append(whole[-self.grouping :])
                whole = whole[: -self.grouping]
            whole = ",".join([whole, *reversed(parts)])
        body = whole + (f".{fraction}" if fraction else "")
        if self.exponent:
            body += f"E{'-' if power < 0 else ''}{abs(power):0{self.exponent}d}"
        sign = "-" if rounded < 0 else ""
        return f"{sign}{self.prefix}{body or '0'}{'%' if self.percent else ''}{self.suffix}"


def format_numbers(x: Vector, template: str) -> list[str]:
    """Numbers as texts; "" for NULL. After `;` stands the format of negative numbers."""
    positive, _, negative = template.partition(";")
    shape = NumberFormat.of(positive)
    other = NumberFormat.of(negative) if negative else None
    missing = x.nulls()
    if x.type in DECIMAL:
        values = [Decimal(raw).scaleb(-x.scale) for raw in decimal_raws(x)]
    elif x.type in INTEGRAL:
        values = [Decimal(int(raw)) for raw in x.data]
    else:
        values = [Decimal(repr(float(raw))) if np.isfinite(raw) else Decimal(0) for raw in numbers(x)]
    out = []
    for value, gone in zip(values, missing, strict=True):
        if gone:
            out.append("")
        else:
            out.append(other.apply(-value) if other is not None and value < 0 else shape.apply(value))
    return out


@functions.elementwise("decimalFormat", "X, format")
def decimal_format(x: Vector, template: Value) -> Vector:
    if x.type not in (*INTEGRAL, *FLOATING, *DECIMAL):
        raise CallError("X must be a number.")
    return Vector(Type.STRING, object_array(format_numbers(x, text_argument(template, "format"))))


@functions.elementwise("format", "X, format")
def format_value(x: Vector, template: Value) -> Vector:
    if x.type in TEMPORAL:
        return temporal_format(x, template)  # type: ignore[no-any-return]
    return decimal_format(x, template)  # type: ignore[no-any-return]


PLACEHOLDER = re.compile(r"%(?:\((\w+)\))?([#+\-0]*)(\*|\d+)?(?:\.(\*|\d+))?([bchiolxXdMtmsDTnNfFSWA%])")
INTEGER_CODES = {"h": "d", "i": "d", "l": "d", "o": "o", "x": "x", "X": "X"}


@functions.builtin("stringFormat", "format, [args...]")
def string_format(template: Value, *values: Value) -> Scalar:
    """Values put into the placeholders of a text."""
    named = values[0] if values and isinstance(values[0], Dictionary) else None
    flat: list[Value] = []
    for value in values:
        flat.extend(value.items if isinstance(value, AnyVector) else [value])
    remaining = iter(flat)

    def following() -> Value:
        try:
            return next(remaining)
        except StopIteration:
            raise CallError("there are fewer arguments than placeholders.") from None

    def filled(match: re.Match[str]) -> str:
        name, flags, width, precision, code = match.groups()
        if code == "%":
            return "%"
        if width == "*":
            width = str(_plain(following()))
        if precision == "*":
            precision = str(_plain(following()))
        if name is not None:
            if named is None or name not in named.items:
                raise CallError(f"there is no argument named {name}.")
            value: Value = named.items[name]
        else:
            value = following()
        return _placed(value, flags, width, precision, code)

    return string(PLACEHOLDER.sub(filled, text_argument(template, "format")))


def _plain(value: Value) -> Any:
    if not isinstance(value, Scalar) or value.value is None:
        raise CallError("an argument of a placeholder must be a scalar.")
    return value.value


def _placed(value: Value, flags: str, width: str | None, precision: str | None, code: str) -> str:
    if code in "fF":
        body = f"%{flags}{width or ''}.{precision or '6'}f"
        return body % float(numbers(as_vector(value))[0])
    if code in INTEGER_CODES:
        return f"%{flags}{width or ''}{INTEGER_CODES[code]}" % int(_plain(value))
    from engine.console import console_text

    text = console_text(value) if code == "A" or not isinstance(value, Scalar) else element_texts(as_vector(value))[0]
    if isinstance(value, Scalar) and value.type in LITERAL and precision:
        text = text[: int(precision)]
    return f"%{'-' if '-' in flags else ''}{width or ''}s" % text
