"""Statements, definitions and whole scripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from dolphin.script import syntax as s
from dolphin.script.errors import ScriptSyntaxError
from dolphin.script.lexer import Kind, Token
from dolphin.script.parser.cursor import check_depth
from dolphin.script.parser.ddl import DataStatementParser
from dolphin.script.precedence import LOWEST

_ASSIGNMENTS = frozenset({"=", "+=", "-=", "*=", "/=", "\\=", "%=", "&=", "|=", "^="})
_DATA_WORDS = frozenset({"insert", "update", "delete", "create", "alter", "drop", "truncate"})
_NOT_A_KEYWORD_BEFORE = _ASSIGNMENTS | {".", ",", "->", "[", ")", "]"}
_TAKES_A_VALUE = frozenset({"return", "throw", "assert"})
_DEFINITIONS = frozenset({"def", "defg", "mapr"})
T = TypeVar("T")


class StatementParser(DataStatementParser):
    def script(self) -> s.Script:
        start = self.tok
        statements: list[s.Statement] = []
        while self.tok.kind is not Kind.END:
            if self.accept(";"):
                continue
            statements.append(self.statement())
            self._end_statement()
        return s.Script(tuple(statements), span=self.span(start))

    def _end_statement(self) -> None:
        if self.accept(";") or self.tok.newline or self.tok.kind is Kind.END or self.at("}"):
            return
        if self.tokens[self.index - 1].text == "}":
            return
        self.fail()

    def block(self) -> s.Block:
        """A braced block, or one statement as a block."""
        start = self.tok
        self.enter()
        if self.at(":"):
            self.fail("Cannot recognize the token :. Blocks are written in braces: { ... }")
        if self.at("{"):
            block = self._braced()
        else:
            statement = self.statement()
            block = s.Block((statement,), span=self.span(start))
        self.depth -= 1
        return block

    def _braced(self) -> s.Block:
        start = self.expect("{")
        saved = self.newlines, self.argument, self.quoting, self.no_pair, self.case, self.sql
        self.newlines = True
        self.argument = self.quoting = self.no_pair = self.case = self.sql = False
        statements: list[s.Statement] = []
        while not self.at("}"):
            if self.accept(";"):
                continue
            if self.tok.kind is Kind.END:
                self.fail(expected="}")
            statements.append(self.statement())
            self._end_statement()
        self.newlines, self.argument, self.quoting, self.no_pair, self.case, self.sql = saved
        self.expect("}")
        return s.Block(tuple(statements), span=self.span(start))

    def statement(self) -> s.Statement:
        token = self.tok
        if token.kind is Kind.NAME and token.word is not None:
            following = self.peek()
            value_follows = following.text == "[" and token.word in _TAKES_A_VALUE
            if following.text not in _NOT_A_KEYWORD_BEFORE or following.newline or value_follows:
                statement = self._keyword_statement(token, token.word, following)
                if statement is not None:
                    return statement
        if token.kind is Kind.OPERATOR:
            if token.text == "@":
                return self._decorated()
            if token.text == "#":
                return self._include()
            if token.text == "{" and not self._is_dictionary() and not self.lambda_in_braces():
                return self._braced()
            if token.text == "&" and self.peek().kind is Kind.NAME:
                return self._reference()
        return self._expression_statement()

    def _keyword_statement(self, token: Token, word: str, following: Token) -> s.Statement | None:
        if word in _DATA_WORDS:
            return self.data_statement()
        if word in _DEFINITIONS:
            return self._definition_statement(()) if following.kind is Kind.NAME else None
        rule = _RULES.get(word)
        return rule(self, token, following) if rule is not None else None

    # --- assignments and expressions

    def _expression_statement(self) -> s.Statement:
        start = self.tok
        value = self.aliased() if self.tok.text != "[" else self.expression()
        if self.tok.kind is Kind.OPERATOR:
            if self.tok.text in _ASSIGNMENTS and not self.line_ended():
                return self._assign((value,), start)
            if self.at(",") and isinstance(value, s.Call) and value.style == "space" and len(value.arguments) == 1:
                return self._command(value, start)
            if self.at(",") and isinstance(value, (s.Name, s.Index, s.Member)):
                targets = [value]
                while self.accept(","):
                    target = self.operand()
                    if not isinstance(target, (s.Name, s.Index, s.Member)):
                        self.fail(expected="=")
                    targets.append(target)
                return self._assign(tuple(targets), start)
        return s.ExpressionStatement(value, span=self.span(start))

    def _command(self, call: s.Call, start: Token) -> s.ExpressionStatement:
        """`print "mean", x`: the arguments of a command without parentheses."""
        arguments = list(call.arguments)
        while self.accept(","):
            begin = self.tok
            arguments.append(s.Argument(self.expression(), span=self.span(begin)))
        whole = s.Call(call.function, tuple(arguments), span=self.span(start))
        return s.ExpressionStatement(whole, span=self.span(start))

    def _assign(self, targets: tuple[s.Expression, ...], start: Token) -> s.Assign:
        if self.tok.text not in _ASSIGNMENTS:
            self.fail(expected="=")
        for target in targets:
            if not isinstance(target, (s.Name, s.Index, s.Member, s.Macro)):
                self.fail("Please use '==' rather than '=' as equal operator in non-sql expression.")
        operator = self.advance().text
        begin = self.tok
        value = self.expression()
        if len(targets) > 1 and self.at(","):
            values = [value]
            while self.accept(","):
                values.append(self.expression())
            value = s.TupleLiteral(tuple(values), span=self.span(begin))
        self._remember(targets, value)
        return s.Assign(targets, value, operator, span=self.span(start))

    def _remember(self, targets: tuple[s.Expression, ...], value: s.Expression) -> None:
        function = isinstance(value, (s.Lambda, s.Adverb)) or (isinstance(value, s.Call) and value.style == "partial")
        function = function or (isinstance(value, s.Name) and self.is_function(value.id))
        for target in targets:
            if isinstance(target, s.Name):
                if function:
                    self.functions.add(target.id)
                else:
                    self.functions.discard(target.id)
                    self.assigned = self.assigned | {target.id} if target.id not in self.assigned else self.assigned

    def _reference(self) -> s.Assign:
        start = self.advance()
        name = self.tok
        target = s.Name(self.name(), span=name.span)
        self.expect("=")
        value = self.expression()
        self._remember((target,), value)
        return s.Assign((target,), value, "=", True, span=self.span(start))

    # --- definitions

    def definition(self) -> s.Lambda:
        start = self.advance()
        kind = start.word
        name = self.advance().text if self.tok.kind is Kind.NAME else None
        return self._function(start, kind or "def", name)

    def _function(self, start: Token, kind: str, name: str | None) -> s.Lambda:
        parameters = self._parameters() if self.at("(") else ()
        if name is not None:
            self.functions.add(name)
        body: s.Expression | s.Block
        if kind == "mapr" and self.at("{"):
            body = self._map_reduce()
        elif self.at("{"):
            body = self.in_function(parameters)
        elif self.at(":") or self.at("::"):
            self.advance()
            if self._return_type_follows():
                while not self.at("{"):
                    self.advance()
            body = self.in_function(parameters)
            if name is not None and self.tok.text in _ASSIGNMENTS and self.tok.kind is Kind.OPERATOR:
                self.fail("A function of several statements is written in braces: def f(x) { ... }")
        elif self.at("->"):
            self.advance()
            body = self.in_function(parameters)
        elif name is not None:
            body = s.Block((), span=self.span(start))
        else:
            self.fail(expected="{")
        span = self.span(start)
        return s.Lambda(parameters, body, name, kind, self.text[span.start : span.end], span=span)  # type: ignore[arg-type]

    def _return_type_follows(self) -> bool:
        distance = 0
        while self.peek(distance).kind is Kind.NAME and not self.peek(distance).newline and distance < 4:
            distance += 1
        return distance > 0 and self.peek(distance).text == "{"

    def lambda_body(self) -> s.Expression | s.Block:
        if self.at("{") and not self._is_dictionary():
            return self.block()
        self.enter()
        body = self.expression()
        self.depth -= 1
        return body

    def _is_dictionary(self) -> bool:
        return self.peek().kind in (Kind.NAME, Kind.LITERAL) and self.peek(2).text == ":"

    def _parameters(self) -> tuple[s.Parameter, ...]:
        self.expect("(")
        saved = self.newlines, self.argument, self.quoting, self.no_pair
        self.newlines = self.quoting = self.no_pair = False
        self.argument = True
        parameters: list[s.Parameter] = []
        while not self.at(")"):
            parameters.append(self._typed_parameter())
            if not self.accept(","):
                break
        self.expect(")")
        self.newlines, self.argument, self.quoting, self.no_pair = saved
        return tuple(parameters)

    def _typed_parameter(self) -> s.Parameter:
        start = self.tok
        mutable = False
        if self.tok.text in ("mutable", "MUTABLE", "const") and self.peek().kind is Kind.NAME:
            mutable = self.advance().text.lower() == "mutable"
        name, _, declared = self.name().partition("::")
        words = [declared] if declared else []
        if self.accept(":") or self.accept("::"):
            words.append(self.name())
        while self.tok.kind is Kind.NAME and words:
            words.append(self.name())
        default = self.expression() if self.accept("=") else None
        return s.Parameter(name, default, mutable, " ".join(words) or None, span=self.span(start))

    def _map_reduce(self) -> s.Expression:
        """`{map1(x), map2(x) -> reduce; copy, cumsum -> running}`: one tuple per part, the reducer last."""
        start = self.expect("{")
        saved = self.newlines
        self.newlines = False
        parts: list[s.Expression] = []
        while not self.at("}"):
            begin = self.tok
            functions = [self._map_function()]
            while self.accept(","):
                functions.append(self._map_function())
            self.expect("->")
            reducer = self.binary(LOWEST)
            parts.append(s.TupleLiteral((*functions, reducer), span=self.span(begin)))
            if not self.accept(";"):
                break
        self.newlines = saved
        self.expect("}")
        return s.TupleLiteral(tuple(parts), span=self.span(start))

    def _map_function(self) -> s.Expression:
        token = self.tok
        if token.kind is Kind.NAME and self.peek().text == "->":
            return s.Name(self.name(), span=token.span)
        return self.binary(LOWEST)

    def _definition_statement(self, decorators: tuple[str, ...]) -> s.FunctionDefinition:
        start = self.advance()
        name = self.name()
        function = self._function(start, start.word or "def", name)
        declaration = isinstance(function.body, s.Block) and self.tokens[self.index - 1].text == ")"
        return s.FunctionDefinition(name, function, decorators, declaration, span=self.span(start))

    def _decorated(self) -> s.Statement:
        names: list[str] = []
        start = self.tok
        while self.accept("@"):
            name = self.name()
            if self.at(":"):
                while not self.tok.newline:
                    self.advance()
                continue
            if self.at("(") and not self.tok.newline:
                self.arguments("(", ")", s.Name(name, span=start.span))
            names.append(name)
        if self.tok.word in _DEFINITIONS and self.peek().kind is Kind.NAME:
            return self._definition_statement(tuple(names))
        if names:
            self.fail(expected="def")
        return self.statement() if self.tok.kind is not Kind.END else s.Block((), span=self.span(start))

    # --- statements that begin with a keyword

    def _class(self, token: Token, following: Token) -> s.Statement | None:
        if following.kind is not Kind.NAME:
            return None
        self.advance()
        name = self.name()
        base = self.name() if self.accept(":") else None
        self.functions.add(name)
        body = self._class_body()
        return s.ClassDefinition(name, base, body, span=self.span(token))

    def _class_body(self) -> s.Block:
        start = self.expect("{")
        statements: list[s.Statement] = []
        while not self.at("}"):
            if self.accept(";"):
                continue
            member = self.tok
            if member.kind is Kind.NAME and (self.peek().text == "::" or "::" in member.text):
                name, _, declared = self.advance().text.partition("::")
                words = [declared] if declared else []
                self.accept("::")
                while self.tok.kind is Kind.NAME and not (self.tok.newline and words):
                    words.append(self.name())
                if self.accept("["):
                    self.expect("]")
                    words.append("[]")
                declared = " ".join(words).replace(" []", "[]")
                statements.append(s.Attribute(name, declared, span=self.span(member)))
            elif member.word in _DEFINITIONS or member.text == "@":
                statements.append(self.statement())
            else:
                self.fail(expected="}")
            self._end_statement()
        self.expect("}")
        return s.Block(tuple(statements), span=self.span(start))

    def _if(self, token: Token, following: Token) -> s.Statement | None:
        if following.text != "(":
            if following.kind is not Kind.OPERATOR and not following.newline:
                self.fail("The condition of if is written in parentheses: if (x > 2) { ... }")
            return None
        self.advance()
        test = self._test()
        then = self.block()
        index = self.index
        while self.accept(";"):
            pass
        otherwise: s.Block | None = None
        if self.tok.word == "else" and self.peek().text not in _ASSIGNMENTS:
            self.advance()
            otherwise = self.block()
        else:
            self.rewind(index)
        return s.If(test, then, otherwise, span=self.span(token))

    def _test(self) -> s.Expression:
        """The expression between the parentheses after `if`, `while` and the like."""
        self.expect("(")
        saved = self.newlines, self.argument, self.quoting, self.no_pair
        self.newlines = self.argument = self.quoting = self.no_pair = False
        value = self.expression()
        self.newlines, self.argument, self.quoting, self.no_pair = saved
        self.expect(")")
        return value

    def _for(self, token: Token, following: Token) -> s.Statement | None:
        if following.text != "(":
            return None
        self.advance()
        self.expect("(")
        saved = self.newlines
        self.newlines = False
        grouped = self.accept("(")
        names = [self.name()]
        while self.accept(","):
            names.append(self.name())
        if grouped:
            self.expect(")")
        self.expect_word("in")
        self.assigned = self.assigned | set(names)
        values = self.expression()
        self.newlines = saved
        self.expect(")")
        return s.For(tuple(names), values, self.block(), span=self.span(token))

    def _while(self, token: Token, following: Token) -> s.Statement | None:
        if following.text != "(":
            return None
        self.advance()
        test = self._test()
        return s.While(test, self.block(), span=self.span(token))

    def _do(self, token: Token, following: Token) -> s.Statement | None:
        if following.text != "{":
            return None
        self.advance()
        body = self.block()
        self.expect_word("while")
        return s.While(self._test(), body, True, span=self.span(token))

    def _try(self, token: Token, following: Token) -> s.Statement | None:
        if following.text != "{":
            return None
        self.advance()
        body = self.block()
        self.expect_word("catch")
        self.expect("(")
        name = self.name()
        self.expect(")")
        return s.Try(body, name, self.block(), span=self.span(token))

    def _break(self, token: Token, following: Token) -> s.Statement | None:
        del following
        self.advance()
        return s.Break(span=token.span)

    def _continue(self, token: Token, following: Token) -> s.Statement | None:
        del following
        self.advance()
        return s.Continue(span=token.span)

    def _return(self, token: Token, following: Token) -> s.Statement | None:
        del following
        self.advance()
        if self.tok.newline or self.at(";") or self.at("}"):
            return s.Return(span=token.span)
        begin = self.tok
        value = self.expression()
        if self.at(","):
            values = [value]
            while self.accept(","):
                values.append(self.expression())
            value = s.TupleLiteral(tuple(values), span=self.span(begin))
        if not self.tok.newline and self.accept_words("as"):
            # The name of a returned value means nothing, but scripts write it.
            self.name()
        return s.Return(value, span=self.span(token))

    def _throw(self, token: Token, following: Token) -> s.Statement | None:
        del following
        self.advance()
        return s.Throw(self.expression(), span=self.span(token))

    def _assert(self, token: Token, following: Token) -> s.Statement | None:
        del following
        self.advance()
        first = self.expression()
        if self.accept(","):
            return s.Assert(self.expression(), first, span=self.span(token))
        return s.Assert(first, span=self.span(token))

    def _timer(self, token: Token, following: Token) -> s.Statement | None:
        if following.text == ";" or following.kind is Kind.END or (following.newline and following.text == "}"):
            return None
        self.advance()
        count = self._test() if self.at("(") else None
        self.enter()
        body: s.Statement = self._braced() if self.at("{") else self.statement()
        self.depth -= 1
        return s.Timer(body, count, span=self.span(token))

    def _transaction(self, token: Token, following: Token) -> s.Statement | None:
        if following.text != "{":
            return None
        self.advance()
        return s.Transaction(self.block(), span=self.span(token))

    def _go(self, token: Token, following: Token) -> s.Statement | None:
        if not (following.newline or following.text == ";"):
            return None
        self.advance()
        return s.Go(span=token.span)

    def _share(self, token: Token, following: Token) -> s.Statement | None:
        if following.kind is Kind.OPERATOR and following.text != "(":
            return None
        self.advance()
        index = self.index
        if self.at("("):
            arguments = self.arguments("(", ")", s.Name("share", span=token.span))
            if self.tok.word != "as" or len(arguments) != 1:
                self.rewind(index - 1)
                return None
            self.rewind(index)
        value = self.expression()
        self.expect_word("as")
        name = self.alias_names()[0]
        return s.Share(value, name, span=self.span(token))

    def _module(self, token: Token, following: Token) -> s.Statement | None:
        if following.kind is not Kind.NAME or following.newline:
            return None
        self.advance()
        return s.Module(self.name(), span=self.span(token))

    def _use(self, token: Token, following: Token) -> s.Statement | None:
        if following.kind is not Kind.NAME or following.newline:
            return None
        self.advance()
        catalog = self.tok.text.lower() == "catalog" and self.peek().kind is Kind.NAME and not self.peek().newline
        if catalog:
            self.advance()
        return s.Use(self.name(), False, catalog, span=self.span(token))

    def _include(self) -> s.Statement:
        start = self.advance()
        if self.tok.text != "include":
            self.fail("Cannot recognize the token #. Comments begin with //")
        self.advance()
        if self.tok.kind is not Kind.LITERAL or self.tok.value[0] != "STRING":
            self.fail(expected='#include "file"')
        return s.Use(str(self.advance().value[1]), True, span=self.span(start))

    def _undef(self, token: Token, following: Token) -> s.Statement | None:
        if following.kind is not Kind.NAME or following.newline:
            return None
        self.advance()
        name = self.name()
        kind = self.name() if self.accept(",") else None
        return s.Undef(name, kind, span=self.span(token))


_Rule = Callable[[StatementParser, Token, Token], "s.Statement | None"]
_RULES: dict[str, _Rule] = {
    "class": StatementParser._class,
    "if": StatementParser._if,
    "for": StatementParser._for,
    "while": StatementParser._while,
    "do": StatementParser._do,
    "try": StatementParser._try,
    "break": StatementParser._break,
    "continue": StatementParser._continue,
    "return": StatementParser._return,
    "throw": StatementParser._throw,
    "assert": StatementParser._assert,
    "timer": StatementParser._timer,
    "transaction": StatementParser._transaction,
    "go": StatementParser._go,
    "share": StatementParser._share,
    "module": StatementParser._module,
    "use": StatementParser._use,
    "undef": StatementParser._undef,
}


def parse(text: str) -> s.Script:
    """The syntax tree of a whole script. Raises ScriptSyntaxError."""
    return _guarded(text, lambda parser: parser.script())


def parse_expression(text: str) -> s.Expression:
    """The syntax tree of one expression (a query included). Raises ScriptSyntaxError."""

    def rule(parser: StatementParser) -> s.Expression:
        value = parser.aliased()
        parser.accept(";")
        if parser.tok.kind is not Kind.END:
            parser.fail()
        return value

    return _guarded(text, rule)


_N = TypeVar("_N", bound=s.Node)


def _guarded(text: str, rule: Callable[[StatementParser], _N]) -> _N:
    parser = StatementParser(text)
    try:
        tree = rule(parser)
    except RecursionError:
        message = "The script is nested too deeply"
        raise ScriptSyntaxError(message, parser.tok.span, text) from None
    check_depth((tree,), text)
    return tree


__all__ = ["StatementParser", "parse", "parse_expression"]
