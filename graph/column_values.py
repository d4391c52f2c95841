"""What the text columns of the tables in question hold, so that a question's words can be matched to it."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Sequence

from core.errors import DolphinDBError, NotFoundError, UserError
from dolphin.catalog import Catalog, TableSummary
from dolphin.environment import Environment
from dolphin.quoting import IDENTIFIER
from dolphin.sessions import Sessions
from dolphin.types import STRINGS, base_type
from graph.state import Pin
from rag.analysis import STOPWORDS
from rag.rewriting.values import EVERYDAY, WORD, Values

log = logging.getLogger(__name__)

SECONDS = 2.0
KEPT_SECONDS = 60.0
KEPT_TABLES = 200
TABLES, COLUMNS, DATABASES = 3, 4, 10
SCANNED_ROWS = 100_000
VALUES = 1_000
Key = tuple[str, ...]


class ColumnValues:
    """Asks DolphinDB, within SECONDS, and keeps what it said for a minute.

    Only tables that the question or a pin names are looked at, or those that have a text column which the question
    names; of a large or stored table only its first rows.
    """

    def __init__(self, catalog: Catalog, sessions: Sessions) -> None:
        self._catalog = catalog
        self._sessions = sessions
        self._kept: OrderedDict[Key, tuple[float, list[Values]]] = OrderedDict()

    async def of(self, environment: Environment, session: str, question: str, pins: Sequence[Pin]) -> list[Values]:
        """Empty when nothing is in question, or DolphinDB does not answer in time."""
        try:
            async with asyncio.timeout(SECONDS):
                found: list[Values] = []
                for table in (await self._tables(environment, session, question, pins))[:TABLES]:
                    found += await self._of_table(environment, session, table)
                return found
        except TimeoutError:
            log.info("the values of columns were not there within %g s", SECONDS)
        except UserError as error:
            log.info("the values of columns cannot be read: %s", error)
        return []

    async def _tables(
        self, environment: Environment, session: str, question: str, pins: Sequence[Pin]
    ) -> list[TableSummary]:
        known = await self._catalog.tables(environment, session)
        text = " ".join([question, *(pin["name"] for pin in pins if pin["kind"] == "table")])
        if named := [table for table in known if mentions(text, table.name)]:
            return named
        for database in (await self._catalog.databases(environment, session))[:DATABASES]:
            try:
                known += await self._catalog.tables(environment, session, database)
            except NotFoundError:
                continue
        named = [table for table in known if mentions(text, table.name)]
        return named or [table for table in known if any(mentions(question, name) for name in text_columns(table))]

    async def _of_table(self, environment: Environment, session: str, table: TableSummary) -> list[Values]:
        own = session if table.kind == "session" else ""
        key = (environment.id, environment.user, own, table.reference, str(table.rows), *table.columns)
        kept = self._kept.get(key)
        if kept is not None and time.monotonic() - kept[0] < KEPT_SECONDS:
            return kept[1]
        found = await self._asked(environment, session, table)
        self._kept[key] = (time.monotonic(), found)
        while len(self._kept) > KEPT_TABLES:
            self._kept.popitem(last=False)
        return found

    async def _asked(self, environment: Environment, session: str, table: TableSummary) -> list[Values]:
        columns = text_columns(table)[:COLUMNS]
        if not columns:
            return []
        rows = f"(select top {SCANNED_ROWS} {', '.join(columns)} from {table.reference})"  # noqa: S608
        names = frozenset([table.name, *(name.partition(" ")[0] for name in table.columns)])
        found = []
        try:
            count = int(await self._sessions.evaluate(environment, session, f"exec count(*) from {rows}"))
            for column in columns:
                groups = f"(select count(*) from {rows} group by {column})"  # noqa: S608
                script = f"exec top {VALUES + 1} {column} from {groups}"
                values = await self._sessions.evaluate(environment, session, script, timeout=SECONDS)
                texts = frozenset(value for value in values if isinstance(value, str) and value)
                complete = count < SCANNED_ROWS and len(texts) <= VALUES
                found.append(Values(column, texts, complete, names))
        except DolphinDBError as error:
            log.info("the values of %s cannot be read: %s", table.name, error)
        return found


def worth_asking(question: str, pins: Sequence[Pin]) -> bool:
    """Whether the question can name a value: it has a word that may be one, beside the name of a table."""
    words = {match[0].lower().rstrip(".-_") for match in WORD.finditer(question)} - STOPWORDS
    return bool(words - EVERYDAY) and (len(words) > 1 or any(pin["kind"] == "table" for pin in pins))


def text_columns(table: TableSummary) -> list[str]:
    names = (column.partition(" ") for column in table.columns)
    return [name for name, _, kind in names if base_type(kind) in STRINGS and IDENTIFIER.match(name)]


def mentions(text: str, name: str) -> bool:
    return re.search(rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])", text, re.IGNORECASE) is not None
