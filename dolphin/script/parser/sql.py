"""Queries: `select` and `exec` with their clauses, joins, set operations, `with`, `case` and window functions."""

from __future__ import annotations

from dolphin.script import syntax as s
from dolphin.script.lexer import Kind, Token
from dolphin.script.parser.expressions import ExpressionParser
from dolphin.script.precedence import COMPARISON, LOWEST, PAIR

_SET_OPERATIONS = ("union", "intersect", "minus", "except")
_JOINS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("join",), "inner"),
    (("inner", "join"), "inner"),
    (("left", "outer", "join"), "left"),
    (("left", "semi", "join"), "left semi"),
    (("left", "semijoin"), "left semi"),
    (("left", "join"), "left"),
    (("right", "outer", "join"), "right"),
    (("right", "join"), "right"),
    (("full", "outer", "join"), "full"),
    (("full", "join"), "full"),
    (("cross", "join"), "cross"),
)
_CONDITIONS = (s.Binary, s.Unary, s.Call, s.Quantifier)


class _Clauses:
    """What has been read of one query, in whatever order its clauses came."""

    def __init__(self) -> None:
        self.source: s.Source | s.Join | None = None
        self.where: tuple[s.Expression, ...] = ()
        self.grouping: s.Grouping | None = None
        self.pivot: s.Grouping | None = None
        self.csort: tuple[s.OrderItem, ...] = ()
        self.having: s.Expression | None = None
        self.order: tuple[s.OrderItem, ...] = ()
        self.order_interval: s.Expression | None = None
        self.limit: s.Expression | None = None
        self.map = False


