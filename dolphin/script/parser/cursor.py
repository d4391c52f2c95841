"""The place in the token list, and the rules that hold everywhere in the grammar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from dolphin.script.builtin_names import BUILTIN_NAMES
from dolphin.script.errors import ScriptSyntaxError
from dolphin.script.lexer import Kind, Token, tokenize
from dolphin.script.syntax import Node, Span

MAX_NESTING = 90
MAX_TREE_DEPTH = 250

_BY = frozenset({"group", "context", "pivot", "cgroup", "order", "partition", "partitioned"})
_JOINS = frozenset({"inner", "left", "right", "full", "cross"})
_ALWAYS = frozenset({"from", "where", "having", "csort", "limit", "union", "as", "and", "or", "else", "select", "exec"})
_AFTER_OPERAND = frozenset({"in", "like", "between", "is"})
_IN_QUERY = frozenset(
    {
        "join",
        "asc",
        "desc",
        "on",
        "intersect",
        "minus",
        "except",
        "map",
        "set",
        "values",
        "over",
        "interval",
        "partition",
        "with",
        "using",
        "nulls",
    }
)
_IN_CASE = frozenset({"when", "then", "end"})
_OPENING = {")": "(", "]": "[", "}": "{"}
_NOT_HERE = {
    "=": "Please use '==' rather than '=' as equal operator in non-sql expression",
    "::": "A range has no step: index by positions, as in x[2 * 0..4]",
    "else": "A choice is written condition ? a : b, or iif(condition, a, b)",
    "except": "Errors are caught with catch (ex) { ... }",
    "#": "Comments begin with //",
    "for": "A loop is written for (x in v) { ... }",
    "while": "A loop is written while (condition) { ... }",
}


class Cursor:
    """Walks the tokens of one text.

    `newlines` is true where a line's end ends a statement, `sql` inside a query, `argument` directly inside a call's
    parentheses (there a comma does not continue a clause), `quoting` inside `<…>`, `no_pair` between `?` and `:`,
    `in_source` in a from clause (there `=` in a call names a parameter).
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokenize(text)
        self.index = 0
        self.tok = self.tokens[0]
        self.newlines = True
        self.sql = False
        self.argument = False
        self.quoting = False
        self.no_pair = False
        self.case = False
        self.in_source = False
        self.depth = 0
        self.functions: set[str] = set()
        self.assigned: set[str] = set()

    # --- tokens

    def advance(self) -> Token:
        token = self.tok
        if token.kind is not Kind.END:
            self.index += 1
            self.tok = self.tokens[self.index]
        return token

    def rewind(self, index: int) -> None:
        self.index = index
        self.tok = self.tokens[index]

    def peek(self, distance: int = 1) -> Token:
        return self.tokens[min(self.index + distance, len(self.tokens) - 1)]

    def at(self, operator: str) -> bool:
        return self.tok.text == operator and self.tok.kind is Kind.OPERATOR

    def accept(self, operator: str) -> bool:
        if self.at(operator):
            self.advance()
            return True
        return False

    def expect(self, operator: str) -> Token:
        if not self.at(operator):
            self.fail(expected=operator)
        return self.advance()

    def at_words(self, *words: str) -> bool:
        """Whether the next tokens are these keywords; keywords of several words stand on one line."""
        return all(self.peek(distance).word == word for distance, word in enumerate(words))

    def accept_words(self, *words: str) -> bool:
        if self.at_words(*words):
            for _ in words:
                self.advance()
            return True
        return False

    def expect_word(self, word: str) -> Token:
        if self.tok.word != word:
            self.fail(expected=word)
        return self.advance()

    def name(self) -> str:
        if self.tok.kind is not Kind.NAME:
            self.fail(expected="a name")
        return self.advance().text

    def line_ended(self) -> bool:
        """Whether a line break that ends the statement stands before the next token."""
        return self.tok.newline and (self.newlines or self.tok.kind is Kind.END)

    # --- what a word means here

    def is_function(self, name: str) -> bool:
        return name in self.functions or (name in BUILTIN_NAMES and name not in self.assigned)

    def stops_operand(self, token: Token, distance: int = 0) -> bool:
        """Whether a name is a keyword here, so that it cannot be an alias or an infix function."""
        word = token.word
        following = self.peek(distance + 1)
        if word is None:
            return self.sql and self._starts_frame(token, following, self.peek(distance + 2))
        if word in _ALWAYS:
            return True
        if word in _AFTER_OPERAND:
            return following.text != "(" or self.sql or following.space
        if word == "not":
            return following.word in ("in", "like", "between")
        if word in _BY:
            return following.word == "by"
        if word in _JOINS:
            return following.word in ("join", "outer", "semi", "semijoin")
        if word in _IN_CASE:
            return self.case
        if self.sql:
            return word in _IN_QUERY
        return word in ("catch", "while") and self.newlines

    @staticmethod
    def _starts_frame(token: Token, first: Token, second: Token) -> bool:
        """Whether `rows` or `range` begins the frame of a window function."""
        if token.text.lower() not in ("rows", "range"):
            return False
        return (
            first.word == "between"
            or (first.text.lower(), second.text.lower()) in (("unbounded", "preceding"), ("current", "row"))
            or second.text.lower() in ("preceding", "following")
        )

    # --- spans, depth and errors

    def span(self, start: Token) -> Span:
        last = self.tokens[self.index - 1] if self.index else start
        return Span(start.start, max(last.end, start.start), start.line, start.column)

    def enter(self) -> None:
        self.depth += 1
        if self.depth > MAX_NESTING:
            self.fail(f"The script is nested too deeply (more than {MAX_NESTING} levels)")

    def fail(self, message: str | None = None, *, expected: str | None = None) -> NoReturn:
        token = self.tok
        if message is None and token.kind is Kind.END:
            message = "The script ends too early" + (f", [{expected}] is missing" if expected else "")
            increments = [each.text for each in self.tokens[max(0, self.index - 2) : self.index]] == ["+", "+"]
            message += ". There is no ++: write i += 1" if increments else self._unclosed(expected)
        elif message is None:
            message = f"Cannot recognize the token {token.text[:60]}"
            if expected:
                message += f", [{expected}] is expected"
            message += self._unclosed(expected) or self._remedy(token)
        raise ScriptSyntaxError(message, token.span, self.text)

    def _unclosed(self, expected: str | None) -> str:
        """Where the bracket was opened whose end is missing, if that is on another line."""
        opened = self._opened(expected) if expected in _OPENING else None
        if opened is None or opened.line == self.tok.line:
            return ""
        return f": the {opened.text} of line #{opened.line} is not closed"

    def _opened(self, closing: str) -> Token | None:
        """The bracket before that `closing` would close."""
        depth = 0
        for token in reversed(self.tokens[: self.index]):
            if token.kind is Kind.OPERATOR:
                depth += (token.text == closing) - (token.text == _OPENING[closing])
                if depth < 0:
                    return token
        return None

    def _remedy(self, token: Token) -> str:
        """What to write instead, where the token shows what was meant."""
        before = self.tokens[self.index - 1] if self.index else None
        if token.text in _NOT_HERE and token.kind is not Kind.LITERAL:
            return f". {_NOT_HERE[token.text]}"
        if token.text in _OPENING and token.kind is Kind.OPERATOR and self._opened(token.text) is None:
            return f". There is no {_OPENING[token.text]} before that it closes"
        if before is None or token.newline:
            return ""
        if before.kind is Kind.SYMBOLS and token.kind is Kind.NAME:
            return ". A string with spaces is written in quotes"
        if before.kind is Kind.NAME and token.kind is Kind.LITERAL and not token.space:
            return f". Strings have no prefixes such as {before.text}: join them with +"
        return ""


def check_depth(roots: Sequence[Node], text: str) -> None:
    """Refuses trees that recursive readers could not walk: long chains nest to the left."""
    level: list[Node] = list(roots)
    depth = 0
    while level:
        depth += 1
        if depth > MAX_TREE_DEPTH:
            message = f"An expression is too long or nested too deeply (more than {MAX_TREE_DEPTH} levels)"
            raise ScriptSyntaxError(message, level[0].span, text)
        below: list[Node] = []
        for node in level:
            for name in _field_names(type(node)):
                _collect(getattr(node, name), below)
        level = below


_FIELDS: dict[type, tuple[str, ...]] = {}


def _field_names(kind: type) -> tuple[str, ...]:
    names = _FIELDS.get(kind)
    if names is None:
        names = tuple(name for name in kind.__dataclass_fields__ if name != "span")  # type: ignore[attr-defined]
        _FIELDS[kind] = names
    return names


def _collect(value: object, into: list[Node]) -> None:
    if isinstance(value, Node):
        into.append(value)
    elif type(value) is tuple:
        for item in value:
            _collect(item, into)
