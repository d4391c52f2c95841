"""Stored tables: partitions, pruning, crash safety."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import ScriptError
from engine.sql.source import Conjunct
from engine.storage.databases import Database, Databases
from engine.storage.partitions import HashLevel, Level, ListLevel, RangeLevel, ValueLevel
from engine.storage.table_schema import ColumnSchema, TableSchema
from engine.storage.tables import TableStore
from engine.types import Type
from engine.values import ArrayVector, Scalar, Table, Vector, vector

DAY = 19723  # 2024.01.01


def make(
    folder: Path, levels: list[Level], columns: Sequence[tuple[str, Type]], partition_columns: list[str], **options: Any
) -> TableStore:
    database = Databases(folder).create("dfs://test", levels, options.pop("engine", "OLAP"), "TRANS", "admin")
    schema = TableSchema([ColumnSchema(0, name, type_) for name, type_ in columns], partition_columns, **options)
    return database.create_table("t", schema)


def reopened(folder: Path) -> TableStore:
    return Databases(folder).get("dfs://test").table("t")


def trades(days: Sequence[int], symbols: Sequence[str], prices: Sequence[float]) -> Table:
    return Table(
        ["day", "sym", "price"],
        [vector(Type.DATE, days), vector(Type.SYMBOL, symbols), vector(Type.DOUBLE, prices)],
    )


TRADES = [("day", Type.DATE), ("sym", Type.SYMBOL), ("price", Type.DOUBLE)]


def items(table: Table, name: str) -> list[Any]:
    column = table.column(name)
    assert isinstance(column, Vector)
    return column.strings().tolist() if column.type is Type.SYMBOL else column.data.tolist()


def test_rows_come_back_by_partition_and_after_reopening(tmp_path: Path) -> None:
    store = make(tmp_path, [ValueLevel(Type.DATE, [DAY])], TRADES, ["day"])
    assert store.append(trades([DAY + 1, DAY, DAY + 1], ["b", "a", "a"], [1.0, 2.0, 3.0])) == 3
    assert store.append(trades([DAY], ["c"], [4.0])) == 1
    for each in (store, reopened(tmp_path)):
        table = each.read(None, [])
        assert items(table, "day") == [DAY, DAY, DAY + 1, DAY + 1]
        assert items(table, "sym") == ["a", "c", "b", "a"]
        assert items(table, "price") == [2.0, 4.0, 1.0, 3.0]
        assert each.rows == 4
        assert items(each.read(["price"], []), "price") == [2.0, 4.0, 1.0, 3.0]


@pytest.mark.parametrize(
    ("type_", "raw"),
    [
        (Type.BOOL, [1, 0, -128]),
        (Type.CHAR, [1, -128]),
        (Type.SHORT, [1, 2]),
        (Type.LONG, [2**40, -(2**63)]),
        (Type.FLOAT, [1.5, None]),
        (Type.STRING, ["", "é", "a\nb"]),
        (Type.SYMBOL, ["", "é", "x"]),
        (Type.BLOB, [b"", b"a\x00b", b"c"]),
        (Type.UUID, [bytes(16), bytes(range(16))]),
        (Type.IPADDR, [bytes(range(16)), bytes(16)]),
        (Type.INT128, [bytes(range(16))]),
        (Type.DECIMAL32, [123, None]),
        (Type.DECIMAL128, [10**30, None]),
        (Type.COMPLEX, [1 + 2j]),
        (Type.NANOTIMESTAMP, [1, 2]),
        (Type.MINUTE, [1, None]),
    ],
)
def test_every_type_is_kept(tmp_path: Path, type_: Type, raw: list[Any]) -> None:
    store = make(tmp_path, [], [("x", type_)], [])
    store.schema.columns[0].scale = 2 if type_.name.startswith("DECIMAL") else 0
    column = vector(type_, raw, 2 if type_.name.startswith("DECIMAL") else 0)
    store.append(Table(["x"], [column]))
    store.append(Table(["x"], [column]))
    back = reopened(tmp_path).read(None, []).columns[0]
    assert isinstance(back, Vector)
    assert back.type is type_
    expected = [column.scalar(i) for i in range(len(column))] * 2
    assert [back.scalar(i) for i in range(len(back))] == expected


def test_array_vectors_are_kept(tmp_path: Path) -> None:
    database = Databases(tmp_path).create("dfs://test", [], "TSDB", "TRANS", "admin")
    store = database.create_table("t", TableSchema([ColumnSchema(0, "x", Type.INT, is_array=True)]))
    array = ArrayVector(vector(Type.INT, [1, 2, 3]), np.array([0, 2, 2, 3]))
    store.append(Table(["x"], [array]))
    store.append(Table(["x"], [array]))
    back = store.read(None, []).columns[0]
    assert isinstance(back, ArrayVector)
    assert [back.row(i).data.tolist() for i in range(6)] == [[1, 2], [], [3]] * 2


def test_rows_outside_of_the_scheme_are_left_out(tmp_path: Path) -> None:
    store = make(tmp_path, [RangeLevel(Type.INT, [0, 5, 10])], [("id", Type.INT)], ["id"])
    assert store.append(Table(["id"], [vector(Type.INT, [-1, 0, 4, 5, 9, 10, None])])) == 4
    assert items(store.read(None, []), "id") == [0, 4, 5, 9]
    assert [store.partition_path(key) for key in store.partition_rows()] == ["/0_5", "/5_10"]


def test_list_and_hash_levels(tmp_path: Path) -> None:
    levels: list[Level] = [ListLevel(Type.SYMBOL, [["a", "b"], ["c"]]), HashLevel(Type.INT, 3)]
    store = make(tmp_path, levels, [("sym", Type.SYMBOL), ("id", Type.INT)], ["sym", "id"])
    table = Table(["sym", "id"], [vector(Type.SYMBOL, ["c", "a", "x", "b"]), vector(Type.INT, [4, 3, 1, 4])])
    assert store.append(table) == 3
    assert {store.partition_path(key): n for key, n in store.partition_rows().items()} == {
        "/List0/Key0": 1, "/List0/Key1": 1, "/List1/Key1": 1,
    }  # fmt: skip
    assert store.candidates([Conjunct("sym", "==", Scalar(Type.STRING, "c"))]) == [(1, 1)]
    assert store.candidates([Conjunct("id", "==", Scalar(Type.INT, 3))]) == [(0, 0)]


@pytest.mark.parametrize(
    ("conjunct", "days"),
    [
        (Conjunct("day", "==", Scalar(Type.DATE, DAY + 1)), [1]),
        (Conjunct("day", ">", Scalar(Type.DATE, DAY + 1)), [2, 40]),
        (Conjunct("day", "<=", Scalar(Type.DATE, DAY)), [0]),
        (Conjunct("day", "in", vector(Type.DATE, [DAY, DAY + 40])), [0, 40]),
        (Conjunct("day", "between", Vector(Type.DATE, np.array([DAY + 1, DAY + 2], np.int32), is_pair=True)), [1, 2]),
        (Conjunct("day", "==", Scalar(Type.MONTH, 2024 * 12 + 1), "month"), [40]),
        (Conjunct("day", "==", Scalar(Type.STRING, "2024.01.02")), [1]),
        (Conjunct("day", ">", Scalar(Type.TIMESTAMP, (DAY + 1) * 86400000 + 1)), [2, 40]),
        (Conjunct("price", ">", Scalar(Type.DOUBLE, 0.0)), [0, 1, 2, 40]),
        (Conjunct("day", "==", Scalar(Type.DATE, None)), []),
        (Conjunct("day", ">", Scalar(Type.DATE, None)), [0, 1, 2, 40]),
    ],
)
def test_pruning(tmp_path: Path, conjunct: Conjunct, days: list[int]) -> None:
    store = make(tmp_path, [ValueLevel(Type.DATE, [])], TRADES, ["day"])
    store.append(trades([DAY + n for n in (40, 2, 1, 0)], ["a"] * 4, [1.0] * 4))
    assert items(store.read(["day"], [conjunct]), "day") == [DAY + n for n in days]


def test_pruning_by_a_finer_column(tmp_path: Path) -> None:
    store = make(tmp_path, [ValueLevel(Type.DATE, [])], [("ts", Type.TIMESTAMP)], ["ts"])
    stamps = [DAY * 86400000 + hours * 3600000 for hours in (1, 23, 25, 50)]
    store.append(Table(["ts"], [vector(Type.TIMESTAMP, stamps)]))
    noon = Scalar(Type.TIMESTAMP, DAY * 86400000 + 12 * 3600000)
    assert items(store.read(None, [Conjunct("ts", "<", noon)]), "ts") == stamps[:2]
    assert items(store.read(None, [Conjunct("ts", "==", Scalar(Type.DATE, DAY + 1), "date")]), "ts") == stamps[2:3]


def test_pruning_never_loses_rows(tmp_path: Path) -> None:
    """Every row that meets a condition is among those read, whatever the scheme and the types."""
    rng = np.random.default_rng(5)
    days = DAY + rng.integers(0, 60, 400)
    for number, level in enumerate(
        [
            ValueLevel(Type.DATE, []),
            ValueLevel(Type.MONTH, []),
            RangeLevel(Type.DATE, [DAY, DAY + 7, DAY + 30, DAY + 90]),
            RangeLevel(Type.MONTH, [24288, 24289, 24291]),
            HashLevel(Type.DATE, 7),
        ]
    ):
        store = make(tmp_path / str(number), [level], [("day", Type.DATE)], ["day"])
        assert store.append(Table(["day"], [vector(Type.DATE, days.tolist())])) == 400
        for operator, meets in (
            ("==", np.equal), ("<", np.less), (">", np.greater), ("<=", np.less_equal), (">=", np.greater_equal),
        ):  # fmt: skip
            for limit in (DAY, DAY + 7, DAY + 31, DAY + 59):
                read = items(store.read(None, [Conjunct("day", operator, Scalar(Type.DATE, limit))]), "day")  # type: ignore[arg-type]
                wanted = days[meets(days, limit)]
                assert sorted(day for day in read if meets(day, limit)) == sorted(wanted.tolist())


def test_many_small_appends_stay_few_files(tmp_path: Path) -> None:
    store = make(tmp_path, [ValueLevel(Type.DATE, [DAY])], TRADES, ["day"])
    for number in range(100):
        store.append(trades([DAY], [f"s{number}"], [float(number)]))
    assert items(store.read(None, []), "price") == [float(n) for n in range(100)]
    assert len(list(store.folder.glob("*.segment"))) < 40


def test_keep_last_and_first(tmp_path: Path) -> None:
    for keep, expected in (("LAST", [3.0, 2.0]), ("FIRST", [1.0, 2.0])):
        store = make(
            tmp_path / keep, [ValueLevel(Type.DATE, [DAY])], TRADES, ["day"],
            engine="TSDB", sort_columns=["sym", "day"], keep=keep,
        )  # fmt: skip
        store.append(trades([DAY, DAY], ["a", "b"], [1.0, 2.0]))
        store.append(trades([DAY], ["a"], [3.0]))
        assert items(store.read(None, []), "price") == expected


def test_upsert(tmp_path: Path) -> None:
    store = make(tmp_path, [ValueLevel(Type.DATE, [DAY])], TRADES, ["day"])
    store.append(trades([DAY, DAY + 1], ["a", "b"], [1.0, 2.0]))
    fresh = trades([DAY, DAY, DAY + 1], ["a", "c", "b"], [9.0, 8.0, float("nan")])
    store.upsert(fresh, ["day", "sym"], ignore_null=True)
    assert items(store.read(None, []), "sym") == ["a", "c", "b"]
    assert items(store.read(None, []), "price") == [9.0, 8.0, 2.0]


def test_rewrite_changes_only_candidates(tmp_path: Path) -> None:
    store = make(tmp_path, [ValueLevel(Type.DATE, [DAY])], TRADES, ["day"])
    store.append(trades([DAY, DAY + 1], ["a", "b"], [1.0, 2.0]))
    seen: list[int] = []

    def change(part: Table) -> Table | None:
        seen.append(part.rows)
        return part.take(np.array([], dtype=int))

    store.rewrite([Conjunct("day", "==", Scalar(Type.DATE, DAY))], change)
    assert seen == [1]
    assert items(store.read(None, []), "sym") == ["b"]


def test_rows_cannot_be_moved_between_partitions_by_an_update(tmp_path: Path) -> None:
    store = make(tmp_path, [ValueLevel(Type.DATE, [DAY])], TRADES, ["day"])
    store.append(trades([DAY], ["a"], [1.0]))
    with pytest.raises(ScriptError, match="partitioning"):
        store.rewrite([], lambda _part: trades([DAY + 1], ["a"], [1.0]))
    assert items(store.read(None, []), "day") == [DAY]


def test_columns_change(tmp_path: Path) -> None:
    store = make(tmp_path, [ValueLevel(Type.DATE, [DAY])], TRADES, ["day"])
    store.append(trades([DAY], ["a"], [1.0]))
    store.add_columns(["note", "kind"], [Type.STRING, Type.SYMBOL], [0, 0])
    store.rename_column("price", "paid")
    store.drop_columns(["sym"])
    for each in (store, reopened(tmp_path)):
        table = each.read(None, [])
        assert table.names == ["day", "paid", "note", "kind"]
        assert items(table, "note") == [""]
        assert items(table, "paid") == [1.0]
    with pytest.raises(ScriptError, match="partitioning"):
        store.drop_columns(["day"])


def test_rows_may_leave_out_columns_added_later(tmp_path: Path) -> None:
    store = make(tmp_path, [ValueLevel(Type.DATE, [DAY])], TRADES, ["day"])
    store.add_columns(["note"], [Type.INT], [0])
    assert store.append(trades([DAY], ["a"], [1.0])) == 1
    assert items(store.read(None, []), "note") == [-(2**31)]


def test_types_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    store = make(tmp_path, [ValueLevel(Type.DATE, [DAY])], TRADES, ["day"])
    with pytest.raises(ScriptError, match="price"):
        store.append(
            Table(["a", "b", "c"], [vector(Type.DATE, [DAY]), vector(Type.STRING, ["x"]), vector(Type.STRING, ["y"])])
        )
    with pytest.raises(ScriptError, match="number of columns"):
        store.append(Table(["a"], [vector(Type.DATE, [DAY])]))
    assert store.rows == 0


def test_databases_are_opened_dropped_and_not_overwritten(tmp_path: Path) -> None:
    databases = Databases(tmp_path)
    made = databases.create("dfs://a/b", [ValueLevel(Type.INT, [1])], "OLAP", "TRANS", "admin")
    assert databases.create("dfs://a/b", [ValueLevel(Type.INT, [1])], "OLAP", "TRANS", "admin") is made
    with pytest.raises(ScriptError, match="overwrite"):
        databases.create("dfs://a/b", [RangeLevel(Type.INT, [0, 1])], "OLAP", "TRANS", "admin")
    store = made.create_table("t", TableSchema([ColumnSchema(0, "x", Type.INT)], ["x"]))
    assert Databases(tmp_path).urls() == ["dfs://a/b"]
    databases.drop("dfs://a/b")
    assert not databases.exists("dfs://a/b")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ScriptError, match="dropped"):
        store.append(Table(["x"], [vector(Type.INT, [1])]))


@pytest.mark.parametrize("url", ["dfs://", "dfs://a b", "dfs://../x", "/tmp/x"])
def test_bad_paths(tmp_path: Path, url: str) -> None:
    with pytest.raises(ScriptError):
        Databases(tmp_path).create(url, [], "OLAP", "TRANS", "admin")


def test_concurrent_appends_all_arrive(tmp_path: Path) -> None:
    store = make(tmp_path, [ValueLevel(Type.DATE, [DAY])], TRADES, ["day"])

    def work(number: int) -> None:
        for _ in range(10):
            store.append(trades([DAY + number % 3], [f"s{number}"], [1.0]))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.rows == 60
    assert reopened(tmp_path).rows == 60


def obstacle(path: Path) -> Path:
    """A folder where a file is to be written, as if the disk were full."""
    path.mkdir()
    return path


def test_a_change_that_cannot_be_stored_is_none(tmp_path: Path) -> None:
    table = make(tmp_path, [ValueLevel(Type.DATE, [DAY])], TRADES, ["day"])
    table.append(trades([DAY], ["A"], [1.0]))
    blocked = obstacle(table.folder / "manifest.json.new")
    for change in (
        lambda: table.append(trades([DAY, DAY + 1], ["B", "C"], [2.0, 3.0])),
        lambda: table.upsert(trades([DAY], ["A"], [9.0]), ["sym"], False),
        lambda: table.add_columns(["more"], [Type.SYMBOL], [0]),
        lambda: table.rename_column("price", "value"),
        lambda: table.drop_columns(["price"]),
        lambda: table.set_comments({"price": "of a share"}),
        lambda: table.remove(list(table.partition_rows())),
    ):
        with pytest.raises(OSError, match="manifest"):
            change()
        assert table.schema == reopened(tmp_path).schema
        assert items(table.read(None, []), "price") == [1.0]
    assert len(list(table.folder.glob("*.segment"))) == 1
    blocked.rmdir()
    table.append(trades([DAY, DAY + 1], ["B", "C"], [2.0, 3.0]))
    assert items(reopened(tmp_path).read(None, []), "sym") == ["A", "B", "C"]


def test_partitions_are_on_disk_before_their_rows(tmp_path: Path) -> None:
    """New values of a VALUE scheme, which is written apart from the tables that share it."""
    table = make(tmp_path, [ValueLevel(Type.DATE, [DAY])], TRADES, ["day"])
    blocked = obstacle(table.folder.parents[1] / "database.json.new")
    with pytest.raises(OSError, match="database"):
        table.append(trades([DAY + 5], ["A"], [1.0]))
    blocked.rmdir()
    table.append(trades([DAY + 5], ["A"], [1.0]))
    assert items(reopened(tmp_path).read(None, []), "day") == [DAY + 5]


def test_databases_of_one_scheme_grow_apart(tmp_path: Path) -> None:
    levels: list[Level] = [ValueLevel(Type.DATE, [DAY])]
    databases = Databases(tmp_path)
    for name in ("one", "two"):
        schema = TableSchema([ColumnSchema(0, column, type_) for column, type_ in TRADES], ["day"])
        made = databases.create(f"dfs://{name}", levels, "OLAP", "TRANS", "admin").create_table("t", schema)
        made.append(trades([DAY + 7], ["A"], [1.0]))
    for name in ("one", "two"):
        assert items(Databases(tmp_path).get(f"dfs://{name}").table("t").read(None, []), "day") == [DAY + 7]


def test_a_renamed_table_takes_its_symbols_along(tmp_path: Path) -> None:
    table = make(tmp_path, [ValueLevel(Type.DATE, [DAY])], TRADES, ["day"])
    databases = Databases(tmp_path)
    database = databases.get("dfs://test")
    database.rename_table("t", "u")
    database.table("u").append(trades([DAY], ["A"], [1.0]))
    assert items(Databases(tmp_path).get("dfs://test").table("u").read(None, []), "sym") == ["A"]
    assert not table.folder.exists()


def test_leftovers_of_a_crash_do_not_show(tmp_path: Path) -> None:
    store = make(tmp_path, [ValueLevel(Type.DATE, [DAY])], TRADES, ["day"])
    store.append(trades([DAY], ["a"], [1.0]))
    (store.folder / "00000077.segment").write_bytes(b"half written")
    (store.folder / "manifest.json.new").write_bytes(b"{")
    symbols = next(store.folder.glob("*.symbols"))
    with symbols.open("ab") as file:
        file.write(b"never committed\0")
    again = reopened(tmp_path)
    assert items(again.read(None, []), "sym") == ["a"]
    again.append(trades([DAY], ["b"], [2.0]))
    assert items(reopened(tmp_path).read(None, []), "sym") == ["a", "b"]
    assert not (store.folder / "00000077.segment").exists()


WRITER = """
import sys
from pathlib import Path
import numpy as np
from engine.storage.databases import Databases
from engine.types import Type
from engine.values import Table, vector
store = Databases(Path(sys.argv[1])).get("dfs://test").table("t")
number = store.rows // 50
while True:
    days = [19723 + (number + row) % 4 for row in range(50)]
    table = Table(["day", "sym", "price"], [
        vector(Type.DATE, days), vector(Type.SYMBOL, [f"s{number}"] * 50), vector(Type.DOUBLE, [float(number)] * 50)])
    assert store.append(table) == 50
    print(number, flush=True)
    number += 1
