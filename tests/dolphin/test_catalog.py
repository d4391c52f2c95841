"""The catalog on a real engine process."""

from __future__ import annotations

import json
from uuid import uuid4

import numpy as np
import pytest

from core.errors import InvalidInputError, NotFoundError
from dolphin.catalog import Catalog, role
from dolphin.environment import Environment
from dolphin.sessions import LOST, Sessions

TRADES = """
n = 1000
trades = table(take(`A`B`C, n) as sym, 2024.01.01T09:30:00.000 + 1..n as ts, rand(100.0, n) as price,
    take(1..500, n) as qty, take([true, false], n) as buy)
"""


def stored(name: str) -> str:
    return f"""
        t = table(take(2024.01.01 2024.01.02 2024.01.03, 30) as date, take(`A`B, 30) as sym, rand(1.0, 30) as price)
        db = database("dfs://{name}", VALUE, 2024.01.01..2024.01.03)
        pt = db.createPartitionedTable(t, `quotes_{name}, `date)
        pt.append!(t)
    """


@pytest.fixture
def catalog(sessions: Sessions) -> Catalog:
    return Catalog(sessions)


async def test_tables_in_memory(catalog: Catalog, sessions: Sessions, environment: Environment, thread_id: str) -> None:
    await sessions.run(environment, thread_id, TRADES + "x = 1\nv = 1..10")
    tables = await catalog.tables(environment, thread_id)
    trades = next(table for table in tables if table.name == "trades")
    assert {table.name for table in tables if table.kind == "session"} == {"trades"}
    assert trades.to_json() == {
        "name": "trades",
        "reference": "trades",
        "kind": "session",
        "rows": 1000,
        "columns": ["sym STRING", "ts TIMESTAMP", "price DOUBLE", "qty INT", "buy BOOL"],
    }


async def test_shared_tables_are_seen_by_other_threads(
    catalog: Catalog, sessions: Sessions, environment: Environment, thread_id: str
) -> None:
    name = f"shared_{uuid4().hex}"
    await sessions.run(environment, thread_id, f"t = table(1..3 as a)\nshare t as {name}")
    seen = {table.name: table.kind for table in await catalog.tables(environment, f"{thread_id}-other")}
    assert seen[name] == "shared"
    description = await catalog.describe(environment, f"{thread_id}-other", name)
    assert (description.kind, description.rows) == ("shared", 3)
    await sessions.run(environment, thread_id, f"undef(`{name}, SHARED)")


async def test_a_table_is_described(
    catalog: Catalog, sessions: Sessions, environment: Environment, thread_id: str
) -> None:
    await sessions.run(environment, thread_id, TRADES)
    description = await catalog.describe(environment, thread_id, "trades")
    assert {column.name: column.role for column in description.columns} == {
        "sym": "dimension",
        "ts": "time",
        "price": "measure",
        "qty": "measure",
        "buy": "dimension",
    }
    assert description.rows == 1000
    document = description.to_json()
    json.dumps(document)
    assert len(document["sample"]) == 5
    assert document["sample"][0]["ts"] == "2024.01.01T09:30:00.001"
    assert description.text.startswith(
        "table trades: session, 1000 rows; in scripts: trades\n- sym STRING (dimension)\n"
    )
    assert "| A | 2024.01.01T09:30:00.001 |" in description.text


async def test_a_session_table_is_asked_anew_each_time(
    catalog: Catalog, sessions: Sessions, environment: Environment, thread_id: str
) -> None:
    await sessions.run(environment, thread_id, "t = table(1..3 as a)")
    assert (await catalog.describe(environment, thread_id, "t")).rows == 3
    await sessions.run(environment, thread_id, "t = table(1..7 as b)")
    description = await catalog.describe(environment, thread_id, "t")
    assert (description.rows, description.columns[0].name) == (7, "b")


