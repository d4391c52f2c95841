"""STRING columns held as codes: everything is as if they held texts."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import coding
from engine.coded import aligned, together
from engine.console import console_text
from engine.errors import ScriptError
from engine.functions import builtin_functions
from engine.functions.registry import Registry
from engine.interpreter import Interpreter
from engine.node import Node
from engine.session import Session
from engine.storage.databases import Databases
from engine.types import Type
from engine.values import Table, Vector
from engine.wire.decode import decode, text_vector
from engine.wire.encode import encode
from engine.wire.reader import StreamReader
from tests.engine.sql.conftest import plain

START = """
words = ["b", "", "aa", "b", "Ab", "é", "c%", "aa"]
t = table(take(words, 40) as s, symbol(take(["x", "b", "", "aa"], 40)) as y, take(words, 40).shuffle().sort() as z,
    1..40 % 7 as k, 1.5 * (1..40) as x)
u = table(["b", "aa", "q", ""] as s, [10, 20, 30, 40] as v)
keyed = keyedTable(`s, ["b", "q"] as s, [1, 2] as v)
indexed = indexedTable(`s, ["b", "c"] as s, [1, 2] as v)
v = take(words, 50)
w = array(STRING, 0)
a = arrayVector([2, 5, 6], ["b", "", "aa", "é", "b", "c%"])
d = dict(STRING, INT)
share(table(take(words, 12) as s, 1..12 as k), `common)
"""

READS = """
select * from t where s == "b"
select * from t where s != "b", s in ("aa", "é", "")
select k from t where s like "%a%"
select k from t where s < "b" or z >= "c%"
select k from t where s == y
select k from t where s == z
select k from t where s is null
select k from t where not isNull(s), k > 2
select k from t where startsWith(s, "a") or endsWith(s, "b")
select k from t where s between "a" and "b"
select count(s), nunique(s), first(s), last(s), max(s), min(s), mode(s) from t
select sum(x) from t group by s
select sum(x), last(z), max(s), nunique(y) from t group by s, y
select count(*) from t group by upper(s) as s having count(*) > 2
select s, k, cumsum(x) as c, prev(s) as p, rank(s) as r from t context by s
select s, k, firstNot(s) as f from t context by k csort s desc limit 2
select top 2 s, z, x from t context by s csort x desc
select distinct s, y from t
select distinct s from t
exec distinct s from t
select sum(x) from t pivot by k, s
exec s from t order by s, k
select top 7 s, k from t order by s desc, k
select * from t order by z, y limit 5
select * from ej(t, u, `s)
select * from lj(t, u, `s)
select * from lj(u, t, `s)
select * from fj(u, t, `s)
select * from ej(t, u, `y, `s)
select * from lsj(u, t, `s)
select k, v from aj(t, u, `s)
select k, v from t left join u on t.s = u.s
select k from t where s in (exec s from u)
select s + "_" + z as n, "p" + s as m, s + y as o from t
select strlen(s), lower(s), substr(s, 1, 1), left(s, 1), strReplace(s, "a", "-"), trim(s), concat(s, ",") from t
select regexFind(s, "a+"), regexReplace(s, "a", "o"), regexCount(s, "b"), ilike(s, "A%"), hashBucket(s, 5) from t
select iif(x > 20, s, "none") as i, iif(k == 2, NULL, iif(k > 3, "up", "down")) as j, iif(k > 2, z, s) as l from t
select nullFill(s, "none") as n, ffill(s) as f, bfill(s) as b from t
select s from t where rowNo(s) < 3 union all select s from u
unionAll(select s from t, select s from u)
v == "b"
v in set(["aa", ""])
v like "a%"
v.isNull().sum()
v[1:7]
v[[3, 1, 100, -1]]
v[v > "b"]
sort(v)
isort(v, false)
distinct(v)
rank(v)
reverse(v)
take(v, 5)
take(["p", "q"], 30)
v.join(take("zz", 5))
symbol(v)
string(symbol(v))
string(t.y)
typestr(v)
set(v)
dict(v, 1..size(v))
groups(v)
groupby(sum, 1..size(v), v)
asof(sort(v), "b")
find(v, "é")
v.count()
v.shuffle().sort()
isValid(v)
eqObj(v, copy(v))
each(strlen, v)
a
a.flatten()
a.rowCount()
at(v == "b")
cut(v, 20)
matrix(1..2, 3..4).rename!(`b`aa)
unpivot(select k, s, z from t, `k, `s`z)
select * from keyed
select v from keyed where s in ("b", "zz")
select * from indexed where s = "b"
select * from common
typestr(w.copy().append!(v))
toStdJson(v)
objByName(`common).s
size(w)
""".strip().splitlines()

CHANGES = """
append!(w, v)
append!(v, "new")
append!(v, ["b", "other", ""])
append!(v, symbol(["b", "sym"]))
v[3] = "x"
v[1:4] = "range"
v[v == "b"] = "B"
v = reverse(v)
v = copy(v).sort!()
v.nullFill!("filled")
v.replace!("aa", "AA")
t[`s, 3] = "x"
t["s"] = t.z
t[`n] = t.s + "!"
update t set s = "changed" where k == 3
update t set s = z, z = s where s like "a%"
update t set s = NULL where k = 2
delete from t where s = "b", k = 1
delete from t where s is null
insert into t(s, y, z, k, x) values("inserted", "y", "é", 5, 2.5)
insert into t select * from t where k = 4
t.append!(select * from t where s in ("b", "é"))
t.sortBy!(`s`k)
append!(u, table(["b", "fresh"] as s, [50, 60] as v))
upsert!(keyed, table(["b", "r", "q"] as s, [7, 8, 9] as v))
upsert!(indexed, table(["c", "d"] as s, [7, 8] as v))
upsert!(u, table(["b", "zz"] as s, [7, 8] as v), keyColNames=`s)
insert into common values("aa", 100)
common.append!(table(["p", "aa"] as s, [1, 2] as k))
update common set s = upper(s) where k > 6
delete from common where s = "AA"
v = exec s from t
v = t.s
w = v
v.append!(w)
v.shuffle!()
a.append!([["z", "b"]])
dropColumns!(t, `n)
t.rename!(`s`y`z`k`x)
v = take(words, 50)
d[v] = 1
clear!(w)
""".strip().splitlines()


@pytest.fixture(scope="module")
def registry() -> Registry:
    return builtin_functions()


def held_as_codes(patch: pytest.MonkeyPatch) -> None:
    """However few texts a column has and whether or not they recur."""
    patch.setattr(coding, "LONG", 1)
    patch.setattr(coding, "SHARE", 1)
    patch.setattr(coding, "_varied", lambda distinct, rows: False)


def outcome(engine: Interpreter, statement: str) -> Any:
    try:
        value = engine.run(statement)
        return plain(value) if isinstance(value, Table | Vector) else console_text(value)
    except ScriptError as error:
        return error.message


@pytest.fixture
def both(registry: Registry, tmp_path: Path) -> Callable[[list[str]], None]:
    """Run statements on columns of texts and on columns of codes: each must do the same."""

    def results(patch: pytest.MonkeyPatch, folder: Path, statements: list[str]) -> list[Any]:
        (folder / "files").mkdir(parents=True)
        node = Node(folder)
        node.databases = Databases(folder / "databases")
        engine = Interpreter(Session(1, node, user="admin"), registry)
        engine.run("setRandomSeed(7)")
        engine.run(START)
        return [outcome(engine, statement) for statement in statements]

    def run(statements: list[str]) -> None:
        with pytest.MonkeyPatch.context() as patch:
            expected = results(patch, tmp_path / "texts", statements)
        with pytest.MonkeyPatch.context() as patch:
            held_as_codes(patch)
            found = results(patch, tmp_path / "codes", statements)
        for statement, one, other in zip(statements, found, expected, strict=True):
            assert one == other, statement

    return run


def test_reading(both: Callable[[list[str]], None]) -> None:
    both([*READS, *READS])


@pytest.mark.parametrize("seed", range(4))
def test_reading_and_changing_in_any_order(both: Callable[[list[str]], None], seed: int) -> None:
    chosen = random.Random(seed)
    statements: list[str] = []
    for _ in range(40):
        statements += [chosen.choice(CHANGES), *chosen.choices(READS, k=3)]
    both([*statements, "t", "u", "v", "w", "a", "keyed", "indexed", "common"])


def test_to_disk_and_back(both: Callable[[list[str]], None]) -> None:
    both([
        'db = database("dfs://texts", VALUE, 0..6); p = createPartitionedTable(db, t, `p, `k); p.append!(t); 1',
        "select * from p order by x",
        'select s, x from p where s in ("b", "é") order by x',
        "select count(*), last(z) from p group by s",
        'update p set s = upper(s) where z = "aa"; select * from p order by x',
        'delete from p where s = "B"; p.append!(select * from t where k = 3); select s, z, x from p order by x, s',
        'f = "t.csv"; saveText(select s, k from t, f); loadText(f)',
        "loadText(f, schema=table(`s`k as name, `STRING`INT as type))",
    ])  # fmt: skip


TEXTS = [
    ["a", "", "bb", "a"] * 50,
    ["é" * 5, "é" * 4 + "e", "12345678", "1234567", "123456789", "", "12345678é"] * 40,
    ["x" * 70, "y", ""] * 40,
    [f"id{i}" for i in range(200)],
    [""] * 100,
]


@pytest.mark.parametrize("texts", TEXTS)
def test_codes_stand_for_the_texts(texts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coding, "LONG", 1)
    plainly = Vector(Type.STRING, coding.objects(texts))
    received = decode(StreamReader.over(b"".join(encode(plainly))))
    assert isinstance(received, Vector)
    assert received.strings().tolist() == texts
    recur = len(set(texts)) * coding.SHARE <= len(texts)
    assert (plainly.coded() is not None) == recur
    assert received.held_codes() is None or recur
    for column in (plainly, received, plainly.copy()):
        assert b"".join(encode(column)) == b"".join(encode(Vector(Type.STRING, coding.objects(texts))))
        assert column.nulls().tolist() == [not text for text in texts]
        assert column.take(np.array([3, 1, 0])).strings().tolist() == [texts[3], texts[1], texts[0]]
        assert [column.scalar(row).value for row in range(4)] == [text or None for text in texts[:4]]
        assert column.data.tolist() == texts
        assert column.held_codes() is None


def test_bytes_that_are_no_text_are_equal_texts_where_they_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coding, "LONG", 1)
    column = text_vector(b"\0".join([b"\xff", b"\xfe", b"a", b""] * 10), 40)
    coded = column.coded()
    assert coded is not None
    assert coded.symbols is not None
    assert coded.symbols.strings == ["", "\ufffd", "a"]
    assert column.strings().tolist() == ["\ufffd", "\ufffd", "a", ""] * 10


def test_what_is_put_together_leaves_the_parts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coding, "LONG", 1)
    first = Vector(Type.STRING, coding.objects(["a", "b"] * 20))
    assert aligned([first, first]) is None
    held = first.coded()
    assert held is not None
    assert held.symbols is not None
    merged = together([first, Vector(Type.STRING, coding.objects(["c", "a"]))])
    assert merged is not None
    assert merged.strings().tolist() == ["a", "b"] * 20 + ["c", "a"]
    assert held.symbols.strings == ["", "a", "b"]
    merged.data[0] = "changed"
    assert first.strings()[0] == "a"


def test_no_write_is_lost_while_others_read() -> None:
    rows = 2 * coding.LONG
    column = Vector(Type.STRING, coding.objects(["a", "b", "", "c"] * (rows // 4)))
    done = threading.Event()
    failures: list[BaseException] = []

    def read() -> None:
        try:
            while not done.is_set():
                coded = column.coded()
                assert coded is None or len(coded) == rows
                assert len(column.strings()) == len(column.nulls()) == len(column) == rows
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for row in range(60):
        column.data[row] = f"written {row}"
        column.coded()
    done.set()
    for reader in readers:
        reader.join()
    assert not failures
    assert column.strings()[:60].tolist() == [f"written {row}" for row in range(60)]