"""


@pytest.mark.e2e
def test_a_killed_writer_loses_nothing_it_reported(tmp_path: Path) -> None:
    make(tmp_path, [ValueLevel(Type.DATE, [DAY])], TRADES, ["day"])
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    chance = random.Random(4)
    for _ in range(20):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, env=environment, text=True
        ) as process:
            assert process.stdout is not None
            reported = int(process.stdout.readline())
            time.sleep(chance.uniform(0.0, 0.2))
            process.send_signal(signal.SIGKILL)
            reported = int(([str(reported), *process.stdout.read().split()])[-1])
        store = reopened(tmp_path)
        table = store.read(None, [])
        numbers, counts = np.unique(items(table, "price"), return_counts=True)
        assert (counts == 50).all()
        assert numbers.tolist() == list(range(len(numbers)))
        assert len(numbers) >= reported + 1
        assert items(table, "sym") == [f"s{int(price)}" for price in items(table, "price")]


def test_schemes_survive(tmp_path: Path) -> None:
    levels: list[Level] = [
        ValueLevel(Type.SYMBOL, ["a"]), RangeLevel(Type.INT, [0, 5]), ListLevel(Type.INT, [[1], [2, 3]]),
    ]  # fmt: skip
    made: Database = Databases(tmp_path).create("dfs://x", levels, "TSDB", "CHUNK", "bob")
    again = Databases(tmp_path).get("dfs://x")
    assert again.scheme() == made.scheme()
    assert (again.engine, again.atomic, again.owner) == ("TSDB", "CHUNK", "bob")
    again.add_values(["b"], 0)
    assert Databases(tmp_path).get("dfs://x").levels[0].count() == 2
    with pytest.raises(ScriptError, match="VALUE"):
        again.add_values([1], 1)
    again.add_ranges([5, 7, 9], 1)
    level = Databases(tmp_path).get("dfs://x").levels[1]
    assert [level.name(number) for number in range(level.count())] == ["0_5", "5_7", "7_9"]
    for wrong in ([10, 12], [9], [9, 9]):
        with pytest.raises(ScriptError, match="newRanges"):
            again.add_ranges(wrong, 1)