class QueryParser(ExpressionParser):
    def query(self) -> s.Expression:
        """A query with the set operations that follow it."""
        start = self.tok
        self.enter()
        value = self._with() if self.at_words("with") else self.set_operations(self._query_operand(), start)
        self.depth -= 1
        return value

    def set_operations(self, value: s.Expression, start: Token) -> s.Expression:
        while self.tok.word in _SET_OPERATIONS and not self._is_call():
            kind = self.advance().text.lower()
            if self.accept_words("all"):
                kind += " all"
            elif kind == "union":
                self.accept_words("distinct")
            value = s.SetOperation(kind, value, self._query_operand(), span=self.span(start))
        return value

    def _is_call(self) -> bool:
        return self.peek().text == "(" and not self.peek().space and self.peek(2).word not in ("select", "exec")

    def _query_operand(self) -> s.Expression:
        if self.tok.word in ("select", "exec"):
            return self._select()
        return self.operand()

    def _with(self) -> s.Expression:
        start = self.expect_word("with")
        tables: list[tuple[str, s.Expression]] = []
        columns: list[tuple[str, ...]] = []
        while True:
            name = self.name()
            columns.append(self._new_names())
            self.expect_word("as")
            saved = self.newlines, self.argument, self.quoting
            self.expect("(")
            self.newlines = self.argument = self.quoting = False
            tables.append((name, self.query()))
            self.newlines, self.argument, self.quoting = saved
            self.expect(")")
            if not self.accept(","):
                break
        return s.With(tuple(tables), self.query(), tuple(columns), span=self.span(start))

    def _new_names(self) -> tuple[str, ...]:
        if not self.accept("("):
            return ()
        names = [self.name()]
        while self.accept(","):
            names.append(self.name())
        self.expect(")")
        return tuple(names)

    # --- select

    def _select(self) -> s.Select:
        start = self.advance()
        kind = start.word
        saved = self.sql, self.no_pair, self.case, self.in_source
        self.sql, self.no_pair, self.case, self.in_source = True, False, False, False
        hints = self._hints()
        distinct = self.tok.word == "distinct" and (self.peek().text != "(" or self.peek().space)
        if distinct:
            self.advance()
        top = None
        if (
            self.tok.word == "top"
            and self.peek().text not in (",", ".", "(")
            and self.peek().word not in ("from", "as")
        ):
            self.advance()
            top = self.binary(PAIR)
        distinct = self.accept_words("distinct") if not distinct and self.peek().text != "(" else distinct
        items = self._items()
        while self.accept(","):
            items += self._items()
        clauses = _Clauses()
        if self.accept_words("from"):
            clauses.source = self._source()
        self._clauses(clauses)
        self.sql, self.no_pair, self.case, self.in_source = saved
        return s.Select(
            "exec" if kind == "exec" else "select",
            tuple(items),
            clauses.source,
            clauses.where,
            clauses.grouping,
            clauses.pivot,
            clauses.csort,
            clauses.having,
            clauses.order,
            clauses.order_interval,
            top,
            clauses.limit,
            distinct,
            hints,
            clauses.map,
            span=self.span(start),
        )

    def _hints(self) -> tuple[str, ...]:
        first = self.peek()
        if not self.at("[") or not (first.text.startswith("HINT_") or self.peek(2).text == "]"):
            return ()
        if first.kind is not Kind.NAME and not first.text.isdigit():
            return ()
        if (self.peek(2).text == "]" and self.peek(3).text in (",", ".", "[")) or self.peek(3).word in ("from", "as"):
            return ()
        self.advance()
        hints = [self.advance().text]
        while self.accept(","):
            hints.append(self.advance().text)
        self.expect("]")
        return tuple(hints)

    def _items(self) -> list[s.SelectItem]:
        """One column, or those of a sequence of names."""
        sequence = self.tok.kind is Kind.NAME and self.peek().text == ".." and self.peek(2).text == "."
        item = self._item()
        value = item.value
        if not sequence or not isinstance(value, s.TupleLiteral):
            return [item]
        aliases = item.aliases or ("",) * len(value.items)
        if len(aliases) != len(value.items):
            self.fail("A sequence of columns must have as many aliases as columns")
        named = zip(value.items, aliases, strict=True)
        return [s.SelectItem(name, (alias,) if alias else (), span=item.span) for name, alias in named]

    def _item(self) -> s.SelectItem:
        start = self.tok
        if self.at("*") and (self.peek().text in (",", ")", ">", ";", "") or self.peek().word or self.peek().newline):
            self.advance()
            return s.SelectItem(None, span=start.span)
        if self.tok.text in ("from", "FROM", ","):
            self.fail(expected="a column")
        value = self.expression()
        return s.SelectItem(value, self._aliases(), span=self.span(start))

    def _aliases(self) -> tuple[str, ...]:
        if self.accept_words("as"):
            if self.accept("("):
                names = [*self.alias_names()]
                while self.accept(","):
                    names += self.alias_names()
                self.expect(")")
                return tuple(names)
            return self.alias_names()
        token = self.tok
        if token.newline:
            return ()
        if (token.kind is Kind.NAME and not self.stops_operand(token)) or token.kind is Kind.COLUMN:
            return self.alias_names()
        if token.kind is Kind.LITERAL and token.value[0] == "STRING" and token.space:
            return self.alias_names()
        return ()

    # --- from

    def _source(self) -> s.Source | s.Join:
        start = self.tok
        left: s.Source | s.Join = self._table()
        while True:
            join = next((words for words, _ in _JOINS if self.at_words(*words)), None)
            if join is not None:
                self.accept_words(*join)
                kind = dict(_JOINS)[join]
                right = self._table()
                on: s.Expression | None = None
                if self.accept_words("on"):
                    on = self.expression()
                elif self.accept_words("using"):
                    on = self.operand()
                left = s.Join(kind, left, right, on, span=self.span(start))
            elif self.at(",") and not self.argument and self.peek().word not in ("select", "exec"):
                self.advance()
                left = s.Join("cross", left, self._table(), None, span=self.span(start))
            else:
                return left

    def _table(self) -> s.Source:
        start = self.tok
        saved, self.in_source = self.in_source, True
        value = self.table_expression()
        self.in_source = saved
        alias: str | None = None
        if self.accept_words("as"):
            alias = self.alias_names()[0]
        elif self.tok.kind is Kind.NAME and not self.tok.newline and not self.stops_operand(self.tok):
            alias = self.advance().text
        return s.Source(value, alias, span=self.span(start))

    def table_expression(self) -> s.Expression:
        """A table as `from`, `insert into`, `update` and `delete` name it: no operators but calls, members, indexes."""
        start = self.tok
        if start.kind is Kind.NAME and start.word not in ("select", "exec", "from", "where"):
            self.advance()
            return self.postfix(s.Name(start.text, span=start.span), start)
        return self.operand()

    # --- the other clauses

    def _clauses(self, into: _Clauses) -> None:
        while True:
            word = self.tok.word
            if word is None:
                return
            if word == "where":
                self.advance()
                into.where += self._conditions()
            elif word in ("group", "context", "cgroup", "pivot") and self.peek().word == "by":
                grouping = self._grouping()
                if grouping.kind == "pivot":
                    into.pivot = grouping
                elif into.grouping is None:
                    into.grouping = grouping
                elif (into.grouping.kind, grouping.kind) == ("group", "cgroup"):
                    into.grouping = s.Grouping("cgroup", grouping.keys, into.grouping.keys, span=into.grouping.span)
                else:
                    self.fail(f"A query with {into.grouping.kind} by can't have {grouping.kind} by too")
            elif word == "csort":
                self.advance()
                into.csort = self._order_items()
            elif word == "having":
                self.advance()
                into.having = self.expression()
            elif word == "order" and self.peek().word == "by":
                self.advance()
                self.advance()
                into.order = self._order_items()
                if self.tok.word == "interval" and self.peek().text == "(":
                    self.advance()
                    into.order_interval = self.operand()
            elif word == "limit":
                self.advance()
                into.limit = self._limit()
            elif word == "map" and self.peek().text != "(":
                self.advance()
                into.map = True
            else:
                return

    def _continues_list(self) -> bool:
        """Whether a comma here belongs to the clause and not to the call around the query."""
        return self.at(",") and not (
            self.argument and (self.peek().word in ("select", "exec") or self.peek().text == "<")
        )

    def _conditions(self) -> tuple[s.Expression, ...]:
        conditions = [self.expression()]
        while self._continues_list():
            index = self.index
            self.advance()
            condition = self.expression()
            if self.argument and not isinstance(condition, _CONDITIONS):
                self.rewind(index)
                break
            conditions.append(condition)
        return tuple(conditions)

    def _grouping(self) -> s.Grouping:
        start = self.advance()
        kind = start.word
        self.expect_word("by")
        keys = [self._key()]
        while self._continues_list():
            self.advance()
            keys.append(self._key())
        assert kind in ("group", "context", "cgroup", "pivot")
        return s.Grouping(kind, tuple(keys), span=self.span(start))  # type: ignore[arg-type]

    def _key(self) -> s.SelectItem:
        start = self.tok
        value = self.expression()
        return s.SelectItem(value, self._aliases(), span=self.span(start))

    def _order_items(self) -> tuple[s.OrderItem, ...]:
        items = [self._order_item()]
        while self._continues_list():
            self.advance()
            items.append(self._order_item())
        return tuple(items)

    def _order_item(self) -> s.OrderItem:
        start = self.tok
        value = self.expression()
        descending = False
        if self.tok.word in ("asc", "desc"):
            descending = self.advance().word == "desc"
        nulls_first: bool | None = None
        if self.tok.word == "nulls" and self.peek().text.lower() in ("first", "last"):
            self.advance()
            nulls_first = self.advance().text.lower() == "first"
        return s.OrderItem(value, descending, nulls_first, span=self.span(start))

    def _limit(self) -> s.Expression:
        start = self.tok
        first = self.binary(LOWEST)
        if self.at(",") and not self.argument:
            self.advance()
            return s.TupleLiteral((first, self.binary(LOWEST)), span=self.span(start))
        if self.tok.text in ("offset", "OFFSET"):
            self.advance()
            return s.TupleLiteral((self.binary(LOWEST), first), span=self.span(start))
        return first

    # --- case and windows

    def case_expression(self) -> s.Case:
        start = self.advance()
        saved = self.newlines, self.case, self.no_pair
        self.newlines, self.case, self.no_pair = False, True, False
        subject = None if self.tok.word == "when" else self.expression()
        branches: list[tuple[s.Expression, s.Expression]] = []
        while self.accept_words("when"):
            test = self.expression()
            self.expect_word("then")
            branches.append((test, self.expression()))
        otherwise = self.expression() if self.accept_words("else") else None
        self.newlines, self.case, self.no_pair = saved
        self.expect_word("end")
        return s.Case(subject, tuple(branches), otherwise, span=self.span(start))

    def over(self, call: s.Expression, start: Token) -> s.Over:
        self.expect_word("over")
        self.expect("(")
        saved = self.newlines, self.argument, self.quoting, self.case
        self.newlines = self.argument = self.quoting = self.case = False
        partition: tuple[s.Expression, ...] = ()
        order: tuple[s.OrderItem, ...] = ()
        if self.accept_words("partition", "by"):
            keys = [self.expression()]
            while self.accept(","):
                keys.append(self.expression())
            partition = tuple(keys)
        if self.accept_words("order", "by"):
            order = self._order_items()
        frame = self.tok.text.lower()
        begin: s.Expression | str | None = None
        stop: s.Expression | str | None = None
        if frame in ("rows", "range"):
            self.advance()
            if self.accept_words("between"):
                begin = self._frame_bound()
                self.expect_word("and")
                stop = self._frame_bound()
            else:
                begin = self._frame_bound()
        self.newlines, self.argument, self.quoting, self.case = saved
        self.expect(")")
        kind = frame if frame in ("rows", "range") else None
        return s.Over(call, partition, order, kind, begin, stop, span=self.span(start))  # type: ignore[arg-type]

    def _frame_bound(self) -> s.Expression | str:
        """`unbounded preceding`, `current row`, or `n preceding`/`n following` (following positive)."""
        words = [self.tok.text.lower(), self.peek().text.lower()]
        if words in (["unbounded", "preceding"], ["unbounded", "following"], ["current", "row"]):
            self.advance()
            self.advance()
            return " ".join(words)
        start = self.tok
        value = self.binary(COMPARISON + 1)
        direction = self.advance().text.lower()
        if direction == "preceding":
            return s.Unary("-", value, span=self.span(start))
        if direction != "following":
            self.rewind(self.index - 1)
            self.fail(expected="preceding or following")
        return value
