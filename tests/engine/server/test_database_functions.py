"""Databases, files and the server itself as scripts see them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.e2e

Connect = Callable[..., Any]


@pytest.fixture
def database(session: Any, request: pytest.FixtureRequest) -> str:
    return f"dfs://{request.node.name.split('[')[0]}"


def test_schema_of_a_partitioned_table(session: Any, database: str) -> None:
    session.run(
        f"""
        db = database("{database}", VALUE, 2024.01.01..2024.01.03, engine="TSDB")
        t = table([2024.01.01] as day, [`a]$SYMBOL as sym, decimal64([1.5], 2) as v)
        pt = createPartitionedTable(dbHandle=db, table=t, tableName="t", partitionColumns="day",
            sortColumns=`sym`day, keepDuplicates=LAST)
        """
    )
    schema = session.run("schema(pt)")
    assert schema["partitionColumnName"] == "day"
    assert schema["partitionColumnIndex"] == 0
    assert schema["partitionType"] == 1
    assert schema["partitionColumnType"] == 6
    assert len(schema["partitionSchema"]) == 3
    assert schema["keepDuplicates"] == "LAST"
    definitions = schema["colDefs"]
    assert definitions["name"].tolist() == ["day", "sym", "v"]
    assert definitions["typeString"].tolist() == ["DATE", "SYMBOL", "DECIMAL64(2)"]
    assert definitions["extra"].tolist()[2] == 2
    assert session.run("schema(db)")["databaseDir"] == database
    assert session.run("schema(table(1 2 as a))")["colDefs"]["typeString"].tolist() == ["INT"]


def test_listing(session: Any, database: str) -> None:
    session.run(
        f"""
        db = database("{database}", RANGE, 0 5 10)
        db.createPartitionedTable(table(1 2 as id), `a, `id)
        db.createDimensionTable(table(1 2 as id), `b)
        """
    )
    assert session.run("getTables(db)").tolist() == ["a", "b"]
    assert session.run(f'getDFSTablesByDatabase("{database}")').tolist() == [f"{database}/a", f"{database}/b"]
    assert database in session.run("getClusterDFSDatabases()")
    assert session.run(f'existsTable("{database}", `a)') is True
    assert session.run(f'existsTable("{database}", `z)') is False
    session.run("renameTable(db, `a, `c)")
    assert session.run("getTables(db)").tolist() == ["b", "c"]
    with pytest.raises(RuntimeError, match="getDFSTablesByDatabase"):
        session.run(f'getTables("{database}")')


def test_partitions(session: Any, database: str) -> None:
    session.run(
        f"""
        dates = database("", VALUE, 2024.01.01..2024.01.02)
        ids = database("", RANGE, 0 50 100)
        db = database("{database}", COMPO, [dates, ids])
        pt = db.createPartitionedTable(table(1:0, `day`id, [DATE, INT]), `pt, `day`id)
        pt.append!(table(2024.01.01 2024.01.01 2024.01.02 2024.01.03 as day, 1 60 1 2 as id))
        """
    )
    meta = session.run(f'getTabletsMeta("/{database.removeprefix("dfs://")}/%")')
    prefix = database.removeprefix("dfs:/")
    assert meta["dfsPath"].tolist() == [
        f"{prefix}/{part}" for part in ("20240101/0_50", "20240101/50_100", "20240102/0_50", "20240103/0_50")
    ]
    assert meta["rowNum"].tolist() == [1, 1, 1, 1]
    session.run('dropPartition(db, "/20240101/50_100", `pt)')
    session.run("dropPartition(db, 2024.01.02, `pt)")
    assert session.run("exec count(*) from pt") == 2
    assert session.run("addRangePartitions(db, 100 150 200, 1)") == 2
    assert session.run("addValuePartitions(db, 2024.02.01..2024.02.03)") == 3
    assert session.run(f'existsPartition("{database}/20240101/0_50")') is True
    session.run(f'truncate("{database}", `pt)')
    assert session.run("exec count(*) from pt") == 0
    session.run(f'dropDatabase("{database}")')
    with pytest.raises(RuntimeError, match="does not exist"):
        session.run(f'database("{database}")')


def test_data_sources_count_the_partitions_a_query_reads(session: Any, database: str) -> None:
    session.run(
        f"""
        days = database("", VALUE, 2024.01.01..2024.01.03)
        db = database("{database}", COMPO, [days, database("", VALUE, `a`b)])
        pt = db.createPartitionedTable(table(1:0, `day`sym`v, [DATE, SYMBOL, INT]), `pt, `day`sym)
        t = table(take(2024.01.01..2024.01.03, 6) as day, take(`a`a`a`b`b`b, 6) as sym, 1..6 as v)
        insert into pt select * from t
        """
    )
    assert session.run("size(sqlDS(<select * from pt>))") == 6
    assert session.run("size(sqlDS(<select v from pt where day = 2024.01.02>))") == 2
    assert session.run("size(sqlDS(<select v from pt where day > 2024.01.02, sym = `b>))") == 1
    with pytest.raises(RuntimeError, match="forcePartition"):
        session.run("sqlDS(<select * from pt order by v>)")
    assert session.run("size(sqlDS(<select * from pt order by v>, true))") == 6
    assert "[partition = /" in session.run("string(sqlDS(<select * from pt>)[0])")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ('database("/tmp/x", VALUE, 1..3)', "dfs://"),
        ('database("dfs://refused", SEQ, 3)', "SEQ"),
        ('database("dfs://refused", VALUE, [1.5, 2.5])', "integers"),
        ('database("dfs://refused", RANGE, 3 2 1)', "ascending"),
        ('database("dfs://refused", HASH, 3)', "HASH"),
        ('database("dfs://refused", VALUE, 1..3, engine="IMOLTP")', "IMOLTP"),
        ('loadTable("dfs://missing", `t)', "does not exist"),
        ('database("dfs://r1", VALUE, 1..3).createPartitionedTable(table(1.5 as x), `t, `x)', "DOUBLE"),
        ('database("dfs://r1", VALUE, 1..3).createPartitionedTable(table(1 as x), `t, `y)', "y"),
        (
            'database("dfs://r2", VALUE, 1..3, engine="TSDB").createPartitionedTable(table(1 as x), `t, `x)',
            "sortColumns",
        ),
        ('shell("ls")', "not supported"),
        ('getEnv("HOME")', "not supported"),
    ],
)
def test_what_is_refused(session: Any, script: str, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        session.run(script)


def test_text_files(session: Any) -> None:
    session.run(
        """
        t = table(`AAPL`MS as sym, 10001 10002 as permno, 2019.06.01 2019.06.02 as date, 90.5 1.25 as open,
            09:30:00 09:30:01 as second, 2019.06.01T09:30:00.123 2019.06.02T09:30:00.456 as ts)
        saveText(t, "stock.csv")
        """
    )
    schema = session.run('extractTextSchema("stock.csv")')
    assert dict(zip(schema["name"], schema["type"], strict=True)) == {
        "sym": "SYMBOL", "permno": "INT", "date": "DATE", "open": "DOUBLE", "second": "SECOND", "ts": "TIMESTAMP",
    }  # fmt: skip
    assert session.run('each(eqObj, values(loadText("stock.csv")), values(t))').tolist() == [True] * 6
    session.run('saveText(t, "stock.csv", , true)')
    assert session.run('exec count(*) from loadText("stock.csv")') == 4
    assert session.run('re = loadText(filename="stock.csv", skipRows=2); exec count(*) from re') == 3
    revised = session.run(
        """
        s = extractTextSchema("stock.csv")
        update s set type = `STRING where name = `permno
        s = select * from s where name in `sym`permno
        s[`col] = [0, 1]
        loadText("stock.csv", , s)
        """
    )
    assert revised.columns.tolist() == ["sym", "permno"]
    assert revised["permno"].tolist() == ["10001", "10002"] * 2
    renamed = session.run(
        'loadText("stock.csv", , table(["a", "b"] as name, ["STRING", "STRING"] as type, 1 0 as col))'
    )
    assert renamed["a"].tolist() == ["10001", "10002"] * 2
    session.run('rm("stock.csv")')
    assert session.run('exists("stock.csv")') is False


def test_odd_text_files(session: Any) -> None:
    session.run('saveTextFile("1_x;test-a!;[c]\\n1;;20240105\\n;\\"a;b\\";20240106\\n", "odd.csv")')
    frame = session.run('loadText("odd.csv", ";", , , , true)')
    assert frame.columns.tolist() == ["c1_x", "test_a_", "c_c_"]
    assert frame["test_a_"].tolist() == ["", "a;b"]
    assert frame["c1_x"].isna().tolist() == [False, True]
    assert [str(day.date()) for day in frame["c_c_"]] == ["2024-01-05", "2024-01-06"]
    assert session.run('loadText("odd.csv", ";").columnNames()').tolist() == ["col0", "col1", "col2"]
    with pytest.raises(RuntimeError, match="does not exist"):
        session.run('loadText("nowhere.csv")')


def test_loading_into_a_database(session: Any, database: str) -> None:
    count = session.run(
        f"""
        saveText(table(1..9 as id, string(1..9) as s), "ids.csv")
        db = database("{database}", RANGE, 0 5 10)
        pt = loadTextEx(dbHandle=db, tableName=`pt, partitionColumns=`id, filename="ids.csv")
        loadTextEx(db, `pt, `id, "ids.csv")
        exec count(*) from pt
        """
    )
    assert count == 18


def test_rows_of_a_query_in_memory(session: Any, database: str) -> None:
    loaded = session.run(
        f"""
        db = database("{database}", RANGE, 0 5 10)
        pt = db.createPartitionedTable(table(1 as id, 1.5 as x), `pt, `id).append!(table(1..9 as id, 0.5 * 1..9 as x))
        loadTableBySQL(<select id, 2 * x as y from pt where id between 4 and 6>)
        """
    )
    assert loaded["y"].tolist() == [4, 5, 6]
    with pytest.raises(RuntimeError, match="group by"):
        session.run("loadTableBySQL(<select sum(x) from pt group by id>)")


def test_lines(session: Any) -> None:
    lines = session.run(
        """
        f = file("lines.txt", "w")
        f.writeLine("one")
        f.writeLines(["two", "three"])
        f.close()
        r = file("lines.txt")
        first = r.readLine()
        rest = r.readLines()
        end = r.readLine()
        (first, rest, isVoid(end))
        """
    )
    assert lines[0] == "one"
    assert lines[1].tolist() == ["two", "three"]
    assert lines[2] is True


def test_bytes_and_words_of_files(session: Any) -> None:
    copied = session.run(
        """
        f = file("words.bin", "w")
        f.write([1.5, NULL, 3.0])
        f.close()
        s = file("words.bin")
        length = s.seek(0, TAIL)
        s.seek(0, HEAD)
        t = file("copy.bin", "w")
        t.writeBytes(s.readBytes(length))
        t.close()
        found = array(DOUBLE, 4)
        count = file("copy.bin").read!(found, 1, 3)
        swapped = array(DOUBLE, 3)
        file("copy.bin", "r", false).read!(swapped, 0, 3)
        (length, count, found, isNull(found[2]), swapped[0] == 1.5)
        """
    )
    assert copied[:2] == [24, 3]
    assert copied[2].tolist()[:2] == [0, 1.5]
    assert copied[3:] == [True, False]
    with pytest.raises(RuntimeError, match="Reach the end"):
        session.run('file("copy.bin").readBytes(25)')


def test_records_and_objects_of_files(session: Any) -> None:
    found = session.run(
        """
        f = file("records.bin", "w")
        f.writeRecord(table(1..5 as id, 0.5 * 1..5 as x), 1, 3)
        f.close()
        t = table(10:0, `id`x, [INT, DOUBLE])
        count = file("records.bin").readRecord!(t)
        g = file("objects.bin", "w")
        g.writeObject(t)
        g.writeObject(`a`b)
        g.writeObject(dict(`k`l, (1 2, "text")))
        g.close()
        r = file("objects.bin")
        back = r.readObject()
        (count, (exec sum(x) from back), r.readObject(), r.readObject()[`l])
        """
    )
    assert found[:2] == [3, 4.5]
    assert found[2].tolist() == ["a", "b"]
    assert found[3] == "text"


def test_arrays_and_records_of_files(session: Any) -> None:
    session.run("x = 1..6; x[2] = NULL; saveAsNpy(x, `ints); saveAsNpy([1.5, NULL], `doubles); saveAsNpy(1..6$2:3, `m)")
    assert session.run("eqObj(loadNpy(`ints), x)") is True
    assert session.run("loadNpy(`doubles)").tolist() == [1.5, float("-inf")]
    assert session.run("loadNpy(`m)")[0].tolist() == [[1, 3, 5], [2, 4, 6]]
    session.run('f = file("rows.bin", "w"); f.writeRecord(table(1 2 3 as a, 1.5 NULL 3 as b)); f.close()')
    assert session.run('loadRecord("rows.bin", [("a", INT), ("b", DOUBLE)], 12, 1)')["a"].tolist() == [2]
    session.run('saveTextFile("ab\\0cde", "texts.bin")')
    assert session.run('loadRecord("texts.bin", [("code", SYMBOL, 3)])')["code"].tolist() == ["ab", "cde"]
    with pytest.raises(RuntimeError, match="no NumPy arrays"):
        session.run('loadNpz("texts.bin")')


def test_parts_of_a_text_file(session: Any) -> None:
    session.run(
        'saveText(table(1..150000 as a, take(`x`y, 150000) as s), "parts.csv"); ds = textChunkDS("parts.csv", 1)'
    )
    assert session.run("size(ds)") == 2
    assert session.run("mr(ds, {t -> sum(t.a)}, +)") == 150000 * 150001 // 2


def test_folders(session: Any) -> None:
    session.run('mkdir("inner"); saveTextFile("x", "inner/a.txt")')
    listed = session.run('files("inner")')
    assert listed["filename"].tolist() == ["a.txt"]
    assert listed["fileSize"].tolist() == [1]
    with pytest.raises(RuntimeError, match="already exists"):
        session.run('mkdir("inner")')
    with pytest.raises(RuntimeError, match="Failed"):
        session.run('rmdir("inner")')
    session.run('rmdir("inner", true)')
    assert session.run('exists("inner")') is False


@pytest.mark.parametrize("name", ["/tmp/escaped.txt", "../engine.json", "../../x", "x/../../users.json"])
def test_writing_stays_inside_the_folder(session: Any, name: str) -> None:
    with pytest.raises(RuntimeError, match="outside"):
        session.run(f'saveTextFile("x", "{name}")')


def test_the_engines_own_records_are_not_read(session: Any, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="belongs to the engine"):
        session.run('file("../engine.json")')
    outside = tmp_path / "outside.csv"
    outside.write_text("a,b\n1,x\n")
    assert session.run(f'loadText("{outside}")').to_dict("list") == {"a": [1], "b": ["x"]}


def test_guests_read_no_files(connect: Connect) -> None:
    with pytest.raises(RuntimeError, match="log in"):
        connect(user=None).run('loadText("/etc/passwd")')


def test_the_server_describes_itself(session: Any) -> None:
    assert "embedded" in session.run("version()")
    assert session.run("license()")["authorization"] == "embedded"
    perf = session.run("rpc(getControllerAlias(), getClusterPerf)")
    assert perf["mode"].tolist() == [0]
    assert session.run("pnodeRun(getNodeAlias)")["Value"].tolist() == [session.run("getNodeAlias()")]
    assert session.run("getSessionMemoryStat()")["userId"].tolist().count("admin") >= 1
    assert session.run("mem().allocatedBytes") > 0
