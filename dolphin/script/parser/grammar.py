"""What the layers of the grammar need of the layers built on them."""

from __future__ import annotations

from dolphin.script import syntax as s
from dolphin.script.lexer import Token
from dolphin.script.parser.cursor import Cursor


class Grammar(Cursor):
    def expression(self) -> s.Expression:
        raise NotImplementedError

    def binary(self, minimum: int) -> s.Expression:
        raise NotImplementedError

    def operand(self) -> s.Expression:
        raise NotImplementedError

    def aliased(self) -> s.Expression:
        raise NotImplementedError

    def query(self) -> s.Expression:
        raise NotImplementedError

    def set_operations(self, value: s.Expression, start: Token) -> s.Expression:
        raise NotImplementedError

    def code_statement(self) -> s.Statement:
        raise NotImplementedError

    def definition(self) -> s.Lambda:
        raise NotImplementedError

    def lambda_in_braces(self) -> bool:
        raise NotImplementedError

    def braces(self) -> s.Expression:
        raise NotImplementedError

    def lambda_body(self) -> s.Expression | s.Block:
        raise NotImplementedError

    def over(self, call: s.Expression, start: Token) -> s.Over:
        raise NotImplementedError

    def case_expression(self) -> s.Case:
        raise NotImplementedError
