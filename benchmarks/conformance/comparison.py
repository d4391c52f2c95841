"""Whether a text the engine shows says the same as the documentation, whatever the layout."""

from __future__ import annotations

import math
import re

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_NULLS = ("", "null", "NULL", "NaN", "nan", "00i", "00b", "00F", "00l", "00h", "00c", "00f", "00d", "00s", "00m")
_TRUTH = {"true": "1", "false": "0"}
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[+-]?(?:\d+\.\d+|\.\d+|\d+)(?:[eE][+-]?\d+)?(?![\w.:])|[^\s\[\](),<>{}"]+|\S')
_PAIR = re.compile(r" +: *(?=\S)|(?<=\d):(?= +\d)")
_MOMENT = re.compile(r"(\d{4}\.\d\d\.\d\d) (\d\d:)")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?:\D|$))")
_UNNAMED = re.compile(r"(?:#|col|C)?\d*")
_ROW_LABELS = ("label", "lable")
_RULE = re.compile(r"\s*-+(?:\s+-+)*\s*")

Grid = tuple[list[str], list[list[str]]]


def same(expected: str, actual: str) -> bool:
    """Tables are compared cell by cell, dictionaries entry by entry, anything else token by token."""
    stated, shown = expected.strip("\n").rstrip(" ;"), actual.strip("\n")
    if stated == shown:
        return True
    table = _grid(stated)
    if table is not None:
        other = _grid(shown)
        return other is not None and _same_grids(table, other)
    if stated.startswith("set(") and shown.startswith("set("):
        return sorted(_tokens(stated)) == sorted(_tokens(shown))
    if "->" in stated and "->" in shown:
        one, two = _entries(stated), _entries(shown)
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if _grid(shown) is not None or (shown.startswith("[") and "," not in stated):
        # A table without rules, or a vector without commas: the values in their order have to do.
        values, others = _values(stated if "[" in stated else _THOUSANDS.sub("", stated)), _values(shown)
        width = len(grid[0]) if (grid := _grid(shown)) else 0
        if width and all(map(_UNNAMED.fullmatch, [*values[:width], *others[:width]])):
            values, others = values[width:], others[width:]
        return _same_tokens(values, others)
    return _same_tokens(*(_tokens(_MOMENT.sub(r"\1T\2", _PAIR.sub(":", text))) for text in (stated, shown)))


def _values(text: str) -> list[str]:
    lines = [line for line in text.split("\n") if not _RULE.fullmatch(line)]
    return [token for token in _tokens(" ".join(lines)) if token not in ("", ",", "|", "[", "]")]


def _tokens(text: str) -> list[str]:
    """Words, numbers and punctuation; an omitted element is an empty token."""
    tokens: list[str] = []
    for token in _TOKEN.findall(text):
        if token in (",", "]", ")") and tokens and tokens[-1] in (",", "[", "("):
            tokens.append("")
        tokens.append(token.strip("\"'`"))
    return tokens


def _same_tokens(expected: list[str], actual: list[str]) -> bool:
    if (not any(expected) and not any(actual)) or (expected == ["NULL"] and not any(actual)):
        return True
    if "..." in expected:
        expected = expected[: expected.index("...")]
        actual = actual[: len(expected)]
    return len(expected) == len(actual) and all(map(_same_value, expected, actual))


def same_cell(expected: str, actual: str) -> bool:
    """A cell of a table: one value, or a vector of them."""
    if expected.startswith("[") and actual.startswith("["):
        return _same_tokens(_tokens(expected), _tokens(actual))
    return _same_value(expected, actual)


def _same_value(expected: str, actual: str) -> bool:
    """One value: numbers to the digits that are stated, at most six; all ways to write NULL are one."""
    one, two = (_MOMENT.sub(r"\1T\2", text.strip().strip("\"'`")) for text in (expected, actual))
    one, two = _TRUTH.get(one, one), _TRUTH.get(two, two)
    if one == two or (one in _NULLS and two in _NULLS):
        return True
    bare = one.replace(",", "") if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", one) else one
    if _NUMBER.fullmatch(bare) and _NUMBER.fullmatch(two):
        return _close(bare, float(bare), float(two))
    return one.replace(" ", "") == two.replace(" ", "")


def _close(text: str, expected: float, actual: float) -> bool:
    if not math.isfinite(expected) or not math.isfinite(actual):
        return expected == actual
    decimals = len(text.lower().partition("e")[0].partition(".")[2])
    slack = 5e-6 * abs(expected)
    if decimals >= 2 and "e" not in text.lower():
        slack = max(slack, 1.01 * 10.0**-decimals)
    return abs(expected - actual) <= max(slack, 1e-12)


def _grid(text: str) -> Grid | None:
    lines = [line for line in text.split("\n") if line.strip()]
    if lines and all(line.lstrip().startswith("|") for line in lines):
        return _pipe_grid(lines)
    if len(lines) >= 2 and _RULE.fullmatch(lines[1]) and not lines[0].startswith(("[", "(")):
        return _console_grid(text.split("\n"))
    return None


def _pipe_grid(lines: list[str]) -> Grid:
    rows = [[cell.strip().strip("*") for cell in line.strip().strip("|").split("|")] for line in lines]
    body = rows[1:]
    if body and all(re.fullmatch(r":?-+:?", cell) for cell in body[0]):
        body = body[1:]
    return rows[0], body


def _console_grid(lines: list[str]) -> Grid:
    rule = next(number for number, line in enumerate(lines) if _RULE.fullmatch(line))
    starts = [match.start() for match in re.finditer(r"-+", lines[rule])]
    bounds = [*starts, None]

    def cells(line: str) -> list[str]:
        label = [line[: starts[0]].rstrip(" |")] if starts[0] else []
        return [*label, *(line[bounds[i] : bounds[i + 1]].strip() for i in range(len(starts)))]

    return cells(lines[rule - 1]), [cells(line) for line in lines[rule + 1 :]]


def _same_grids(expected: Grid, actual: Grid) -> bool:
    heads = [[head.strip("\"'") for head in grid[0]] for grid in (expected, actual)]
    if len(heads[0]) != len(heads[1]):
        return False
    # Unnamed columns are written #0, col0, col1, C0 or 0 by turns; "label" or nothing stands over row labels.
    heads = [["" if head in _ROW_LABELS else head for head in row] for row in heads]
    unnamed = [all(map(_UNNAMED.fullmatch, row)) for row in heads]
    if heads[0] != heads[1] and not all(unnamed):
        return False
    stated, shown = expected[1], actual[1]
    if stated and all(cell in ("...", "…", "") for cell in stated[-1]) and any(stated[-1]):
        stated, shown = stated[:-1], shown[: len(stated) - 1]
    while shown and len(shown) > len(stated) and not any(shown[-1]):
        shown = shown[:-1]
    return len(stated) == len(shown) and all(
        len(one) == len(two) and all(map(same_cell, one, two)) for one, two in zip(stated, shown, strict=True)
    )


def _entries(text: str) -> dict[str, str]:
    """`key->value` lines; a value goes on to the next key."""
    entries: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.split("\n"):
        match = re.match(r"\s{0,2}([^\s\[(\"{][^\[(\"{>]*?|\"[^\"]*\")->(.*)", line)
        if match:
            lines = entries.setdefault(match[1].strip().strip("\"'"), [])
            line = match[2]
        lines.append(line)
    return {key: "\n".join(_dedented(each)).strip("\n") for key, each in entries.items()}


def _dedented(lines: list[str]) -> list[str]:
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return [line[indent:] for line in lines]
