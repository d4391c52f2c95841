"""Statements that change data and schemas: insert, update, delete, create, alter, drop, truncate."""

from __future__ import annotations

from dolphin.script import syntax as s
from dolphin.script.lexer import Kind, Token
from dolphin.script.parser.sql import QueryParser, _Clauses
from dolphin.script.precedence import LOWEST

TABLE_OPTIONS = frozenset(
    {
        "engine", "atomic", "chunkGranularity", "sortColumns", "keepDuplicates", "sortKeyMappingFunction", "softDelete",
        "compressHashSortKey", "primaryKey", "indexes", "latestKeyCache", "encryptMode", "tableComment",
        "compressMethods",
    }
)  # fmt: skip


class DataStatementParser(QueryParser):
    def data_statement(self) -> s.Statement | None:
        """The statement that starts here, or None when the word is a name (`drop(x, 1)`, `update = 3`)."""
        word, following = self.tok.word, self.peek()
        if word == "insert" and following.word == "into":
            return self._in_query(self._insert)
        if word == "delete" and following.word == "from":
            return self._in_query(self._delete)
        if word == "update" and following.kind in (Kind.NAME, Kind.LITERAL):
            return self._in_query(self._update)
        if word == "create" and following.kind is Kind.NAME:
            return self._create()
        if word == "alter" and following.text.lower() == "table":
            return self._alter()
        if word == "drop" and following.text.lower() in ("table", "database", "catalog", "schema"):
            return self._drop()
        if word == "truncate" and following.kind is Kind.NAME:
            return self._truncate()
        return None

    def code_statement(self) -> s.Statement:
        statement = self.data_statement()
        if statement is None:
            self.fail()
        return statement

    def _in_query(self, rule: object) -> s.Statement:
        saved = self.sql
        self.sql = True
        assert callable(rule)
        statement: s.Statement = rule()
        self.sql = saved
        return statement

    def _insert(self) -> s.Insert:
        start = self.advance()
        self.expect_word("into")
        target_start = self.tok
        target = self._insert_target() if target_start.kind is Kind.NAME else self.operand()
        columns: tuple[str, ...] = ()
        if self.at("("):
            columns = self._column_names()
        if self.tok.word in ("select", "exec", "with"):
            return s.Insert(target, columns, query=self.query(), span=self.span(start))
        if self.tok.text.lower() == "value":
            self.advance()
        else:
            self.expect_word("values")
        rows: list[tuple[s.Expression, ...]] = []
        if self.at("("):
            rows.append(self._row())
            while self.at(",") and self.peek().text == "(":
                self.advance()
                rows.append(self._row())
        else:
            values = [self.expression()]
            while self.accept(","):
                values.append(self.expression())
            rows.append(tuple(values))
        return s.Insert(target, columns, tuple(rows), span=self.span(start))

    def _insert_target(self) -> s.Expression:
        """`t`, `a.b.c`, `f(…)`; in `t (a, b) values` the parentheses hold columns, not arguments."""
        start = self.advance()
        value: s.Expression = s.Name(start.text, span=start.span)
        while self.at(".") and self.peek().kind is Kind.NAME:
            self.advance()
            value = s.Member(value, self.name(), span=self.span(start))
        if self.at("(") and not self._are_columns():
            return self.postfix(value, start)
        if self.at("["):
            return self.postfix(value, start)
        return value

    def _are_columns(self) -> bool:
        distance = 1
        while self.peek(distance).kind in (Kind.NAME, Kind.COLUMN):
            distance += 1
            if self.peek(distance).text != ",":
                break
            distance += 1
        following = self.peek(distance + 1)
        return self.peek(distance).text == ")" and (
            following.word in ("values", "select", "exec", "with") or following.text.lower() == "value"
        )

    def _column_names(self) -> tuple[str, ...]:
        self.expect("(")
        names: list[str] = [*self.alias_names()]
        while self.accept(","):
            names += self.alias_names()
        self.expect(")")
        return tuple(names)

    def _row(self) -> tuple[s.Expression, ...]:
        return tuple(
            argument.value if argument.value is not None else s.Literal("VOID", None, span=argument.span)
            for argument in self.arguments("(", ")", s.Name("values", span=self.tok.span))
        )

    def _update(self) -> s.Update:
        start = self.advance()
        target = self.table_expression()
        self.expect_word("set")
        sets = [self._set()]
        while self.accept(","):
            sets.append(self._set())
        clauses = _Clauses()
        if self.accept_words("from"):
            clauses.source = self._source()
        self._clauses(clauses)
        return s.Update(
            target,
            tuple(sets),
            clauses.source,
            clauses.where,
            clauses.grouping,
            clauses.csort,
            clauses.having,
            span=self.span(start),
        )

    def _set(self) -> tuple[str, s.Expression]:
        name = self.alias_names()[0]
        while self.accept("."):
            name = self.alias_names()[0]
        if not self.accept("=") and not self.accept("=="):
            self.fail(expected="=")
        return name, self.expression()

    def _delete(self) -> s.Delete:
        start = self.advance()
        self.expect_word("from")
        target = self.table_expression()
        source: s.Source | s.Join | None = None
        if self.accept_words("from") or self.accept_words("using"):
            source = self._source()
        clauses = _Clauses()
        self._clauses(clauses)
        return s.Delete(target, clauses.where, source, span=self.span(start))

    # --- schemas

    def _create(self) -> s.Statement:
        start = self.advance()
        saved = self.newlines
        self.newlines = False
        words: list[str] = []
        while self.tok.text.lower() in ("local", "temporary", "temp", "global"):
            words.append(self.advance().text.lower())
        kind = self.tok.text.lower()
        statement: s.Statement
        if kind == "database":
            self.advance()
            statement = self._create_database(start)
        elif kind == "table":
            self.advance()
            statement = self._create_table(start, temporary=bool(words))
        else:
            self.fail(expected="table or database")
        self.newlines = saved
        return statement

    def _create_database(self, start: Token) -> s.CreateDatabase:
        name = self._schema_name()
        partitions, options = self._partitioned_by()
        return s.CreateDatabase(name, partitions, options, span=self.span(start))

    def _create_table(self, start: Token, *, temporary: bool) -> s.CreateTable:
        if_not_exists = self.accept_words("if", "not", "exists")
        name = self._schema_name()
        self.expect("(")
        columns = [self._column_definition()]
        while self.accept(","):
            if self.at(")"):
                break
            columns.append(self._column_definition())
        self.expect(")")
        self.newlines = True
        partitions, options = self._partitioned_by()
        return s.CreateTable(name, tuple(columns), partitions, options, temporary, if_not_exists, span=self.span(start))

    def _schema_name(self) -> s.Expression:
        start = self.tok
        value: s.Expression
        if start.kind is Kind.LITERAL and start.value[0] == "STRING":
            self.advance()
            value = s.Literal("STRING", start.value[1], span=start.span)
        else:
            value = s.Name(self.name(), span=start.span)
        while self.accept("."):
            value = s.Member(value, self.alias_names()[0], span=self.span(start))
        return value

    def _column_definition(self) -> s.ColumnDefinition:
        start = self.tok
        name = self.alias_names()[0]
        column_type = self._column_type()
        options: tuple[str, ...] = ()
        while self.at("["):
            self.advance()
            items: list[str] = []
            while not self.at("]"):
                begin = self.tok
                self.expression()
                if self.accept("="):
                    self.expression()
                items.append(self.text[begin.start : self.tokens[self.index - 1].end])
                if not self.accept(","):
                    break
            self.expect("]")
            options += tuple(items)
        while self.tok.kind is Kind.NAME and self.tok.text.lower() in ("not", "null", "primary", "key"):
            options += (self.advance().text,)
        return s.ColumnDefinition(name, column_type, options, span=self.span(start))

    def _column_type(self) -> s.Expression:
        """`INT`, `DECIMAL32(2)`, `DOUBLE[]`."""
        start = self.tok
        value: s.Expression = s.Name(self.name(), span=start.span)
        if self.at("("):
            value = s.Call(value, self.arguments("(", ")", value), span=self.span(start))
        if self.at("[") and self.peek().text == "]":
            self.advance()
            self.advance()
            value = s.Index(value, (), span=self.span(start))
        return value

    def _partitioned_by(self) -> tuple[tuple[s.Expression, ...], tuple[tuple[str, s.Expression], ...]]:
        partitions: list[s.Expression] = []
        options: list[tuple[str, s.Expression]] = []
        saved = self.newlines, self.sql
        self.newlines, self.sql = True, False
        if self.accept_words("partitioned", "by") or self.accept_words("partition", "by"):
            while True:
                if self._at_option():
                    break
                partitions.append(self.binary(LOWEST))
                if not self.accept(","):
                    break
        # After a comma any option; without one on a line of its own an assignment may begin instead.
        while self.accept(",") or (self._at_option() and (not self.tok.newline or self.tok.text in TABLE_OPTIONS)):
            name = self.name()
            self.expect("=")
            options.append((name, self.expression()))
        self.newlines, self.sql = saved
        return tuple(partitions), tuple(options)

    def _at_option(self) -> bool:
        return self.tok.kind is Kind.NAME and self.peek().text == "="

    def _alter(self) -> s.Alter:
        start = self.advance()
        self.advance()
        target = self._schema_name() if self.peek().text != "(" else self.table_expression()
        action = self.advance().text.lower()
        if action == "add":
            self._accept_column_word()
            columns = [self._column_definition()]
            while self.accept(","):
                columns.append(self._column_definition())
            return s.Alter(target, "add", tuple(columns), span=self.span(start))
        if action == "drop":
            self._accept_column_word()
            names = [*self.alias_names()]
            while self.accept(","):
                names += self.alias_names()
            return s.Alter(target, "drop", (), tuple(names), span=self.span(start))
        if action == "rename":
            self._accept_column_word()
            names = [*self.alias_names()]
            if self.tok.text.lower() == "to":
                self.advance()
            names += self.alias_names()
            return s.Alter(target, "rename", (), tuple(names), span=self.span(start))
        self.rewind(self.index - 1)
        return self.fail(expected="add, drop or rename")

    def _accept_column_word(self) -> None:
        if self.tok.text.lower() == "column":
            self.advance()

    def _drop(self) -> s.Drop:
        start = self.advance()
        kind = self.advance().text.lower()
        if_exists = self.accept_words("if", "exists")
        target = self._drop_target()
        return s.Drop(kind, target, if_exists, span=self.span(start))  # type: ignore[arg-type]

    def _truncate(self) -> s.Drop:
        start = self.advance()
        if self.tok.text.lower() == "table" and self.peek().text != "." and not self.peek().newline:
            self.advance()
        return s.Drop("truncate", self._drop_target(), span=self.span(start))

    def _drop_target(self) -> s.Expression:
        if self.tok.kind is Kind.NAME and self.peek().text == "(":
            return self.table_expression()
        return self._schema_name()
