"""Tools that look at what data there is."""

from __future__ import annotations

import json

from pydantic import BaseModel, Field

from dolphin.catalog import Catalog
from dolphin.sessions import LOST, Sessions
from graph.tools.base import Tool, ToolResult, ToolScope

LISTED_DATABASES = 20


class ListTables(BaseModel):
    """List the tables you can query: in-memory tables of this thread, shared tables and stored tables, with their
    columns and row counts, and the databases."""

    database: str = Field(default="", description='Only the tables of this database, for example "dfs://market".')


class DescribeTable(BaseModel):
    """Describe one table: how to refer to it in a script, its columns with types and roles, row count, partitioning and
    a few sample rows."""

    table: str = Field(
        description='A table name or reference, for example trades or loadTable("dfs://market", "trades").'
    )


class InspectDatabase(BaseModel):
    """Describe a stored database: its partition scheme, storage engine and tables."""

    database: str = Field(description='The path of the database, for example "dfs://market".')


def catalog_tools(catalog: Catalog, sessions: Sessions) -> list[Tool]:
    async def list_tables(arguments: ListTables, scope: ToolScope) -> ToolResult:
        environment, thread = await scope.environment(), scope.thread_id
        lost = scope.continued and not sessions.has_session(thread, environment.id)
        databases = await catalog.databases(environment, thread, refresh=True)
        tables = []
        if not arguments.database:
            tables.extend(await catalog.tables(environment, thread))
        for database in [arguments.database] if arguments.database else databases[:LISTED_DATABASES]:
            tables.extend(await catalog.tables(environment, thread, database, refresh=True))
        listed: dict[str, object] = {"tables": [table.to_json() for table in tables], "databases": databases}
        return _json({**listed, "notice": LOST} if lost else listed)

    async def describe_table(arguments: DescribeTable, scope: ToolScope) -> ToolResult:
        table = await catalog.describe(await scope.environment(), scope.thread_id, arguments.table, refresh=True)
        return _json(table.to_json())

    async def inspect_database(arguments: InspectDatabase, scope: ToolScope) -> ToolResult:
        environment, thread = await scope.environment(), scope.thread_id
        tables = await catalog.tables(environment, thread, arguments.database, refresh=True)
        described = await catalog.describe(environment, thread, tables[0].reference) if tables else None
        return _json(
            {
                "database": arguments.database,
                "engine": described.engine if described else "",
                "partition": described.partition if described else None,
                "tables": [table.to_json() for table in tables],
            }
        )

    return [
        Tool("list_tables", ListTables, list_tables),
        Tool("describe_table", DescribeTable, describe_table),
        Tool("inspect_database", InspectDatabase, inspect_database),
    ]


def _json(value: dict[str, object]) -> ToolResult:
    return ToolResult(json.dumps(value, ensure_ascii=False, default=str))
