"""Tokens of DolphinDB script."""

from __future__ import annotations

import re
from enum import Enum
from typing import Any

from dolphin.script import literals
from dolphin.script.errors import ScriptSyntaxError
from dolphin.script.syntax import Span


class Kind(Enum):
    NAME = "name"
    LITERAL = "literal"  # value is (type, value)
    SYMBOLS = "symbols"  # value is a tuple of str: `A`B
    COLUMN = "column"  # _"any text"
    MACRO = "macro"  # value is (name, many)
    ADVERB = "adverb"  # value is (operator, letter): +:E
    OPERATOR = "operator"
    END = "end"


class Token:
    """One token; `newline` and `space` tell what stood before it, `word` is its keyword, if it can be one."""

    __slots__ = ("column", "end", "kind", "line", "newline", "space", "start", "text", "value", "word")

    def __init__(
        self,
        kind: Kind,
        text: str,
        start: int,
        line: int,
        column: int,
        *,
        newline: bool,
        space: bool,
        value: Any = None,
    ) -> None:
        self.kind = kind
        self.text = text
        self.start = start
        self.end = start + len(text)
        self.line = line
        self.column = column
        self.newline = newline
        self.space = space
        self.value = value
        self.word = _WORDS.get(text) if kind is Kind.NAME else None

    def __repr__(self) -> str:
        return f"Token({self.kind.value}, {self.text!r}, line {self.line})"

    @property
    def span(self) -> Span:
        return Span(self.start, self.end, self.line, self.column)


_KEYWORDS = """
    all alter and any as asc assert between break by case catch cgroup class context continue create cross csort
    def defg delete desc distinct do drop else end except exec exists for from full go group having if in inner
    insert intersect interval into is join left like limit map mapr minus module not null nulls on or order outer over
    partition partitioned pivot return right select semi semijoin set share switch then throw timer top transaction
    truncate try undef union update use using values when where while with
"""
_WORDS = {form: word for word in _KEYWORDS.split() for form in (word, word.upper())}
_CONSTANTS: dict[str, tuple[str, Any]] = {
    "true": ("BOOL", True),
    "false": ("BOOL", False),
    "TRUE": ("BOOL", True),
    "FALSE": ("BOOL", False),
    "NULL": ("VOID", None),
    "null": ("VOID", None),
}

MAX_TOKENS = 300_000

_DATE = r"\d{4}\.\d{1,2}\.\d{1,2}"
_TIME = r"\d{1,2}:\d{2}:\d{2}(?:\.\d{1,9})?"
_TOKEN = re.compile(
    rf"""
      (?P<space>[^\S\n]+|[\u200b\ufeff]+)
    | (?P<newline>\n)
    | (?P<comment>//[^\n]*|/\*[\s\S]*?\*/)
    | (?P<temporal>{_DATE}(?:[ ]{_TIME}|T(?:{_TIME}|\d{{1,2}}))?(?!\w) | {_TIME}(?!\w) | \d{{4}}\.\d{{1,2}}M(?!\w)
                 | \d{{1,2}}:\d{{2}}m(?!\w))
    | (?P<number>(?:\d+\.\d+|\d+\.(?![\w.])|\d+|(?<![\w)\]`"'.])\.\d+)(?:[eE][+-]?\d+)?(?:[A-Za-z]\w*)?)
    | (?P<symbols>`"[^"\n]*"|(?:`[\w.]*)+)
    | (?P<string>"(?:[^"\\]|\\[\s\S])*"|'(?:[^'\\\n]|\\.)*')
    | (?P<column>_"(?:[^"\\\n]|\\.)*")
    | (?P<macro>_\$\$?[^\W\d]\w*|_\$\$?"(?:[^"\\\n]|\\.)*")
    | (?P<name>[^\W\d]\w*(?:::[^\W\d]\w*)*(?:!(?!=))?)
    | (?P<adverb>(?:\*\*|<=|>=|==|!=|&&|\|\||<-|<<|>>|[-+*/\\%<>&|^])[ ]?:[ELRPOCATGXUMH][DCUK]?(?!\w))
    | (?P<operator>\.\.|\*\*|<=|>=|==|!=|<>|&&|\|\||->|<-|<<|>>|::|[-+*/\\%&|^]=|[-+*/\\%&|^<>=!?:;,.()\[\]{{}}$@#~])
    """,
    re.VERBOSE,
)
_ADVERB_LETTERS = re.compile(r" ?:([ELRPOCATGXUMHVJ][DCUK]?)(?!\w)")


