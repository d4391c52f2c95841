from __future__ import annotations

import pytest
from langgraph.store.base import BaseStore
from langgraph.store.postgres.aio import AsyncPostgresStore

from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.postgres import Pool
from rag.memory import examples as memory_of_examples
from rag.memory import terminology as memory_of_terms
from rag.memory.examples import Examples, ForbiddenError
from rag.memory.recall import Recall
from rag.memory.terminology import Terminology
from server.store import OwnedStore

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
    index = (await Recall(store).of(ANNA)).examples
    assert [each.question for each in index.similar("show the vwap of each symbol")] == ["vwap by symbol"]
    assert [each.question for each in index.similar("股票最大回撤是多少")] == ["每只股票的最大回撤"]
    assert index.similar("weather in Paris") == []
    assert index.similar("average price by city") == []


async def test_of_two_like_questions_the_one_about_the_same_columns_comes_first(store: BaseStore):
    examples = Examples(store)
    await examples.save(ANNA, "daily average of a device", "one", schema="pumps device pressure")
    await examples.save(ANNA, "daily average of the device", "two", schema="readings device temperature")
    index = (await Recall(store).of(ANNA)).examples
    for schema, first in (("readings temperature", "two"), ("pumps pressure", "one")):
        assert index.similar("daily average by device", schema=schema)[0].script == first
    assert len(index.similar("daily average by device", count=1)) == 1


async def test_a_change_by_another_process_is_seen_at_once(store: BaseStore, pool: Pool):
    here, there = Recall(store), AsyncPostgresStore(pool)
    assert (await here.of(BEN)).terms == {}
    shared = await Examples(there).save(ANNA, "vwap by symbol", "select 1", shared=True, admin=True)
    await Terminology(there).define(BEN, "sales", "net amount")
    memory = await here.of(BEN)
    assert memory.terms == {"sales": "net amount"}
    assert list(memory.examples.examples) == [shared.id]
    assert await here.of(BEN) is memory
    await Examples(there).delete(ANNA, shared.id, admin=True)
    await Terminology(there).forget(BEN, "SALES")
    memory = await here.of(BEN)
    assert memory.terms == {}
    assert memory.examples.examples == {}


async def test_the_http_store_reaches_no_memory_whatever_a_user_is_called(store: BaseStore):
    await Examples(store).save(ANNA, "q", "s", shared=True, admin=True)
    await Terminology(store).define(ANNA, "sales", "net amount")
    for name in ("examples", "terminology", "%memory", "%", "shared", ANNA, ""):
        for prefix in ((), ("examples",), ("terminology",), ("user",), ("shared",), ("%memory",)):
            assert await OwnedStore(store, name).asearch(prefix, limit=100) == []
        assert await OwnedStore(store, name).alist_namespaces() == []


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
        await examples.edit(ANNA, first.id, script=" ")
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
    for forbidden in (
        examples.delete(ANNA, shared.id),
        examples.edit(ANNA, shared.id, script="other"),
        examples.save(ANNA, "q", "other"),
    ):
        with pytest.raises(ForbiddenError):
            await forbidden
    assert (await examples.get(BEN, shared.id)).script == "s"
    own = await examples.save(ANNA, "r", "s")
    with pytest.raises(InvalidInputError):
        await examples.edit(ANNA, own.id, shared=True)
    await examples.edit(ANNA, own.id, shared=True, admin=True)
    assert len(await examples.list(BEN)) == 2
    assert len(await examples.list(ANNA)) == 2
    await examples.edit(BEN, own.id, shared=False, admin=True)
    assert [each.id for each in await examples.list(BEN)] == [shared.id]
    assert len(await examples.list(ANNA)) == 2


async def test_what_cannot_be_kept_is_refused(store: BaseStore, monkeypatch: pytest.MonkeyPatch):
    for question, script in ((" ", "s"), ("q", ""), ("q" * 2_001, "s"), ("q", "s\0"), ("q\ud800", "s")):
        with pytest.raises(InvalidInputError):
            await Examples(store).save(ANNA, question, script)
    for term, meaning in ((" ", "m"), ("t", ""), ("t" * 61, "m"), ("t", "m" * 301)):
        with pytest.raises(InvalidInputError):
            await Terminology(store).define(ANNA, term, meaning)
    monkeypatch.setattr(memory_of_examples, "MAX_EXAMPLES", 2)
    monkeypatch.setattr(memory_of_terms, "MAX_TERMS", 1)
    for question in ("one", "two"):
        await Examples(store).save(ANNA, question, "s")
    await Examples(store).save(ANNA, "two", "again")
    with pytest.raises(ConflictError):
        await Examples(store).save(ANNA, "three", "s")
    await Terminology(store).define(ANNA, "sales", "net")
    with pytest.raises(ConflictError):
        await Terminology(store).define(ANNA, "other", "net")


async def test_terms_are_defined_redefined_and_forgotten(store: BaseStore):
    terminology = Terminology(store)
    first = await terminology.define(ANNA, " sales ", "net\n amount")
    assert [(each.term, each.meaning) for each in await terminology.list(ANNA)] == [("sales", "net amount")]
    assert await terminology.list(BEN) == []
    newer = await terminology.define(ANNA, "Sales", "gross amount")
    assert newer.id == first.id
    assert [(each.term, each.meaning) for each in await terminology.list(ANNA)] == [("Sales", "gross amount")]
    with pytest.raises(NotFoundError):
        await terminology.forget(BEN, first.id)
    await terminology.forget(ANNA, first.id)
    assert await terminology.list(ANNA) == []
    with pytest.raises(NotFoundError):
        await terminology.forget(ANNA, "sales")
