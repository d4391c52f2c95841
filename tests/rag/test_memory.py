from __future__ import annotations

import pytest
from langgraph.store.base import BaseStore
from langgraph.store.postgres.aio import AsyncPostgresStore

from core.errors import InvalidInputError, NotFoundError
from core.postgres import Pool
from rag.memory.examples import Examples
from rag.memory.terminology import Terminology

ANNA, BEN = "anna@example.com", "ben@example.com"


@pytest.fixture
async def store(pool: Pool) -> BaseStore:
    return AsyncPostgresStore(pool)


@pytest.fixture(autouse=True)
async def clean(store: BaseStore):
    yield
    for place in await store.alist_namespaces(limit=100):
        for item in await store.asearch(place, limit=1000):
            await store.adelete(place, item.key)


async def test_examples_are_found_by_likeness_of_question(store: BaseStore):
    examples = Examples(store)
    await examples.save(
        ANNA, "vwap by symbol", "select wavg(price, qty) from trades group by sym", schema="trades price qty"
    )
    await examples.save(ANNA, "每只股票的最大回撤", "select maxDrawdown(nav) from funds group by sym")
    await examples.save(ANNA, "temperature by device", "select avg(temperature) from readings group by device")
    assert [each.question for each in await examples.similar(ANNA, "show the vwap of each symbol")] == [
        "vwap by symbol"
    ]
    assert [each.question for each in await examples.similar(ANNA, "股票最大回撤是多少")] == ["每只股票的最大回撤"]
    assert await examples.similar(ANNA, "weather in Paris") == []


async def test_examples_belong_to_their_owner(store: BaseStore):
    examples = Examples(store)
    mine = await examples.save(ANNA, "vwap by symbol", "select 1")
    assert await examples.list(BEN) == []
    for call in (examples.get(BEN, mine.id), examples.delete(BEN, mine.id), examples.edit(BEN, mine.id, script="x")):
        with pytest.raises(NotFoundError):
            await call
    assert (await examples.get(ANNA, mine.id)).script == "select 1"


async def test_examples_are_edited_replaced_and_deleted(store: BaseStore):
    examples = Examples(store)
    first = await examples.save(ANNA, "q", "one")
    again = await examples.save(ANNA, "q", "two")
    assert first.id == again.id
    assert [each.script for each in await examples.list(ANNA)] == ["two"]
    await examples.edit(ANNA, first.id, script="three")
    assert (await examples.get(ANNA, first.id)).script == "three"
    with pytest.raises(InvalidInputError):
        await examples.edit(ANNA, first.id, saved_at="now")
    await examples.delete(ANNA, first.id)
    assert await examples.list(ANNA) == []


async def test_only_an_admin_shares(store: BaseStore):
    examples = Examples(store)
    with pytest.raises(InvalidInputError):
        await examples.save(ANNA, "q", "s", shared=True)
    shared = await examples.save(ANNA, "q", "s", shared=True, admin=True)
    assert [each.id for each in await examples.list(BEN)] == [shared.id]
    with pytest.raises(NotFoundError):
        await examples.delete(BEN, shared.id)
    own = await examples.save(ANNA, "r", "s")
    with pytest.raises(InvalidInputError):
        await examples.edit(ANNA, own.id, shared=True)
    await examples.edit(ANNA, own.id, shared=True, admin=True)
    assert len(await examples.list(BEN)) == 2
    assert len(await examples.list(ANNA)) == 2


async def test_empty_examples_are_refused(store: BaseStore):
    with pytest.raises(InvalidInputError):
        await Examples(store).save(ANNA, " ", "s")


async def test_a_term_counts_once_it_is_confirmed(store: BaseStore):
    terminology = Terminology(store)
    proposed = await terminology.propose(ANNA, "sales", "net amount")
    assert await terminology.meanings(ANNA) == {}
    confirmed = await terminology.confirm(ANNA, proposed.id)
    assert await terminology.meanings(ANNA) == {"sales": "net amount"}
    assert await terminology.meanings(BEN) == {}
    other = await terminology.propose(ANNA, "Sales", "gross amount")
    assert await terminology.meanings(ANNA) == {"sales": "net amount"}
    await terminology.forget(ANNA, other.id)
    assert await terminology.meanings(ANNA) == {"sales": "net amount"}
    newer = await terminology.propose(ANNA, "sales", "gross amount")
    await terminology.confirm(ANNA, newer.id)
    assert await terminology.meanings(ANNA) == {"sales": "gross amount"}
    await terminology.forget(ANNA, confirmed.id)
    assert await terminology.list(ANNA) == []
    with pytest.raises(NotFoundError):
        await terminology.confirm(ANNA, "missing")
