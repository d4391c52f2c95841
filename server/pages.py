"""Pages of a table's rows, and how many rows there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.sql import SQL, Composable, Identifier

from core.postgres import Pool
from server.rules import Scope


@dataclass(frozen=True)
class Order:
    """By a column, and where it is equal by the key, so that pages never share a row."""

    column: str
    key: str
    descending: bool = False


async def page(
    pool: Pool, table: str, columns: Composable, scope: Scope, order: Order, limit: int, offset: int
) -> tuple[list[dict[str, Any]], bool]:
    """The rows from `offset` on, at most `limit`, and whether there are more."""
    values: Mapping[str, Any] = {**scope.values, "limit": limit + 1, "offset": offset}
    async with pool.connection() as held:
        cursor = await held.execute(
            SQL("SELECT {} FROM {} WHERE {} ORDER BY {} {}, {} LIMIT %(limit)s OFFSET %(offset)s").format(
                columns,
                Identifier(table),
                scope.where,
                Identifier(order.column),
                SQL("DESC" if order.descending else "ASC"),
                Identifier(order.key),
            ),
            values,
        )
        rows = await cursor.fetchall()
    return rows[:limit], len(rows) > limit


async def count(pool: Pool, table: str, scope: Scope) -> int:
    async with pool.connection() as held:
        cursor = await held.execute(
            SQL("SELECT count(*) AS n FROM {} WHERE {}").format(Identifier(table), scope.where), scope.values
        )
        row = await cursor.fetchone()
    assert row is not None
    return int(row["n"])