def tokenize(text: str) -> list[Token]:
    """The tokens of `text`, ended by one of kind END. Raises ScriptSyntaxError."""
    tokens: list[Token] = []
    append = tokens.append
    match_at = _TOKEN.match
    position, line, line_start, size = 0, 1, 0, len(text)
    newline = space = False
    kinds = {"operator": Kind.OPERATOR, "name": Kind.NAME}
    while position < size:
        match = match_at(text, position)
        if match is None:
            raise _unknown(text, position, line, line_start)
        group = match.lastgroup
        start, position = position, match.end()
        if group == "space":
            space = True
            continue
        if group == "newline":
            newline = True
            line += 1
            line_start = position
            continue
        lexeme = match[0]
        if group == "comment":
            space = True
            breaks = lexeme.count("\n")
            if breaks:
                newline = True
                line += breaks
                line_start = start + lexeme.rfind("\n") + 1
            continue
        kind = kinds.get(group)  # type: ignore[arg-type]
        column = start - line_start + 1
        if kind is Kind.NAME and lexeme in _CONSTANTS and not (tokens and tokens[-1].text == "."):
            append(
                Token(Kind.LITERAL, lexeme, start, line, column, newline=newline, space=space, value=_CONSTANTS[lexeme])
            )
        elif kind is not None:
            if lexeme == "/" and text.startswith("*", position):
                raise _unknown(text, start, line, line_start)
            append(Token(kind, lexeme, start, line, column, newline=newline, space=space))
        else:
            assert group is not None
            try:
                kind, value = _value(group, lexeme)
            except ValueError:
                message = f"Cannot recognize the token {lexeme[:60]}"
                raise ScriptSyntaxError(message, Span(start, position, line, column), text) from None
            append(Token(kind, lexeme, start, line, column, newline=newline, space=space, value=value))
            if "\n" in lexeme:
                line += lexeme.count("\n")
                line_start = start + lexeme.rfind("\n") + 1
        newline = space = False
        if len(tokens) > MAX_TOKENS or (tokens[-1].kind is Kind.SYMBOLS and len(tokens[-1].value) > MAX_TOKENS):
            message = f"The script is too long (more than {MAX_TOKENS} tokens)"
            raise ScriptSyntaxError(message, tokens[-1].span, text)
    append(Token(Kind.END, "", size, line, size - line_start + 1, newline=True, space=True))
    return tokens


def adverb_letters(text: str, position: int) -> str | None:
    """The letters of a function pattern (`:E`, `:PU`) written at `position`."""
    match = _ADVERB_LETTERS.match(text, position)
    return match[1] if match else None


def _value(group: str, lexeme: str) -> tuple[Kind, Any]:
    if group == "number":
        return Kind.LITERAL, literals.number(lexeme)
    if group == "temporal":
        return Kind.LITERAL, literals.temporal(lexeme)
    if group == "symbols":
        return Kind.SYMBOLS, (lexeme[2:-1],) if lexeme[1:2] == '"' else tuple(lexeme[1:].split("`"))
    if group == "string":
        content = literals.unescape(lexeme[1:-1])
        if lexeme[0] == "'" and len(content) == 1 and content.isascii():
            return Kind.LITERAL, ("CHAR", ord(content))
        return Kind.LITERAL, ("STRING", content)
    if group == "column":
        return Kind.COLUMN, literals.unescape(lexeme[2:-1])
    if group == "macro":
        many = lexeme.startswith("_$$")
        name = lexeme[3:] if many else lexeme[2:]
        return Kind.MACRO, (literals.unescape(name[1:-1]) if name.startswith('"') else name, many)
    operator, letters = lexeme.rsplit(":", 1)
    return Kind.ADVERB, (operator.rstrip(), letters)


def _unknown(text: str, position: int, line: int, line_start: int) -> ScriptSyntaxError:
    character = text[position]
    span = Span(position, position + 1, line, position - line_start + 1)
    if character in "\"'":
        return ScriptSyntaxError(f"The string started with {character} is not closed", span, text)
    if text.startswith("/*", position):
        return ScriptSyntaxError("The comment started with /* is not closed", span, text)
    if not character.isprintable():
        return ScriptSyntaxError(f"Cannot recognize the character U+{ord(character):04X}; is this text?", span, text)
    return ScriptSyntaxError(f"Cannot recognize the token {character}", span, text)
