"""SQL on tables that are not in memory: what is asked of them, and that conditions are applied again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from engine.errors import ScriptError
from engine.interpreter import Interpreter
from engine.sql.source import Conjunct, StoredTable
from engine.types import Type
from engine.values import Column, Handle, Scalar, Table, Vector, take, vector
from tests.engine.sql.conftest import Run


class Partitions:
    """A stored table of two partitions that skips none and remembers what it was asked."""

    def __init__(self) -> None:
        columns: list[Column] = [
            vector(Type.DATE, [1, 1, 2, 2]),
            vector(Type.SYMBOL, ["a", "b", "a", "b"]),
            vector(Type.INT, [1, 2, 3, 4]),
        ]
        self.parts = [Table(["date", "sym", "x"], [take(c, slice(i, i + 2)) for c in columns]) for i in (0, 2)]
        self.asked: list[tuple[list[str] | None, list[Conjunct]]] = []

    @property
    def names(self) -> list[str]:
        return self.parts[0].names

    @property
    def types(self) -> list[Type]:
        return [Type.DATE, Type.SYMBOL, Type.INT]

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    def read(self, columns: Sequence[str] | None, conjuncts: Sequence[Conjunct]) -> Table:
        self.asked.append((None if columns is None else list(columns), list(conjuncts)))
        names = self.names if columns is None else list(columns)
        data: list[Column] = []
        for name in names:
            parts = [part.column(name) for part in self.parts]
            vectors = [part for part in parts if isinstance(part, Vector)]
            data.append(vectors[0].with_data(np.concatenate([each.data for each in vectors])))
        return Table(names, data)

    def append(self, table: Table) -> int:
        self.parts.append(table)
        return table.rows

    def upsert(self, table: Table, keys: Sequence[str], ignore_null: bool) -> None:
        raise NotImplementedError

    def rewrite(
        self, conjuncts: Sequence[Conjunct], change: Callable[[Table], Table | None], *, deletes: bool = False
    ) -> None:
        self.asked.append((None, list(conjuncts)))
        self.parts = [change(part) or part for part in self.parts]

    def drop_columns(self, names: Sequence[str]) -> None:
        raise NotImplementedError

    def rename_column(self, name: str, new_name: str) -> None:
        raise NotImplementedError

    def add_columns(self, names: Sequence[str], types: Sequence[Type], scales: Sequence[int]) -> None:
        raise NotImplementedError


@pytest.fixture
def stored(interpreter: Interpreter) -> Partitions:
    table = Partitions()
    assert isinstance(table, StoredTable)
    interpreter.session.variables["pt"] = Handle("SEGMENTED DFS TABLE", "pt", table)
    return table


def test_only_the_columns_used_are_read(run: Run, stored: Partitions) -> None:
    assert run("select sum(x) from pt group by date") == {"date": [1, 2], "sum_x": [3, 7]}
    assert stored.asked[-1][0] == ["date", "x"]
    assert run("select count(*) from pt") == {"count": [4]}
    assert stored.asked[-1][0] == ["date"]
    run("select * from pt")
    assert stored.asked[-1][0] is None


def test_simple_conditions_are_passed_on_and_applied_again(run: Run, stored: Partitions) -> None:
    assert run("exec x from pt where date = 1970.01.02, x > 1") == [2]
    conjuncts = stored.asked[-1][1]
    assert [(each.column, each.operator) for each in conjuncts] == [("date", "=="), ("x", ">")]
    assert conjuncts[0].operand == Scalar(Type.DATE, 1)
    run("select * from pt where month(date) = 1970.01M and date between 1970.01.01 and 1970.01.02 and sym in `a`b")
    assert [(each.function, each.operator) for each in stored.asked[-1][1]] == [
        ("month", "=="), (None, "between"), (None, "in"),
    ]  # fmt: skip
    run("select * from pt where 1970.01.02 <= date")
    assert [(each.column, each.operator) for each in stored.asked[-1][1]] == [("date", ">=")]


def test_conditions_between_columns_or_joined_by_or_are_not_passed_on(run: Run, stored: Partitions) -> None:
    run("select * from pt where date = 1970.01.02 or x = 1")
    assert stored.asked[-1][1] == []
    run("x = 3\nselect * from pt where date > x")
    assert stored.asked[-1][1] == []


def test_update_and_delete_rewrite_partitions(run: Run, stored: Partitions) -> None:
    run("update pt set x = x * 10 where sym = `a, date = 1970.01.03")
    assert run("exec x from pt") == [1, 2, 30, 4]
    assert [each.column for each in stored.asked[0][1]] == ["sym", "date"]
    run("delete from pt where x > 3")
    assert run("exec x from pt") == [1, 2]
    with pytest.raises(ScriptError, match=r"\[new\].*addColumn"):
        run("update pt set new = 1")


def test_insert_into_a_stored_table(run: Run, stored: Partitions) -> None:
    run("insert into pt values(1970.01.05, `c, 9)\ninsert into pt (x, sym) values (7 8, `d)")
    assert stored.rows == 7
    assert [part.rows for part in stored.parts] == [2, 2, 1, 2]
    with pytest.raises(ScriptError, match=r"\[y\]"):
        run("insert into pt (y) values (1)")
    assert stored.asked == []


def test_joins_with_a_table_in_memory(run: Run, stored: Partitions) -> None:
    run("t = table(`a`b as sym, 10 20 as w)")
    assert run("select sum(x*w) as s from lj(pt, t, `sym) where date = 1970.01.03") == {"s": [110]}
    assert run("select pt.x, t.w from pt inner join t on pt.sym = t.sym where pt.date = 1970.01.02") == {
        "x": [1, 2], "w": [10, 20],
    }  # fmt: skip
    assert [each.column for each in stored.asked[-1][1]] == ["date"]


def test_conditions_that_may_give_another_value_are_not_evaluated_ahead(run: Run, stored: Partitions) -> None:
    run("select * from pt where x > rand(5, 1)[0]")
    assert stored.asked[-1][1] == []
    run("select * from pt where x in (select x from pt where x > 2)")
    assert stored.asked[0][1] == []
    run("select * from pt where date >= date(1970.01.02T00:00:00)")
    assert [each.operand for each in stored.asked[-1][1]] == [Scalar(Type.DATE, 1)]
