"""Out of an error: the signatures that the script got wrong, and the page that explains the error."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from rag.functions import signature_line, suggest
from rag.searcher import Searcher

MAX_SIGNATURES = 5
MAX_CHARACTERS = 20_000
PER_UNKNOWN = 3

# What is not closed reaches to the end.
_NOT_CODE = re.compile(
    r"//[^\n]*|/\*.*?(?:\*/|\Z)|\"(?:[^\"\\]|\\.)*(?:\"|\\?\Z)|'(?:[^'\\]|\\.)*(?:'|\\?\Z)", re.DOTALL
)
_CALLED = re.compile(r"(?<![\w`])([A-Za-z_]\w*!?)\s*\(")
_DEFINED = re.compile(r"\b(?:def|defg|mapr)\s+([A-Za-z_]\w*)|([A-Za-z_]\w*)\s*=(?!=)")
_MEMBER = re.compile(r"\.\s*([A-Za-z_]\w*!?)\s*\(")
_UNKNOWN = re.compile(
    r"(?i)(?:cannot recognize the token|can't recognize function|unknown function|no function(?: named)?|"
    r"undefined function|no member|not defined:?)\W+([A-Za-z_]\w*!?)"
)
_NAMED = re.compile(r"[A-Za-z_]\w*!?")
_KEYWORDS = frozenset(
    [
        "if",
        "for",
        "while",
        "do",
        "select",
        "exec",
        "update",
        "delete",
        "def",
        "defg",
        "in",
        "and",
        "or",
        "not",
        "return",
    ]
)
# Functions that stand in most scripts and are seldom what went wrong.
_EVERYDAY = frozenset(["table", "string", "int", "double", "date", "symbol", "print", "size", "count", "sum"])


@dataclass(frozen=True)
class Hint:
    """`text` is for the model; empty when nothing useful is known. `functions` are those whose signatures it gives."""

    text: str
    functions: tuple[str, ...]


def documentation_hint(searcher: Searcher, error: str, script: str) -> Hint:
    """The signatures that the error and the script call for, likeliest first, and where to read more."""
    error, code = error[:MAX_CHARACTERS], _NOT_CODE.sub(" ", script[:MAX_CHARACTERS])
    own = {name for match in _DEFINED.finditer(code) for name in match.groups() if name}
    called = [name for name in dict.fromkeys(_CALLED.findall(code)) if name not in own and name not in _KEYWORDS]
    members = list(dict.fromkeys(_MEMBER.findall(code)))
    known = {name for name in {*called, *members} if searcher.page(name) is not None and _exact(searcher, name)}
    unknown = [name for name in _UNKNOWN.findall(error) if not _exact(searcher, name) and name not in own]
    unknown += [name for name in (*called, *members) if name not in known and name not in own]
    notes: list[str] = []
    functions: dict[str, None] = {}
    habits = _habits(searcher, [*members, *called])
    for name in list(dict.fromkeys(unknown))[:PER_UNKNOWN]:
        likely = suggest(searcher, name)[:PER_UNKNOWN]
        if habits and name in members:
            likely = list(dict.fromkeys([*habits, *likely]))[:PER_UNKNOWN]
        if likely:
            notes.append(f"there is no function {name}; perhaps {', '.join(likely)}")
            functions.update((function, None) for function in likely)
    functions.update((name, None) for name in _in_error(searcher, error, code))
    functions.update((name, None) for name in called if name in known and _miscounted(searcher, name, code))
    functions.update((name, None) for name in habits)
    rest = sorted((name for name in (*called, *members) if name in known), key=lambda name: name in _EVERYDAY)
    functions.update((name, None) for name in rest)
    lines: list[str] = []
    shown: list[str] = []
    for name in functions:
        found = searcher.page(name)
        if found is not None and len(lines) < MAX_SIGNATURES:
            lines.append(signature_line(found[0]))
            shown.append(name)
    if not lines:
        lines.extend(_explained(searcher, error))
    text = "; ".join(notes)
    if lines:
        text = f"{text}\nDocumentation:\n" if text else "Documentation:\n"
        text += "\n".join(f"- {line}" for line in lines)
    return Hint(text.strip(), tuple(shown))


def _exact(searcher: Searcher, name: str) -> bool:
    found = searcher.page(name)
    return found is not None and (found[0].function == name or name in found[0].aliases)


def _habits(searcher: Searcher, names: Iterable[str]) -> list[str]:
    """Functions for what the script calls as another tool would: chains such as rolling(5).mean() first."""
    ranked = sorted(searcher.foreign("pandas " + " ".join(names)).items(), key=lambda item: -item[1])
    best = ranked[0][1] if ranked else 0.0
    return list(dict.fromkeys(searcher.canonical(name) for name, sure in ranked if sure >= max(0.8, best - 0.01)))[:3]


def _in_error(searcher: Searcher, error: str, code: str) -> list[str]:
    """Functions that the error itself speaks of: as code, or as a word that the script calls."""
    names = dict.fromkeys(_NAMED.findall(error))
    called = set(_NAMED.findall(code))
    return [name for name in names if name in called and _exact(searcher, name) and name not in _KEYWORDS]


def _miscounted(searcher: Searcher, name: str, code: str) -> bool:
    """Whether some call of the function has more or fewer arguments than its signatures allow."""
    found = searcher.page(name)
    if found is None:
        return False
    allowed = [_arity(signature) for signature in found[0].signatures]
    for match in re.finditer(rf"(\.\s*)?(?<!\w){re.escape(name)}\s*\(", code):
        count = _arguments(code, match.end()) + (1 if match[1] else 0)
        if not any(low <= count <= high for low, high in allowed):
            return True
    return False


def _arity(signature: str) -> tuple[int, int]:
    inside = signature.partition("(")[2].rpartition(")")[0]
    parameters = [part.strip() for part in inside.split(",") if part.strip()]
    if any("..." in part or "…" in part for part in parameters):
        return 0, 1_000
    required = sum(1 for part in parameters if not part.startswith("[") and "=" not in part)
    return required, len(parameters)


def _arguments(code: str, start: int) -> int:
    """How many arguments stand between the bracket that ends at `start` and its partner."""
    depth, commas, anything = 0, 0, False
    for character in code[start:]:
        if character in "([{":
            depth += 1
        elif character in ")]}":
            if depth == 0:
                break
            depth -= 1
        elif character == "," and depth == 0:
            commas += 1
        anything = anything or not character.isspace()
    return commas + 1 if anything else 0


def _explained(searcher: Searcher, error: str) -> list[str]:
    found = searcher.find(error[:500], 2)
    if found.confidence < 0.5:
        return []
    return [f"see {' > '.join(result.headings)} ({result.url or result.source})" for result in found.results]
