"""Expressions: operators by precedence, application by juxtaposition, constants."""

from __future__ import annotations

from typing import Literal

from dolphin.script import syntax as s
from dolphin.script.builtin_names import BUILTIN_NAMES
from dolphin.script.lexer import Kind, Token, adverb_letters
from dolphin.script.parser.brackets import QUERY_WORDS, BracketParser
from dolphin.script.precedence import APPLICATION, COMPARISON, LOWEST, OPERATORS, PAIR, WORD_OPERATORS

_CHAINED = frozenset({"<", "<=", ">", ">=", "==", "!="})
_STARTS_STATEMENT = frozenset({"-", "+", "<", "&", "!", "<-"})
_FUNCTION_OPERATORS = frozenset(OPERATORS) | {"!"}
_SET_OPERATIONS = frozenset({"union", "intersect", "minus", "except"})
_RESERVED = frozenset(
    {"from", "where", "having", "else", "for", "while", "return", "break", "continue", "throw", "catch", "csort"}
)
_CLAUSES = frozenset({"from", "where", "having", "csort"})
_COMPARED = frozenset({"==", "!=", "<>", "<=", ">=", "&&", "||"})
_NULL_LITERAL = ("VOID", None)


class ExpressionParser(BracketParser):
    def expression(self) -> s.Expression:
        start = self.tok
        value = self.binary(LOWEST)
        if self.tok.word in _SET_OPERATIONS and isinstance(value, (s.Select, s.SetOperation, s.With)):
            value = self.set_operations(value, start)
        if self.at("?") and not (self.tok.newline and self.newlines and not self.sql and self.peek().newline):
            self.enter()
            self.advance()
            saved, self.no_pair = self.no_pair, True
            then = self.expression()
            self.no_pair = saved
            self.expect(":")
            otherwise = self.expression()
            self.depth -= 1
            return s.Ternary(value, then, otherwise, span=self.span(start))
        return value

    def binary(self, minimum: int) -> s.Expression:
        start = self.tok
        left = self.operand()
        compared: s.Expression | None = None
        while True:
            token = self.tok
            kind = token.kind
            if kind is Kind.OPERATOR:
                operator = token.text
                if operator == "{" and token.space and minimum <= APPLICATION and self._applies_lambda():
                    function = self.braces()
                    left = self._infix(function, left, self.binary(APPLICATION + 1), start)
                    compared = None
                    continue
                level = OPERATORS.get(operator, 0)
                if operator == "=" and self.sql:
                    level, operator = COMPARISON, "=="
                if (
                    level < minimum
                    or not level
                    or (operator == ":" and self.no_pair)
                    or (operator == ">" and self.quoting and self._closes_quote())
                    or (token.newline and self.newlines and self._starts_statement(operator))
                    or (token.newline and operator == "@")
                ):
                    return left
                self.advance()
                if operator == ":" and self.tok.text in ("]", ")", ","):
                    right: s.Expression = s.Literal(*_NULL_LITERAL, span=token.span)
                else:
                    right = self.binary(level + 1)
                if operator == "<>":
                    operator = "!="
                if compared is not None and operator in _CHAINED:
                    further = s.Binary(operator, compared, right, span=self.span(start))
                    left = s.Binary("&&", left, further, span=self.span(start))
                else:
                    left = s.Binary(operator, left, right, span=self.span(start))
                compared = right if operator in _CHAINED else None
            elif kind is Kind.NAME:
                combined = self._infix_word(left, start, minimum)
                if combined is None:
                    return left
                left, compared = combined, None
            elif kind is Kind.ADVERB:
                if minimum > APPLICATION or self.line_ended():
                    return left
                self.advance()
                operator, letters = token.value
                function = s.Adverb(s.OperatorFunction(operator, span=token.span), letters, span=token.span)
                left = self._infix(function, left, self.binary(APPLICATION), start)
            else:
                return left

    def _applies_lambda(self) -> bool:
        """Whether a lambda in braces follows on this line, as an operator: `a {x, y -> x + y} b`."""
        return not self.line_ended() and self.lambda_in_braces()

    def _is_applied_lambda(self, value: s.Expression, start: Token) -> bool:
        """Whether a lambda in braces was read whose only argument follows: `{x -> x + 1} 3`."""
        if start.text != "{" or not isinstance(value, s.Lambda):
            return False
        return self._applies_lambda() or (self._starts_operand(0) and self.tok.text not in ("(", "["))

    def _starts_statement(self, operator: str) -> bool:
        return operator in ("<", "&") if self.sql else operator in _STARTS_STATEMENT

    def _infix_word(self, left: s.Expression, start: Token, minimum: int) -> s.Expression | None:
        """`left and right`, `left in right`, `left f right`; None when the word does not continue the expression."""
        token = self.tok
        word = token.word
        if token.newline and self.newlines and not self.sql and (word is None or self.peek().text == "("):
            return None
        negated = word == "not" and self.peek().word in ("in", "like", "between")
        operator = self.peek().word if negated else word
        level = WORD_OPERATORS.get(operator) if operator else None
        if operator is not None and level is not None:
            if level < minimum:
                return None
            self.advance()
            if negated:
                self.advance()
            if operator == "is":
                negated = self.accept_words("not")
                if self.tok.value != _NULL_LITERAL:
                    self.fail(expected="NULL")
                right: s.Expression = s.Literal(*_NULL_LITERAL, span=self.advance().span)
            elif operator == "between":
                right = self._range(level)
            else:
                right = self.binary(level + 1)
            combined: s.Expression = s.Binary(operator, left, right, span=self.span(start))
            return s.Unary("not", combined, span=combined.span) if negated else combined
        if token.word in _SET_OPERATIONS and isinstance(left, (s.Select, s.SetOperation)):
            return None
        if self.sql and token.text.lower() == "offset" and isinstance(left, s.Literal):
            return None
        if minimum > APPLICATION or (token.newline and (self.newlines or self.sql)) or self.stops_operand(token):
            return None
        letters = adverb_letters(self.text, token.end)
        if not self._starts_operand(1 if letters is None else 3):
            return None
        if self.sql and self.peek().newline:
            return None
        function: s.Expression = s.Name(self.advance().text, span=token.span)
        if letters is not None:
            self.advance()
            self.advance()
            function = s.Adverb(function, letters, span=self.span(token))
        right = self.binary(COMPARISON) if token.text == "at" else self._infix_right()
        return self._infix(function, left, right, start)

    def _infix_right(self) -> s.Expression:
        self.enter()
        right = self.binary(APPLICATION)
        self.depth -= 1
        return right

    def _infix(self, function: s.Expression, left: s.Expression, right: s.Expression, start: Token) -> s.Call:
        arguments = (s.Argument(left, span=left.span), s.Argument(right, span=right.span))
        return s.Call(function, arguments, _style(function), span=self.span(start))

    def _range(self, level: int) -> s.Expression:
        """The right side of `between`: a pair, or standard SQL's `a and b`."""
        start = self.tok
        low = self.binary(level + 1)
        if self.tok.word != "and" or (isinstance(low, s.Binary) and low.operator == ":"):
            return low
        index = self.index
        self.advance()
        high = self.binary(level + 1)
        another_condition = (
            self.at("=") or OPERATORS.get(self.tok.text) == COMPARISON or self.tok.word in WORD_OPERATORS
        )
        closing = self.at(">") and self.quoting
        if (
            isinstance(low, (s.Name, s.Call))
            and another_condition
            and not closing
            and self.tok.word not in ("and", "or")
        ):
            self.rewind(index)
            return low
        return s.Binary(":", low, high, span=self.span(start))

    def _closes_quote(self) -> bool:
        following = self.peek()
        if following.newline and following.kind is not Kind.LITERAL:
            return True
        if following.kind is Kind.NAME:
            return self.stops_operand(following, 1)
        if following.text in ("-", "!"):
            return self.peek(2).space
        return following.kind is Kind.OPERATOR and following.text not in ("(", "[")

    def _starts_operand(self, distance: int) -> bool:
        """Whether the token at `distance` can begin an operand on this line."""
        token = self.peek(distance)
        if token.newline and self.newlines:
            return False
        if token.kind is Kind.OPERATOR:
            if token.text in ("-", "!"):
                return token.space and not self.peek(distance + 1).space
            return token.text in ("(", "[", "<") and not (token.text == "<" and self.peek(distance + 1).space)
        if token.kind is Kind.NAME:
            return not self.stops_operand(token, distance)
        return token.kind is not Kind.END and token.kind is not Kind.ADVERB

    def operand(self) -> s.Expression:
        token = self.tok
        self.enter()
        bare_name = False
        if token.kind is Kind.NAME:
            value = self._name()
            bare_name = isinstance(value, s.Name)
        elif token.kind is Kind.LITERAL:
            value = self._literals()
        elif token.kind is Kind.OPERATOR:
            value = self._operator_operand(token)
        else:
            value = self._other_operand(token)
        if (bare_name and self._applies_to_next(token)) or self._is_applied_lambda(value, token):
            value = self._application(value, token)
        elif not isinstance(value, s.Unary) or token.text == "(":
            value = self.postfix(value, token)
            if isinstance(value, s.Adverb) and self._starts_operand(0):
                value = self._application(value, token)
        self.depth -= 1
        return value

    def _application(self, function: s.Expression, start: Token) -> s.Call:
        argument = self.binary(LOWEST)
        arguments = (s.Argument(argument, span=argument.span),)
        return s.Call(function, arguments, _style(function), span=self.span(start))

    def _applies_to_next(self, token: Token) -> bool:
        """Whether the name just read is a function followed by its only argument: `sum x`."""
        following = self.tok
        if (following.newline and (self.newlines or self.sql)) or not following.space:
            return following.kind is Kind.SYMBOLS and not following.newline and self.is_function(token.text)
        known = self.is_function(token.text)
        if following.kind is Kind.OPERATOR:
            if following.text == "[":
                return known
            if following.text == "-":
                return known and not self.sql and not self.peek().space
            return following.text == "!" and known
        if following.kind is Kind.NAME:
            if following.word in ("case", "select", "exec"):
                return known
            if self.stops_operand(following):
                return False
            infix = self._starts_operand(1) and not (self.peek().text == "(" and not self.peek().space)
            if adverb_letters(self.text, following.end):
                infix = True
            if known:
                return not (infix and token.text in self.assigned)
            if infix and (self.is_function(following.text) or not self.is_function(token.text)):
                return False
            return not self.sql and not infix
        if following.kind is Kind.ADVERB:
            return False
        return following.kind is not Kind.END and (known or not self.sql)

    def _literals(self) -> s.Expression:
        """One constant, or several separated by spaces: a vector."""
        token = self.advance()
        first = s.Literal(*token.value, span=token.span)
        if not self._continues_vector():
            return first
        items: list[s.Expression] = [first]
        while self._continues_vector():
            begin = self.tok
            items.append(self._vector_item(begin))
        return s.VectorLiteral(tuple(items), span=self.span(token))

    def _vector_item(self, token: Token) -> s.Expression:
        if token.text == "-":
            return self._signed()
        self.advance()
        if token.kind is Kind.SYMBOLS:
            return s.Literal("STRING", token.value[0], span=token.span)
        return s.Literal(*token.value, span=token.span)

    def _continues_vector(self) -> bool:
        token = self.tok
        if not token.space and not token.newline:
            return token.text[0] == '"' if token.kind is Kind.LITERAL else token.kind is Kind.SYMBOLS
        if token.newline and (self.newlines or self.sql):
            return False
        if token.kind is Kind.LITERAL or (token.kind is Kind.SYMBOLS and len(token.value) == 1):
            return True
        if token.text != "-" or token.kind is not Kind.OPERATOR:
            return False
        number = self.peek()
        return (
            number.kind is Kind.LITERAL and not number.space and not number.newline and number.text[0] in "0123456789."
        )

    def _signed(self) -> s.Literal:
        minus = self.advance()
        kind, value = self.advance().value
        if isinstance(value, tuple):
            value = (-value[0], value[1])
        elif isinstance(value, bool) or value is None:
            self.fail()
        else:
            value = -value
        if kind == "LONG" and value == -(2**31):
            kind = "INT" if self.tokens[self.index - 1].text.isdigit() else kind
        return s.Literal(kind, value, span=self.span(minus))

    def _operator_operand(self, token: Token) -> s.Expression:
        text = token.text
        if text == "(":
            return self._parentheses()
        if text == "[":
            return self._brackets()
        if text == "{":
            return self.braces()
        following = self.peek()
        if text in _FUNCTION_OPERATORS and following.kind is Kind.OPERATOR:
            if following.text in (",", ")", "]") or (following.text == "{" and not following.space):
                self.advance()
                return s.OperatorFunction(text, span=token.span)
            if text == "*" and following.text == ";":
                self.advance()
                return s.OperatorFunction(text, span=token.span)
        if text == "-" and following.kind is Kind.LITERAL and not following.space and not following.newline:
            kind, value = following.value
            if value is not None and kind not in ("BOOL", "STRING", "CHAR") and following.text[0] in "0123456789.":
                return self._negative_vector()
        if text in ("-", "!"):
            self.advance()
            return s.Unary(text, self.operand(), span=self.span(token))
        if text == "+":
            self.advance()
            return self.operand()
        if text in ("&", "::") and following.kind is Kind.NAME and not following.space:
            # `&f` is the function f, even if a variable has its name; `::f` the one outside of the module with an f.
            self.advance()
            name = self._name()
            hidden = isinstance(name, s.Name) and name.id in self.assigned and name.id in BUILTIN_NAMES
            if (text == "::" or hidden) and isinstance(name, s.Name):
                return s.Name(f"::{name.id}", span=self.span(token))
            return name
        if text in ("<", "<-"):
            return self._quote()
        if text == ":" and following.text == "]":
            self.advance()
            null = s.Literal(*_NULL_LITERAL, span=token.span)
            return s.Binary(":", null, null, span=token.span)
        if text == ":":
            self.advance()
            null = s.Literal(*_NULL_LITERAL, span=token.span)
            return s.Binary(":", null, self.binary(PAIR + 1), span=self.span(token))
        return self.fail()

    def _negative_vector(self) -> s.Expression:
        start = self.tok
        items: list[s.Expression] = [self._signed()]
        while self._continues_vector():
            begin = self.tok
            items.append(self._vector_item(begin))
        return items[0] if len(items) == 1 else s.VectorLiteral(tuple(items), span=self.span(start))

    def _other_operand(self, token: Token) -> s.Expression:
        self.advance()
        if token.kind is Kind.SYMBOLS:
            strings: list[s.Expression] = [s.Literal("STRING", text, span=token.span) for text in token.value]
            while self.tok.kind is Kind.SYMBOLS and not self.tok.newline:
                further = self.advance()
                strings += [s.Literal("STRING", text, span=further.span) for text in further.value]
            while self.tok.kind in (Kind.LITERAL, Kind.SYMBOLS) and not self.sql and self._continues_vector():
                strings.append(self._vector_item(self.tok))
            return strings[0] if len(strings) == 1 else s.VectorLiteral(tuple(strings), span=self.span(token))
        if token.kind is Kind.COLUMN:
            return s.ColumnName(token.value, span=token.span)
        if token.kind is Kind.MACRO:
            return s.Macro(*token.value, span=token.span)
        if token.kind is Kind.ADVERB:
            operator, letters = token.value
            return s.Adverb(s.OperatorFunction(operator, span=token.span), letters, span=token.span)
        self.rewind(self.index - 1 if token.kind is not Kind.END else self.index)
        return self.fail()

    def _name(self) -> s.Expression:
        token = self.tok
        following = self.peek()
        word = token.word
        if self.sql and following.text == ".." and self.peek(2).text == ".":
            names = self.name_sequence()
            span = self.span(token)
            return s.TupleLiteral(tuple(s.Name(name, span=span) for name in names), span=span)
        if following.text == "->" and following.kind is Kind.OPERATOR:
            return self._arrow((self._parameter(self.advance()),), token)
        if word is not None:
            special = self._word_operand(word, token, following)
            if special is not None:
                return special
            # Outside of queries the words of clauses may be variables, as in `if (from == 'm')`.
            variable = not self.sql and word in _CLAUSES and following.text in _COMPARED
            if word in _RESERVED and following.text not in ("(", ",", ")", ".", "=", "]", "[") and not variable:
                self.fail()
        self.advance()
        return s.Name(token.text, span=token.span)

    def _word_operand(self, word: str, token: Token, following: Token) -> s.Expression | None:
        if (
            word in QUERY_WORDS
            and following.text not in (".", "=", ",", ")")
            and not (word == "with" and self.peek(2).word != "as" and self.peek(2).text != "(")
        ):
            return self.query()
        if word in ("def", "defg", "mapr") and (following.kind is Kind.NAME or following.text in ("(", "{")):
            return self.definition()
        if word == "case" and following.text not in (",", ")", "=", "."):
            return self.case_expression()
        if word in ("any", "all", "exists") and following.text == "(" and self.peek(2).word in ("select", "exec"):
            self.advance()
            query = self._parentheses()
            assert word in ("any", "all", "exists")
            return s.Quantifier(word, query, span=self.span(token))  # type: ignore[arg-type]
        if word == "not" and (following.text != "(" or following.space) and following.text not in (",", ")", ":"):
            self.advance()
            return s.Unary("not", self.binary(COMPARISON if self.sql else LOWEST), span=self.span(token))
        return None


def _style(function: s.Expression) -> Literal["call", "space"]:
    """How an application by juxtaposition is written: a lambda needs parentheses."""
    return "call" if isinstance(function, s.Lambda) else "space"
