"""`ddb-agent memory`: what the agent was told to remember, looked at and changed without a model."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from langgraph.store.base import BaseStore
from langgraph.store.postgres.aio import AsyncPostgresStore
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from core.errors import InvalidInputError, NotFoundError
from core.migrations import migrate
from core.postgres import database_url, open_pool
from core.settings import Settings
from rag.memory.examples import Example, Examples
from rag.memory.terminology import Terminology
from terminal.ask import LOCAL_USER
from terminal.console import TextConsole, script_block, visible
from terminal.review import edit

FIELDS = ("question", "script", "schema")
SHOWN_SCRIPT = 60


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[BaseStore]:
    async with open_pool(partial(database_url, settings), max_size=2) as pool:
        await migrate(pool)
        yield AsyncPostgresStore(pool)


async def list_examples(settings: Settings, *, as_json: bool) -> None:
    async with _opened(settings) as store:
        if as_json:
            _print_json([asdict(each) for each in await Examples(store).list(LOCAL_USER)])
        else:
            await show_examples(store, TextConsole())


async def show_example(settings: Settings, reference: str, *, as_json: bool) -> None:
    async with _opened(settings) as store:
        found = await _example(store, reference)
    if as_json:
        _print_json(asdict(found))
        return
    console = TextConsole()
    for name in ("id", "question", "schema", "saved_at"):
        console.print(f"{name}: {getattr(found, name)}", markup=False, highlight=False, soft_wrap=True)
    if found.shared:
        console.print(f"shared by {found.owner}", markup=False, highlight=False)
    console.print(script_block(found.script))


async def edit_example(settings: Settings, reference: str, changes: dict[str, str | None]) -> None:
    """Changes what is given; with nothing given, all of it in $EDITOR."""
    given = {name: value for name, value in changes.items() if value is not None}
    async with _opened(settings) as store:
        found = await _example(store, reference)
        if not given:
            held = {name: getattr(found, name) for name in FIELDS}
            # Under another name than "script", so that all of it is edited and not the script alone.
            edited = edit("example", {"example": held})
            if edited is None:
                TextConsole().print("Nothing was changed.")
                return
            given = _fields(edited.get("example"), "What was edited")
        kept = await Examples(store).edit(
            LOCAL_USER,
            found.id,
            question=given.get("question"),
            script=given.get("script"),
            schema=given.get("schema"),
            admin=True,
        )
    TextConsole().print(f"kept {kept.id}: {kept.question}", markup=False, highlight=False, soft_wrap=True)


async def delete_example(settings: Settings, reference: str) -> None:
    async with _opened(settings) as store:
        found = await _example(store, reference)
        await Examples(store).delete(LOCAL_USER, found.id, admin=True)
    TextConsole().print(f"deleted {found.id}", markup=False, highlight=False)


async def share_example(settings: Settings, reference: str, *, shared: bool) -> None:
    """Who works at this machine administers what its users share."""
    async with _opened(settings) as store:
        found = await _example(store, reference)
        await Examples(store).edit(LOCAL_USER, found.id, shared=shared, admin=True)
    said = "shared with every user" if shared else "yours alone again"
    TextConsole().print(f"{found.id} is {said}", markup=False, highlight=False)


async def export_examples(settings: Settings) -> None:
    """One JSON object a line, as `import_examples` reads them."""
    async with _opened(settings) as store:
        for each in await Examples(store).list(LOCAL_USER):
            sys.stdout.write(json.dumps({name: getattr(each, name) for name in FIELDS}, ensure_ascii=False) + "\n")


async def import_examples(settings: Settings, path: Path) -> None:
    """All lines are checked before the first is kept. A question that is there already gets the new script."""
    read = await asyncio.to_thread(_read, path)
    async with _opened(settings) as store:
        for fields in read:
            await Examples(store).save(
                LOCAL_USER, fields["question"], fields["script"], schema=fields["schema"], admin=True
            )
    TextConsole().print(f"{len(read)} examples imported")


async def list_terms(settings: Settings, *, as_json: bool) -> None:
    async with _opened(settings) as store:
        if as_json:
            _print_json([asdict(each) for each in await Terminology(store).list(LOCAL_USER)])
        else:
            await terms_command(store, "", TextConsole())


async def set_term(settings: Settings, term: str, meaning: str) -> None:
    async with _opened(settings) as store:
        await _define(store, term, meaning, TextConsole())


async def delete_term(settings: Settings, term: str) -> None:
    async with _opened(settings) as store:
        await _forget(store, term, TextConsole())


async def export_terms(settings: Settings) -> None:
    async with _opened(settings) as store:
        for each in await Terminology(store).list(LOCAL_USER):
            sys.stdout.write(json.dumps({"term": each.term, "meaning": each.meaning}, ensure_ascii=False) + "\n")


async def show_examples(store: BaseStore, console: Console) -> None:
    found = await Examples(store).list(LOCAL_USER)
    if not found:
        console.print("There are no examples yet: /remember in a chat keeps the last question and its script.")
        return
    table = Table(Column("id", no_wrap=True), "question", "script", "whose")
    for each in found:
        script = " ".join(each.script.split())
        short = script if len(script) <= SHOWN_SCRIPT else f"{script[:SHOWN_SCRIPT]}…"
        whose = f"shared by {each.owner}" if each.shared else "yours"
        table.add_row(each.id[:8], *(Text(visible(text)) for text in (each.question, short, whose)))
    console.print(table)


async def terms_command(store: BaseStore, text: str, console: Console) -> None:
    """Nothing lists the terms, `WORD = MEANING` keeps one, `WORD =` forgets one."""
    terminology = Terminology(store)
    word, sign, meaning = (part.strip() for part in text.partition("="))
    if sign and not meaning:
        await _forget(store, word, console)
    elif sign:
        await _define(store, word, meaning, console)
    elif word:
        found = await terminology.get(LOCAL_USER, word)
        console.print(f"{found.term}: {found.meaning}", markup=False, highlight=False, soft_wrap=True)
    else:
        terms = await terminology.list(LOCAL_USER)
        for each in terms:
            console.print(f"{each.term}: {each.meaning}", markup=False, highlight=False, soft_wrap=True)
        if not terms:
            console.print("No word has a meaning of its own yet: in a chat, /terms sales = net amount gives it one.")


async def _define(store: BaseStore, term: str, meaning: str, console: Console) -> None:
    kept = await Terminology(store).define(LOCAL_USER, term, meaning)
    console.print(f"{kept.term}: {kept.meaning}", markup=False, highlight=False, soft_wrap=True)


async def _forget(store: BaseStore, term: str, console: Console) -> None:
    gone = await Terminology(store).forget(LOCAL_USER, term)
    console.print(f"forgotten: {gone.term}", markup=False, highlight=False, soft_wrap=True)


async def _example(store: BaseStore, reference: str) -> Example:
    """By its id, or by as much of it as tells it from all others."""
    found = [each for each in await Examples(store).list(LOCAL_USER) if each.id.startswith(reference)]
    if len(found) != 1:
        raise NotFoundError(
            f"There are {len(found)} examples whose id begins with {reference!r}.",
            "List them to see their ids: ddb-agent memory examples list.",
        )
    return found[0]


def _read(path: Path) -> list[dict[str, str]]:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path} cannot be read: {error}.", "Give a file that export wrote.") from None
    read = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                read.append(_fields(json.loads(line), f"Line {number}"))
            except json.JSONDecodeError as error:
                raise InvalidInputError(f"Line {number} is no JSON: {error}.", "Nothing was imported.") from None
    return read


def _fields(given: Any, where: str) -> dict[str, str]:
    if not isinstance(given, dict) or not all(isinstance(given.get(name, ""), str) for name in FIELDS):
        raise InvalidInputError(f"{where} is no example.", "It has the texts question, script and, if wanted, schema.")
    fields = {name: str(given.get(name, "")) for name in FIELDS}
    if not fields["question"].strip() or not fields["script"].strip():
        raise InvalidInputError(f"{where} has no question or no script.", "Give both.")
    return fields


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
