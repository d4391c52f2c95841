"""Everything between brackets: groups, tuples, vectors, dictionaries, lambdas and quoted code."""

from __future__ import annotations

import re
from dataclasses import replace

from dolphin.script import syntax as s
from dolphin.script.lexer import Kind, Token
from dolphin.script.parser.postfix import PostfixParser
from dolphin.script.precedence import PAIR

QUERY_WORDS = frozenset({"select", "exec", "with"})
_CODE_WORDS = frozenset({"update", "delete", "insert"})
_NUMBERED = re.compile(r"([A-Za-z_]+(?:\w*[A-Za-z_])?)(\d+)")
_LONGEST_SEQUENCE = 32768


class BracketParser(PostfixParser):
    def _parameter(self, token: Token) -> s.Parameter:
        return s.Parameter(token.text, span=token.span)

    def _arrow(self, parameters: tuple[s.Parameter, ...], start: Token) -> s.Lambda:
        self.expect("->")
        body = self.in_function(parameters)
        return self._anonymous(parameters, body, start)

    def _anonymous(self, parameters: tuple[s.Parameter, ...], body: s.Expression | s.Block, start: Token) -> s.Lambda:
        span = self.span(start)
        return s.Lambda(parameters, body, text=self.text[span.start : span.end], span=span)

    def in_function(self, parameters: tuple[s.Parameter, ...]) -> s.Expression | s.Block:
        saved = self.assigned, self.functions
        self.assigned = self.assigned | {parameter.name for parameter in parameters}
        self.functions = set(self.functions)
        body = self.lambda_body()
        self.assigned, self.functions = saved
        return body

    def _parentheses(self) -> s.Expression:
        start = self.tok
        parameters = self._arrow_parameters()
        if parameters is not None:
            return self._arrow(parameters, start)
        self.advance()
        saved = self.newlines, self.argument, self.quoting, self.no_pair, self.case
        self.newlines = self.argument = self.quoting = self.no_pair = self.case = False
        value = self._group(start)
        self.newlines, self.argument, self.quoting, self.no_pair, self.case = saved
        return value

    def _group(self, start: Token) -> s.Expression:
        if self.accept(")"):
            return s.TupleLiteral((), span=self.span(start))
        if self.tok.word in QUERY_WORDS and self.peek().text not in (",", ")"):
            value: s.Expression = self.query()
        else:
            value = self.element()
        if self.accept(")"):
            return value
        items = [value]
        while self.accept(","):
            if self.at(")"):
                break
            items.append(self.element())
        self.expect(")")
        return s.TupleLiteral(tuple(items), span=self.span(start))

    def _arrow_parameters(self) -> tuple[s.Parameter, ...] | None:
        """The parameters of `(a, b) -> …`; None, and nothing read, when this is no such thing."""
        index = self.index + 1
        names: list[Token] = []
        while self.tokens[index].kind is Kind.NAME:
            names.append(self.tokens[index])
            index += 1
            if self.tokens[index].text != ",":
                break
            index += 1
        if self.tokens[index].text != ")" or self.tokens[min(index + 1, len(self.tokens) - 1)].text != "->":
            return None
        self.rewind(index + 1)
        return tuple(self._parameter(name) for name in names)

    def element(self) -> s.Expression:
        """One element of a list: omitted (NULL), an expression, or an expression `as` a name."""
        if self.at(",") or self.at("]"):
            return s.Literal("VOID", None, span=self.tok.span)
        return self.aliased()

    def aliased(self) -> s.Expression:
        start = self.tok
        value = self.expression()
        if self.tok.word == "as":
            self.advance()
            return s.SelectItem(value, self.alias_names(), span=self.span(start))
        return value

    def name_sequence(self) -> tuple[str, ...]:
        """The names of `a1...a3`, also in falling order."""
        start = self.tok
        first = _NUMBERED.fullmatch(self.advance().text)
        self.advance()
        self.advance()
        last = _NUMBERED.fullmatch(self.tok.text)
        if first is None or last is None or first[1] != last[1]:
            self.fail("Names in a sequence must have the same prefix and end with a number, as in col1...col5")
        self.advance()
        begin, end = int(first[2]), int(last[2])
        if abs(end - begin) > _LONGEST_SEQUENCE:
            self.fail(f"A sequence of names must not be longer than {_LONGEST_SEQUENCE}")
        step = 1 if begin <= end else -1
        width = min(len(first[2]), len(last[2]))
        assert start.kind is Kind.NAME
        return tuple(f"{first[1]}{number:0{width}d}" for number in range(begin, end + step, step))

    def alias_names(self) -> tuple[str, ...]:
        token = self.advance()
        if token.kind is Kind.SYMBOLS:
            return tuple(token.value)
        if token.kind is Kind.COLUMN:
            return (str(token.value),)
        if token.kind is Kind.LITERAL and token.value[0] in ("STRING", "CHAR"):
            return (token.value[1],) if token.value[0] == "STRING" else (chr(token.value[1]),)
        if token.kind is Kind.NAME:
            if self.at("..") and self.peek().text == ".":
                self.rewind(self.index - 1)
                return self.name_sequence()
            return (token.text,)
        if token.kind is Kind.MACRO:
            return (token.text,)
        self.rewind(self.index - 1)
        return self.fail(expected="a name")

    def _brackets(self) -> s.Expression:
        start = self.advance()
        saved = self.newlines, self.argument, self.quoting, self.no_pair, self.case
        self.newlines = self.quoting = self.no_pair = self.case = False
        self.argument = True
        items: list[s.Expression] = []
        if not self.at("]"):
            items.append(self.element())
            while self.accept(","):
                items.append(self.element())
        self.expect("]")
        self.newlines, self.argument, self.quoting, self.no_pair, self.case = saved
        return s.VectorLiteral(tuple(items), span=self.span(start))

    def lambda_in_braces(self) -> bool:
        """Whether the brace here opens a function: `{x, y -> …}`, `{def(x): …}`."""
        if not self.at("{"):
            return False
        if self.peek().word in ("def", "defg") and self.peek(2).text == "(":
            return True
        distance = 1
        while self.peek(distance).kind is Kind.NAME:
            if self.peek(distance + 1).text == "->":
                return True
            if self.peek(distance + 1).text != ",":
                return False
            distance += 2
        return False

    def braces(self) -> s.Expression:
        start = self.advance()
        saved = self.newlines, self.argument, self.quoting, self.no_pair, self.case, self.sql
        self.newlines = self.quoting = self.no_pair = self.case = self.sql = False
        self.argument = True
        value: s.Expression
        if self.tok.word in ("def", "defg") and self.peek().text == "(":
            value = self.definition()
        elif self.tok.kind is Kind.NAME and self.peek().text in (",", "->"):
            names = [self._parameter(self.advance())]
            while self.accept(","):
                token = self.tok
                self.name()
                names.append(self._parameter(token))
            self.expect("->")
            parameters = tuple(names)
            value = self._anonymous(parameters, self.in_function(parameters), start)
        else:
            items: list[tuple[s.Expression, s.Expression]] = []
            while not self.at("}"):
                items.append(self._entry())
                if not self.accept(","):
                    break
            value = s.DictLiteral(tuple(items), span=self.span(start))
        self.expect("}")
        self.newlines, self.argument, self.quoting, self.no_pair, self.case, self.sql = saved
        if isinstance(value, s.Lambda):
            return replace(self._anonymous(value.parameters, value.body, start), kind=value.kind)
        return s.DictLiteral(value.items, span=self.span(start)) if isinstance(value, s.DictLiteral) else value

    def _entry(self) -> tuple[s.Expression, s.Expression]:
        token = self.tok
        key: s.Expression
        if token.kind is Kind.NAME and self.peek().text == ":":
            key = s.Literal("STRING", self.advance().text, span=token.span)
        else:
            key = self.binary(PAIR + 1)
        self.expect(":")
        return key, self.expression()

    def _quote(self) -> s.Expression:
        start = self.advance()
        saved = self.newlines, self.argument, self.quoting, self.no_pair, self.case, self.sql
        self.newlines = self.argument = self.no_pair = self.case = False
        self.quoting = self.sql = True
        body: s.Expression | s.Statement
        if start.text == "<-":
            negated = self.operand()
            body = s.Unary("-", negated, span=self.span(start))
        elif self.tok.word in _CODE_WORDS and self.peek().text != "(":
            body = self.code_statement()
        else:
            body = self.aliased()
            if self.at(","):
                items = [body]
                while self.accept(","):
                    items.append(self.aliased())
                body = s.TupleLiteral(tuple(items), span=self.span(start))
        self.newlines, self.argument, self.quoting, self.no_pair, self.case, self.sql = saved
        self.expect(">")
        return s.Quote(body, span=self.span(start))