async def test_stored_tables(catalog: Catalog, sessions: Sessions, environment: Environment, thread_id: str) -> None:
    name = f"db{uuid4().hex[:8]}"
    await sessions.run(environment, thread_id, stored(name))
    assert f"dfs://{name}" in await catalog.databases(environment, thread_id)
    tables = await catalog.tables(environment, thread_id, f"dfs://{name}")
    assert [table.name for table in tables] == [f"quotes_{name}"]
    reference = f'loadTable("dfs://{name}", "quotes_{name}")'
    assert (tables[0].reference, tables[0].columns) == (reference, ("date DATE", "sym STRING", "price DOUBLE"))
    for asked in (
        reference,
        f"dfs://{name}/quotes_{name}",
        f"quotes_{name}",
        f"loadTable('dfs://{name}', `quotes_{name})",
    ):
        description = await catalog.describe(environment, thread_id, asked)
        assert (description.reference, description.kind, description.rows) == (reference, "dfs", 30)
        assert description.partition is not None
        assert description.partition["date"].startswith("VALUE")
    assert "partitioned by date VALUE" in description.text


async def test_stored_tables_are_remembered_until_refreshed(
    catalog: Catalog, sessions: Sessions, environment: Environment, thread_id: str
) -> None:
    before = await catalog.databases(environment, thread_id)
    name = f"db{uuid4().hex[:8]}"
    await sessions.run(environment, thread_id, stored(name))
    assert await catalog.databases(environment, thread_id) == before
    assert f"dfs://{name}" in await catalog.databases(environment, thread_id, refresh=True)


async def test_an_unknown_table_is_answered_with_those_there_are(
    catalog: Catalog, sessions: Sessions, environment: Environment, thread_id: str
) -> None:
    await sessions.run(environment, thread_id, TRADES)
    with pytest.raises(NotFoundError, match=r"no table nothing.*trades"):
        await catalog.describe(environment, thread_id, "nothing")
    with pytest.raises(NotFoundError):
        await catalog.describe(environment, thread_id, "dfs://nowhere/nothing")
    with pytest.raises(NotFoundError):
        await catalog.tables(environment, thread_id, "dfs://nowhere")


@pytest.mark.parametrize(
    "table",
    [
        "",
        "t; dropDatabase(`x)",
        'loadTable("dfs://x", "t"); undef all',
        'loadTable("dfs://x", "t" + shell("ls"))',
        "loadTable(f(), `t)",
        "(select * from t)",
        'dfs://x/t"); undef all; ("',
        "a.b.c.d",
        "t`x",
    ],
)
async def test_text_that_is_no_table_never_reaches_the_server(
    catalog: Catalog, sessions: Sessions, environment: Environment, thread_id: str, table: str
) -> None:
    with pytest.raises(InvalidInputError):
        await catalog.describe(environment, thread_id, table)
    assert sessions.open_count == 0


@pytest.mark.parametrize("database", ['dfs://x"); undef all; ("', "x", "file:///etc", "dfs://a b"])
async def test_a_database_path_is_checked(
    catalog: Catalog, environment: Environment, thread_id: str, database: str
) -> None:
    with pytest.raises(InvalidInputError):
        await catalog.tables(environment, thread_id, database)


async def test_looking_does_not_use_up_a_notice(catalog: Catalog, environment: Environment, thread_id: str) -> None:
    sessions = Sessions(max_sessions=1)
    catalog = Catalog(sessions)
    try:
        await sessions.run(environment, thread_id, "t = table(1..3 as a)")
        await sessions.run(environment, f"{thread_id}-other", "1")
        await catalog.tables(environment, thread_id)
        assert (await sessions.run(environment, thread_id, "1")).notice == LOST
    finally:
        await sessions.aclose()


@pytest.mark.parametrize(
    ("name", "kind", "values", "expected"),
    [
        ("ts", "NANOTIMESTAMP", None, "time"),
        ("month", "MONTH", None, "time"),
        ("sym", "SYMBOL", None, "dimension"),
        ("ok", "BOOL", None, "dimension"),
        ("uid", "UUID", None, "dimension"),
        ("price", "DECIMAL64(4)", None, "measure"),
        ("price", "DOUBLE", [1.0] * 100, "measure"),
        ("deviceId", "INT", None, "dimension"),
        ("grade", "INT", [1, 2, 3] * 100, "dimension"),
        ("qty", "INT", list(range(300)), "measure"),
        ("qty", "LONG", [1, 2, 3], "measure"),
        ("valid", "LONG", list(range(300)), "measure"),
    ],
)
def test_roles(name: str, kind: str, values: list[object] | None, expected: str) -> None:
    assert role(name, kind, None if values is None else np.array(values)) == expected
