"""Formulas of spreadsheets as expressions over columns."""

from __future__ import annotations

import re

from engine.arguments import positive_argument, text_argument
from engine.errors import CallError, UnsupportedError
from engine.forms import as_vector
from engine.functions.registry import Registry
from engine.types import LITERAL, Type
from engine.values import Scalar, Value, string, vector

functions = Registry()

_TOKEN = re.compile(
    r"\s*(?:(?P<text>\"(?:[^\"]|\"\")*\")|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"|(?P<function>[A-Za-z][A-Za-z.]*)(?=\s*\()"
    r"|(?P<cell>\$?[A-Za-z]{1,3}\$?\d+)(?:\s*:\s*(?P<end>\$?[A-Za-z]{1,3}\$?\d+))?"
    r"|(?P<constant>TRUE|FALSE)\b|(?P<operator><>|<=|>=|[-+*/^&=<>(),%]))\s*",
    re.IGNORECASE,
)
_AGGREGATES = {
    "SUM": "sum", "AVERAGE": "avg", "MIN": "min", "MAX": "max", "COUNT": "count", "PRODUCT": "prod", "MEDIAN": "med",
    "STDEV": "std", "STDEV.S": "std", "STDEV.P": "stdp", "STDEVP": "stdp", "VAR": "var", "VAR.S": "var",
    "VAR.P": "varp", "VARP": "varp",
}  # fmt: skip
_FUNCTIONS = {
    "IF": "iif", "ABS": "abs", "SQRT": "sqrt", "EXP": "exp", "LN": "log", "LOG10": "log10", "POWER": "pow",
    "MOD": "mod", "INT": "floor", "ROUND": "round", "SIGN": "signum",
}  # fmt: skip
_LOGICAL = {"AND": "&&", "OR": "||"}
_OPERATORS = {"=": "==", "<>": "!=", "/": "\\"}


class _Sheet:
    """The cells that hold the data: columns by number from 0, and the number of rows."""

    def __init__(self, first: str, last: str, rows: int) -> None:
        self._first, self._last = _column_number(first), _column_number(last)
        if self._last < self._first:
            raise CallError("colEnd must not be before colStart.")
        self._rows = rows

    def column(self, cell: str) -> int:
        number = _column_number(re.sub(r"[\d$]", "", cell)) - self._first
        if not 0 <= number <= self._last - self._first:
            raise CallError(f"the cell {cell} is outside of the columns of the data.")
        return number

    def aggregate(self, name: str, cell: str, end: str | None) -> str:
        """An aggregate of a range: over columns of a row, or over rows of a column."""
        left, right = self.column(cell), self.column(end or cell)
        low, high = _row(cell), _row(end or cell)
        if left != right and low != high:
            raise UnsupportedError("A range over rows and columns")
        if left != right:
            columns = ", ".join(f"col{number}" for number in range(min(left, right), max(left, right) + 1))
            return f"row{name[0].upper()}{name[1:]}({columns})"
        rows = abs(high - low) + 1
        if rows == 1:
            return f"cum{name}(col{left})"
        return f"{name}(col{left})" if rows == self._rows else f"m{name}(col{left}, {rows})"


def _column_number(letters: str) -> int:
    if not re.fullmatch(r"[A-Za-z]{1,3}", letters):
        raise CallError(f"{letters} is not a column of a spreadsheet.")
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def _row(cell: str) -> int:
    return int(re.sub(r"\D", "", cell))


@functions.builtin("convertExcelFormula", "formula, colStart, colEnd, rowStart, rowEnd")
def convert_excel_formula(formula: Value, start: Value, end: Value, first: Value, last: Value) -> Value:
    """Formulas of a spreadsheet as expressions over columns col0, col1, …; parentheses left open are closed."""
    column = as_vector(formula)
    if column.type not in LITERAL:
        raise CallError("formula must be a string.")
    rows = positive_argument(last, "rowEnd") - positive_argument(first, "rowStart") + 1
    if rows < 1:
        raise CallError("rowEnd must be greater than or equal to rowStart.")
    sheet = _Sheet(text_argument(start, "colStart"), text_argument(end, "colEnd"), rows)
    converted = [_converted(str(text), sheet) for text in column.strings().tolist()]
    return string(converted[0]) if isinstance(formula, Scalar) else vector(Type.STRING, converted)


def _converted(formula: str, sheet: _Sheet) -> str:
    """A formula token by token; what stands between the tokens of AND and OR becomes their operator."""
    text, position = formula.strip().removeprefix("="), 0
    out: list[str] = []
    separators: list[str] = []
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise CallError(f"the formula {formula} can't be read at {text[position : position + 10]}.")
        position = match.end()
        name = (match["function"] or "").upper()
        if name in _AGGREGATES:
            position = _aggregate(text, position, _AGGREGATES[name], sheet, out)
        elif name in _LOGICAL:
            position = text.index("(", match.end("function")) + 1
            separators.append(f" {_LOGICAL[name]} ")
            out.append("(")
        elif name:
            if name not in _FUNCTIONS:
                raise UnsupportedError(f"The function {name} of a formula")
            out.append(_FUNCTIONS[name])
        elif match["cell"]:
            if match["end"]:
                raise UnsupportedError("A range outside of an aggregate function")
            out.append(f"col{sheet.column(match['cell'])}")
        elif match["text"] or match["number"]:
            out.append(match["text"] or match["number"])
        elif match["constant"]:
            out.append(match["constant"].lower())
        else:
            out.append(_operator(match["operator"], separators))
    return "".join(out) + ")" * len(separators)


def _aggregate(text: str, position: int, name: str, sheet: _Sheet, out: list[str]) -> int:
    match = re.compile(r"\s*\(\s*(\$?[A-Za-z]{1,3}\$?\d+)\s*(?::\s*(\$?[A-Za-z]{1,3}\$?\d+))?\s*(?:\)|$)").match(
        text, position
    )
    if match is None:
        raise UnsupportedError("An aggregate of anything but one range")
    out.append(sheet.aggregate(name, match[1], match[2]))
    return match.end()


def _operator(operator: str, separators: list[str]) -> str:
    if operator in ("%", "&", "^"):
        raise UnsupportedError(f"The operator {operator} of a formula")
    if operator == "(":
        separators.append(",")
    elif operator == ")" and separators:
        separators.pop()
    elif operator == "," and separators:
        return separators[-1]
    return _OPERATORS.get(operator, operator)
