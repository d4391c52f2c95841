"""What tables there are, and what they look like."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.errors import (
    DolphinDBError,
    DolphinDBTimeoutError,
    DolphinDBUnavailableError,
    InvalidInputError,
    NotFoundError,
    TooManySessionsError,
)
from dolphin.environment import Environment
from dolphin.quoting import IDENTIFIER, QUALIFIED_NAME, identifier, quoted
from dolphin.sessions import Sessions
from dolphin.tables import ColumnDescription, Kind, TableDescription, TableSummary, role
from dolphin.types import is_null
from dolphin.values import Result, json_value

__all__ = ["Catalog", "ColumnDescription", "TableDescription", "TableSummary", "role"]

NO_ANSWER = (DolphinDBUnavailableError, DolphinDBTimeoutError, TooManySessionsError)
CACHE_SECONDS = 60.0
NAME_SECONDS = 15.0
DESCRIBED_TABLES = 100
SAMPLE_ROWS = 1000
LOAD_TABLE = re.compile(
    r"""loadTable\(\s*["'](?P<database>dfs://[^"'\\]+)["']\s*,\s*(["'](?P<quoted>[^"'\\]+)["']|`(?P<tick>\w+))\s*\)\s*\Z"""
)
DFS_PATH = re.compile(r"(?P<database>dfs://[^\"'\\\s]+)/(?P<table>[^/\"'\\\s]+)\Z")


class Catalog:
    """Tables and databases as a thread's session sees them, by documented functions only.

    What is stored is remembered for a minute; tables in memory are asked anew each time. What a user has no right to
    see is left out.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._cache: dict[tuple[str, str, str], tuple[float, Any]] = {}

    async def databases(self, environment: Environment, thread_id: str, *, refresh: bool = False) -> list[str]:
        """The paths of the stored databases, such as `dfs://trades`."""
        key = (environment.id, environment.user, "")
        found = self._remembered(key, refresh)
        if found is None:
            answers = await self._first_answer(
                environment, thread_id, ("getClusterDFSDatabases()", "getDFSDatabases()"), default=[]
            )
            found = sorted({str(item) for item in _listed(answers)})
            self._cache[key] = (time.monotonic(), found)
        return list(found)

    async def tables(
        self, environment: Environment, thread_id: str, database: str | None = None, *, refresh: bool = False
    ) -> list[TableSummary]:
        """The tables in memory (own and shared), or with `database` those stored in it."""
        if not database:
            return await self._memory_tables(environment, thread_id)
        key = (environment.id, environment.user, f"{database}/")
        found = self._remembered(key, refresh)
        if found is None:
            found = await self._stored_tables(environment, thread_id, database)
            self._cache[key] = (time.monotonic(), found)
        return list(found)

    async def describe(
        self, environment: Environment, thread_id: str, table: str, *, refresh: bool = False
    ) -> TableDescription:
        """A table by name, `dfs://database/table`, `loadTable("dfs://database", "table")` or `catalog.schema.table`.

        A bare name that is no table in memory is looked for in the stored databases. Raises NotFoundError with the
        names there are, InvalidInputError for text that cannot name a table.
        """
        summary = await self._resolve(environment, thread_id, table.strip())
        key = (environment.id, environment.user, summary.reference)
        found = self._remembered(key, refresh) if summary.kind == "dfs" else None
        if found is None:
            found = await self._described(environment, thread_id, summary)
            if summary.kind == "dfs":
                self._cache[key] = (time.monotonic(), found)
        assert isinstance(found, TableDescription)
        return found

    async def has_function(self, environment: Environment, thread_id: str, name: str) -> bool:
        """Whether the server, or the thread's session, has a function of this name."""
        try:
            return bool(
                await self._sessions.evaluate(
                    environment, thread_id, f'form(funcByName("{identifier(name)}")) >= 0', timeout=NAME_SECONDS
                )
            )
        except NO_ANSWER:
            raise
        except DolphinDBError:
            return False

    def _remembered(self, key: tuple[str, str, str], refresh: bool) -> Any:
        at, found = self._cache.get(key, (0.0, None))
        return found if not refresh and time.monotonic() - at < CACHE_SECONDS else None

    async def _first_answer(
        self, environment: Environment, thread_id: str, scripts: Sequence[str], *, default: Any
    ) -> Any:
        """The answer to the first script the server accepts: functions and rights differ by version and user."""
        for script in scripts:
            try:
                return await self._sessions.evaluate(environment, thread_id, script)
            except NO_ANSWER:
                raise
            except DolphinDBError:
                continue
        return default

    async def _memory_tables(self, environment: Environment, thread_id: str) -> list[TableSummary]:
        objects = await self._sessions.evaluate(
            environment, thread_id, "select name, form, rows, shared from objs(true)"
        )
        found: dict[str, TableSummary] = {}
        for name, form, rows, shared in objects[["name", "form", "rows", "shared"]].itertuples(index=False):
            if form == "TABLE" and IDENTIFIER.match(name) and not name.startswith("ddbAgent"):
                kind: Kind = "shared" if shared else "session"
                # A variable of the session hides a shared table of the same name.
                if name not in found or kind == "session":
                    found[name] = TableSummary(name, name, kind, None if is_null(rows) else int(rows))
        return await self._with_columns(environment, thread_id, list(found.values()))

    async def _stored_tables(self, environment: Environment, thread_id: str, database: str) -> list[TableSummary]:
        path = _database_path(database)
        answers = await self._first_answer(
            environment,
            thread_id,
            (f"getDFSTablesByDatabase({quoted(path)})", f"getTables(database({quoted(path)}))"),
            default=None,
        )
        if answers is None:
            raise NotFoundError(f"There is no database {path} that you may read.", "List the databases.")
        names = sorted({str(item).removeprefix(f"{path}/") for item in _listed(answers)})
        summaries = [_stored(path, name) for name in names]
        return await self._with_columns(environment, thread_id, summaries)

    async def _with_columns(
        self, environment: Environment, thread_id: str, summaries: list[TableSummary]
    ) -> list[TableSummary]:
        listed = []
        for position, summary in enumerate(summaries):
            definitions = None
            if position < DESCRIBED_TABLES:
                definitions = await self._first_answer(
                    environment, thread_id, (f"schema({summary.reference}).colDefs",), default=None
                )
            columns = () if definitions is None else tuple(f"{name} {kind}" for name, kind, _ in _columns(definitions))
            listed.append(TableSummary(summary.name, summary.reference, summary.kind, summary.rows, columns))
        return listed

    async def _resolve(self, environment: Environment, thread_id: str, table: str) -> TableSummary:
        match = LOAD_TABLE.match(table)
        if match:
            return _stored(match["database"], match["quoted"] or match["tick"])
        match = DFS_PATH.match(table)
        if match:
            return _stored(match["database"], match["table"])
        if not QUALIFIED_NAME.match(table):
            raise InvalidInputError(
                f"{table!r} does not name a table.", "Give a name, dfs://database/table or catalog.schema.table."
            )
        if "." in table:
            return TableSummary(table, table, "dfs")
        in_memory = await self._memory_tables(environment, thread_id)
        for summary in in_memory:
            if summary.name == table:
                return summary
        stored = []
        for database in await self.databases(environment, thread_id):
            try:
                stored += await self.tables(environment, thread_id, database)
            except NotFoundError:
                continue
        matches = [summary for summary in stored if summary.name == table]
        if len(matches) == 1:
            return matches[0]
        if matches:
            choices = ", ".join(summary.reference for summary in matches)
            raise NotFoundError(f"There are several tables {table}.", f"Give one of {choices}.")
        known = ", ".join([*(item.name for item in in_memory), *(item.reference for item in stored)][:20])
        raise NotFoundError(f"There is no table {table}.", f"There are: {known}." if known else "There are no tables.")

    async def _described(self, environment: Environment, thread_id: str, summary: TableSummary) -> TableDescription:
        reference = summary.reference
        try:
            definitions = await self._sessions.evaluate(environment, thread_id, f"schema({reference}).colDefs")
        except NO_ANSWER:
            raise
        except DolphinDBError as error:
            raise NotFoundError(
                f"Table {summary.name} cannot be described: {error.message}", "List the tables."
            ) from error
        rows = await self._first_answer(environment, thread_id, (f"exec count(*) from {reference}",), default=None)
        outline = await self._first_answer(environment, thread_id, (f"schema({reference})",), default={})
        sample = Result("NOTHING")
        try:
            script = f"select top {SAMPLE_ROWS} * from {reference}"  # noqa: S608
            sample = await self._sessions.read(environment, thread_id, script, row_limit=SAMPLE_ROWS)
        except NO_ANSWER:
            raise
        except DolphinDBError:
            # A user may see a table without the right to read it; the description stands without a sample.
            sample = Result("NOTHING")
        values = {column.name: column.values for column in sample.data} if sample.form == "TABLE" else {}
        return TableDescription(
            summary.name,
            reference,
            summary.kind,
            None if rows is None or is_null(rows) else int(rows),
            tuple(
                ColumnDescription(name, kind, role(name, kind, values.get(name)), comment)
                for name, kind, comment in _columns(definitions)
            ),
            _partition(outline),
            tuple(str(item) for item in _listed(outline.get("sortColumns"))),
            str(outline.get("engineType") or ""),
            sample,
        )


def _stored(database: str, table: str) -> TableSummary:
    return TableSummary(table, f"loadTable({quoted(database)}, {quoted(table)})", "dfs")


def _database_path(text: str) -> str:
    path = text.strip().rstrip("/")
    if not re.match(r"dfs://[^\"'\\\s]+\Z", path):
        raise InvalidInputError(f"{text!r} is not the path of a database.", "Write it like dfs://name.")
    return path


def _columns(definitions: Any) -> list[tuple[str, str, str]]:
    comments = definitions["comment"] if "comment" in definitions else [""] * len(definitions)
    scales = definitions["extra"] if "extra" in definitions else [None] * len(definitions)
    found = []
    for name, kind, scale, comment in zip(
        definitions["name"], definitions["typeString"], scales, comments, strict=True
    ):
        whole = (
            f"{kind}({int(scale)})" if kind.startswith("DECIMAL") and "(" not in kind and not is_null(scale) else kind
        )
        found.append((str(name), str(whole), "" if is_null(comment) else str(comment)))
    return found


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, str):
        return [value] if value else []
    return [item for item in value if not is_null(item) and item != ""]


def _partition(outline: Mapping[str, Any]) -> dict[str, Any] | None:
    columns = [str(item) for item in _listed(outline.get("partitionColumnName"))]
    if not columns:
        return None
    types = [str(item) for item in _listed(outline.get("partitionTypeName"))]
    scheme = outline.get("partitionSchema")
    schemes = list(scheme) if len(columns) > 1 and isinstance(scheme, list | tuple) else [scheme]
    shown = [_scheme_text(item) for item in schemes]
    return {
        column: " ".join(part for part in (kind, text) if part)
        for column, kind, text in zip(columns, types + [""] * len(columns), shown + [""] * len(columns), strict=False)
    }


def _scheme_text(scheme: Any) -> str:
    if scheme is None:
        return ""
    if not isinstance(scheme, list | tuple | np.ndarray):
        return str(json_value(scheme))
    items = [str(json_value(item)) for item in scheme]
    if len(items) > 6:
        items = [*items[:3], "…", *items[-2:], f"({len(items)} values)"]
    return "[" + ", ".join(items) + "]"
