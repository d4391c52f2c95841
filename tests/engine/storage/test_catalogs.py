"""Databases as schemas of catalogs."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import ScriptError

Engine = Any

SETUP = """
createCatalog("trading")
use catalog trading
create database stock partitioned by VALUE(1..6), engine='OLAP'
create table stock.quote (
    id INT,
    day DATE[comment="time_col", compress="delta"],
    value DOUBLE,
)
partitioned by id, comment="quotes"
stock.quote.append!(table(1 2 3 1 2 3 as id, 2023.01.01..2023.01.06 as day, 1.0 * 1..6 as value))
"""


def test_tables_by_their_names_in_a_catalog(engine: Engine) -> None:
    engine.run(SETUP)
    assert engine.run("exec sum(value) from trading.stock.quote") == "21"
    engine.run("update stock.quote set value = -1.0 where id = 2")
    engine.run("delete from TRADING.Stock.quote where id = 3")
    engine.run("insert into stock.quote values(1, 2024.01.01, 10.0)")
    assert engine.run("exec value from stock.quote where quote.id in 1 2") == "[1,4,10,-1,-1]"
    assert engine.run("exec q.value from trading.stock.quote q where q.id = 2") == "[-1,-1]"
    assert engine.run("exec comment from schema(stock.quote).colDefs") == '["","time_col",""]'
    assert engine.run("schema(stock.quote).tableComment") == "quotes"
    with pytest.raises(ScriptError):
        engine.run("stock = 1; select * from stock.quote")


def test_catalogs_outlive_the_process(engine: Engine) -> None:
    engine.run(SETUP)
    engine.run('renameCatalog("trading", "markets"); renameSchema("markets", "stock", "shares")')
    assert engine.run("getCurrentCatalog()") == "markets"
    engine.reopen()
    assert engine.run("exec count(*) from markets.shares.quote") == "6"
    assert engine.run('exec schema from getSchemaByCatalog("Markets")') == '["shares"]'
    with pytest.raises(ScriptError, match="catalog doesn't exist"):
        engine.run("create database other partitioned by VALUE(1..3)")


def test_dropping(engine: Engine) -> None:
    engine.run(SETUP)
    engine.run('database("dfs://db1", RANGE, 0 5 10); createSchema("trading", "dfs://db1", "other")')
    with pytest.raises(ScriptError, match="is in the catalog"):
        engine.run('createCatalog("second"); createSchema("second", "dfs://db1", "again")')
    engine.run("drop table stock.quote; drop table if exists stock.quote; drop table if exists none.quote")
    engine.run('drop database trading.stock; dropSchema("trading", "other")')
    assert engine.run('existsDatabase("dfs://db1")') == "1"
    assert engine.run("getClusterDFSDatabases()") == '["dfs://db1"]'
    engine.run('createSchema("trading", "dfs://db1", "other"); dropDatabase("dfs://db1")')
    assert engine.run('rows(getSchemaByCatalog("trading"))') == "0"
    assert engine.run("drop catalog trading; getAllCatalogs()") == '["second"]'


def test_rights_on_catalogs_and_schemas(engine: Engine) -> None:
    engine.run(SETUP)
    engine.run('createUser("bea", "secret1")')
    for script in ('createCatalog("x")', 'dropCatalog("trading")', 'dropSchema("trading", "stock")'):
        with pytest.raises(ScriptError, match="Not granted to manage"):
            engine.run(script, "bea")
    engine.run('deny("bea", SCHEMA_READ, "trading.stock"); grant("bea", CATALOG_READ, "trading")')
    assert engine.run("exec count(*) from trading.stock.quote", "bea") == "6"
    with pytest.raises(ScriptError, match="Not granted to add rows"):
        engine.run("insert into trading.stock.quote values(1, 2024.01.01, 1.0)", "bea")
    engine.run('grant("bea", TABLE_INSERT, "trading.stock.quote"); renameCatalog("trading", "t2")')
    engine.run("insert into t2.stock.quote values(1, 2024.01.01, 1.0)", "bea")
    engine.run('createCatalog("mine"); grant("bea", CATALOG_MANAGE, "mine")')
    with pytest.raises(ScriptError, match="Not granted to manage the database"):
        engine.run('createSchema("mine", "dfs://x", "x")'.replace("dfs://x", engine.node.databases.urls()[0]), "bea")
    engine.run('dropCatalog("t2"); createCatalog("t2")')
    assert "t2" not in engine.run('getUserAccess("bea")[`CATALOG_READ_allowed]')
