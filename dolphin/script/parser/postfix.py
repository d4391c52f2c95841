"""What follows an operand: calls, partial applications, indexes, members and function patterns."""

from __future__ import annotations

from dolphin.script import syntax as s
from dolphin.script.lexer import Kind, Token, adverb_letters
from dolphin.script.parser.grammar import Grammar

_BOOLEAN_ARGUMENTS = frozenset({"iif", "and", "or", "xor", "all", "any", "at"})


class PostfixParser(Grammar):
    def postfix(self, value: s.Expression, start: Token) -> s.Expression:
        while True:
            token = self.tok
            if token.kind is not Kind.OPERATOR:
                return value
            text = token.text
            if text == ".":
                value = self._member(value, start)
                continue
            if token.newline and (self.newlines or self.sql):
                return value
            if text == "(" and (not token.space or isinstance(value, (s.Name, s.Adverb)) or _is_anonymous(value)):
                value = s.Call(value, self.arguments("(", ")", value), span=self.span(start))
                if self.tok.word == "over" and self.sql and self.peek().text == "(":
                    value = self.over(value, start)
            elif text == "[" and not (token.newline and token.space):
                value = s.Index(value, self._indices(), span=self.span(start))
            elif text == "{" and not token.space and not token.newline and _takes_partial(value, self):
                value = s.Call(value, self.arguments("{", "}", value), "partial", span=self.span(start))
            elif text == ":" and not self.no_pair and _takes_adverb(value):
                letters = self._adverb_follows(value)
                if letters is None:
                    return value
                self.advance()
                self.advance()
                value = s.Adverb(value, letters, span=self.span(start))
            else:
                return value

    def _adverb_follows(self, value: s.Expression) -> str | None:
        letters = adverb_letters(self.text, self.tok.start)
        if letters is None or self.peek().text != letters:
            return None
        following = self.peek(2)
        if self.tok.space:
            # `f :E x`; in `test ? x :E` what follows is no operand.
            operand = following.kind in (Kind.NAME, Kind.LITERAL, Kind.SYMBOLS) and not following.newline
            return letters if operand and not self.peek().space else None
        if isinstance(value, s.Name) and not self.is_function(value.id):
            return letters if following.text == "(" and not following.space else None
        return letters

    def _member(self, value: s.Expression, start: Token) -> s.Expression:
        self.advance()
        if self.lambda_in_braces():
            return self._method(value, start)
        if self.at("("):
            self.advance()
            index = self.expression()
            self.expect(")")
            return s.Index(value, (index,), span=self.span(start))
        token = self.advance()
        if token.kind is Kind.NAME:
            name = token.text
        elif token.kind is Kind.COLUMN:
            name = str(token.value)
        elif token.kind is Kind.LITERAL and token.value[0] == "STRING":
            name = token.value[1]
        elif token.kind is Kind.LITERAL and token.text.isdigit():
            name = token.text
        elif token.kind is Kind.OPERATOR and token.text == "*":
            return s.Member(value, "*", span=self.span(start))
        else:
            self.rewind(self.index - (token.kind is not Kind.END))
            self.fail(expected="a name")
        if self.at("(") and not (self.tok.newline and self.newlines) and not self.tok.space:
            function = s.Name(name, span=token.span)
            receiver = s.Argument(value, span=value.span)
            arguments = (receiver, *self.arguments("(", ")", function))
            return s.Call(function, arguments, "method", span=self.span(start))
        return s.Member(value, name, span=self.span(start))

    def _method(self, value: s.Expression, start: Token) -> s.Call:
        """`x.{y -> y + 1}()`: a function written where it is called."""
        function = self.braces()
        if self.at(":"):
            letters = self._adverb_follows(function)
            if letters is not None:
                self.advance()
                self.advance()
                function = s.Adverb(function, letters, span=self.span(start))
        arguments = (s.Argument(value, span=value.span), *self.arguments("(", ")", function))
        return s.Call(function, arguments, span=self.span(start))

    def _indices(self) -> tuple[s.Expression | None, ...]:
        self.advance()
        saved = self.newlines, self.argument, self.quoting, self.no_pair, self.case
        self.newlines = self.quoting = self.no_pair = self.case = False
        self.argument = True
        indices: list[s.Expression | None] = []
        if not self.at("]"):
            indices.append(None if self.at(",") else self.expression())
            while self.accept(","):
                indices.append(None if self.at(",") or self.at("]") else self.expression())
        self.expect("]")
        self.newlines, self.argument, self.quoting, self.no_pair, self.case = saved
        return tuple(indices)

    def arguments(self, opening: str, closing: str, function: s.Expression) -> tuple[s.Argument, ...]:
        self.expect(opening)
        saved = self.newlines, self.argument, self.quoting, self.no_pair, self.case
        self.newlines = self.quoting = self.no_pair = self.case = False
        self.argument = True
        arguments: list[s.Argument] = []
        if not self.at(closing):
            arguments.append(self._argument(0, function, closing))
            while self.accept(","):
                arguments.append(self._argument(len(arguments), function, closing))
        self.expect(closing)
        self.newlines, self.argument, self.quoting, self.no_pair, self.case = saved
        return tuple(arguments)

    def _argument(self, position: int, function: s.Expression, closing: str) -> s.Argument:
        token = self.tok
        if token.text in (",", closing) and token.kind is Kind.OPERATOR:
            return s.Argument(None, span=token.span)
        if token.kind is Kind.NAME and self.peek().text == "=" and self._names_argument(position, function):
            self.advance()
            self.advance()
            if self.at(",") or self.at(closing):
                return s.Argument(None, token.text, span=self.span(token))
            value = self.aliased()
            return s.Argument(value, token.text, span=self.span(token))
        distinct = token.word == "distinct" and self.sql and self.peek().text not in ("(", ",", ")")
        if distinct:
            self.advance()
            inner = self.expression()
            name = s.Name("distinct", span=token.span)
            argument = (s.Argument(inner, span=inner.span),)
            return s.Argument(s.Call(name, argument, "space", span=self.span(token)), span=self.span(token))
        value = self.aliased()
        return s.Argument(value, span=self.span(token))

    def _names_argument(self, position: int, function: s.Expression) -> bool:
        """Inside a query `=` compares, unless it can only name a parameter."""
        if not self.sql or self.in_source:
            return True
        if isinstance(function, s.Name) and function.id in _BOOLEAN_ARGUMENTS:
            return False
        return position > 0 or self._next_argument_is_named()

    def _next_argument_is_named(self) -> bool:
        depth, index = 0, self.index
        while self.tokens[index].kind is not Kind.END:
            text = self.tokens[index].text if self.tokens[index].kind is Kind.OPERATOR else ""
            if text == "," and depth == 0:
                return self.tokens[index + 1].kind is Kind.NAME and self.tokens[index + 2].text == "="
            depth += (text in ("(", "[", "{")) - (text in (")", "]", "}"))
            if depth < 0:
                return False
            index += 1
        return False


def _takes_partial(value: s.Expression, grammar: Grammar) -> bool:
    if isinstance(value, s.Lambda) and grammar.lambda_in_braces():
        return False
    return isinstance(value, (s.Name, s.Member, s.Adverb, s.OperatorFunction, s.Lambda, s.Call, s.Index))


def _is_anonymous(value: s.Expression) -> bool:
    """A function that is called where it is written: `def(x) {…} (1)`."""
    return isinstance(value, s.Lambda) and value.name is None and isinstance(value.body, s.Block)


def _takes_adverb(value: s.Expression) -> bool:
    return isinstance(value, (s.Name, s.Lambda, s.OperatorFunction, s.Member)) or (
        isinstance(value, s.Call) and value.style == "partial"
    )
