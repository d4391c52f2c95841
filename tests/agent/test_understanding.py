"""Questions made explicit before the model sees them: shown, carried by the answer, undone, switched off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from agent.driver import Conversation, conversation, done, run
from openai_server.server import ScriptedOpenAI
from openai_server.steps import Text, ToolCalls

from core.errors import ConfigurationError, InvalidInputError
from core.settings import load_settings
from graph.host import Host, open_deps
from graph.state import Pin
from rag.memory.terminology import Terminology

# A Wednesday, in the evening of Shanghai and the morning of New York.
NOW = datetime(2024, 5, 15, 23, 30, tzinfo=ZoneInfo("Asia/Shanghai"))
EXPLICIT = "(Made explicit: "


@pytest.fixture
def clocked(host: Host) -> Host:
    return at(host, NOW)


def at(host: Host, now: datetime) -> Host:
    return Host(host.settings, replace(host.deps, now=lambda: now), host.pool, host.threads)


def name() -> str:
    """A user nobody else is in this database."""
    return f"user-{uuid4().hex[:8]}"


def sent(server: ScriptedOpenAI, number: int = -1) -> str:
    """The last thing a person said, as the model was told it."""
    said = [message["content"] for message in server.requests[number].messages if message["role"] == "user"]
    return str(said[-1])


async def shared(talk: Conversation, script: str) -> None:
    environment = await talk.host.deps.environment("local", "default")
    await talk.host.deps.sessions.run(environment, "setup", script, timeout=10)


@pytest.fixture
async def cities(clocked: Host) -> AsyncIterator[str]:
    """A shared table of readings in Shanghai, Zurich and New York."""
    table = f"readings_{uuid4().hex[:8]}"
    environment = await clocked.deps.environment("local", "default")
    make = 'share table(["Shanghai", "Zurich", "Shanghai", "New York"] as city, 1.0 2.0 3.0 4.0 as level)'
    await clocked.deps.sessions.run(environment, "setup", f"{make} as {table}; 1", timeout=10)
    yield table
    await clocked.deps.sessions.run(environment, "setup", f"undef(`{table}, SHARED); 1", timeout=10)


async def test_a_time_is_made_explicit_shown_and_carried_by_the_answer(
    clocked: Host, scripted_openai: ScriptedOpenAI
) -> None:
    scripted_openai.add(ToolCalls(run("42")), done("42"))
    talk = await conversation(clocked, time_zone="Asia/Shanghai")
    events = await talk.events(text="total volume last month")
    explicit = "total volume from 2024.04.01 to 2024.04.30"
    change = {"kind": "time", "original": "last month", "replacement": "from 2024.04.01 to 2024.04.30"}
    [understood] = [event for event in events if event["event"] == "understood"]
    assert understood["changes"] == [change]
    assert understood["text"] == explicit
    for request in scripted_openai.requests:
        assert request.messages[1]["content"] == f"total volume last month\n\n{EXPLICIT}{explicit})"
    assert talk.answer is not None
    assert talk.answer["understood"] == {"text": explicit, "changes": [change], "examples": [], "notes": []}
    asked = (await talk.messages())[0]
    assert asked.text == "total volume last month"
    assert len(scripted_openai.requests) == 2


async def test_later_questions_read_earlier_ones_as_they_were_acted_upon(
    clocked: Host, scripted_openai: ScriptedOpenAI
) -> None:
    scripted_openai.add(Text("one"), Text("two"))
    talk = await conversation(clocked, time_zone="Asia/Shanghai")
    await talk.ask("volume today")
    talk.host = at(clocked, datetime(2024, 5, 16, 9, 0, tzinfo=ZoneInfo("Asia/Shanghai")))
    await talk.ask("and yesterday?")
    said = [message["content"] for message in scripted_openai.requests[-1].messages if message["role"] == "user"]
    assert said == [
        f"volume today\n\n{EXPLICIT}volume 2024.05.15)",
        f"and yesterday?\n\n{EXPLICIT}and 2024.05.15?)",
    ]


async def test_nothing_is_added_to_a_question_that_says_all(clocked: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(Text("hello"))
    talk = await conversation(clocked)
    assert await talk.events(text="hello") == []
    assert sent(scripted_openai) == "hello"
    assert talk.answer is not None
    assert talk.answer["understood"] is None


@pytest.mark.parametrize(
    ("zone", "today"),
    [("Asia/Shanghai", "2024.05.15"), ("America/New_York", "2024.05.15"), ("Asia/Tokyo", "2024.05.16")],
)
async def test_today_is_a_day_of_the_runs_time_zone(
    clocked: Host, scripted_openai: ScriptedOpenAI, zone: str, today: str
) -> None:
    scripted_openai.add(Text("ok"))
    await (await conversation(clocked, time_zone=zone)).ask("今天的成交量")
    assert sent(scripted_openai).endswith(f"{EXPLICIT}{today}的成交量)")


@pytest.mark.host_settings(time_zone="Pacific/Auckland")
async def test_the_setting_is_the_time_zone_of_runs_that_name_none(
    clocked: Host, scripted_openai: ScriptedOpenAI
) -> None:
    scripted_openai.add(Text("ok"))
    await (await conversation(clocked)).ask("volume yesterday")
    assert sent(scripted_openai).endswith("volume 2024.05.15)")


async def test_an_unknown_time_zone_is_refused(clocked: Host) -> None:
    with pytest.raises(InvalidInputError, match="Mars/Olympus"):
        await (await conversation(clocked, time_zone="Mars/Olympus")).ask("today")


async def test_a_question_can_be_asked_again_as_it_stands(clocked: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(Text("one"), Text("two"))
    talk = await conversation(clocked)
    await talk.ask("volume last week")
    assert EXPLICIT in sent(scripted_openai)
    talk.context = replace(talk.context, rewrite=False)
    assert await talk.events(text="volume last week") == []
    assert sent(scripted_openai) == "volume last week"
    assert talk.answer is not None
    assert talk.answer["understood"] is None


@pytest.mark.host_settings(rewrite_questions=False)
async def test_one_setting_switches_it_off_and_a_run_can_have_it(
    clocked: Host, scripted_openai: ScriptedOpenAI
) -> None:
    owner = name()
    await Terminology(clocked.deps.store).define(owner, "sales", "net amount")
    scripted_openai.add(Text("one"), Text("two"))
    talk = await conversation(clocked, owner=owner)
    assert await talk.events(text="sales last week") == []
    assert sent(scripted_openai) == "sales last week"
    talk.context = replace(talk.context, rewrite=True)
    await talk.ask("sales last week")
    assert sent(scripted_openai).endswith("sales (net amount) from 2024.05.06 to 2024.05.12)")


async def test_words_become_the_values_of_the_table_that_is_named(
    clocked: Host, scripted_openai: ScriptedOpenAI, cities: str
) -> None:
    scripted_openai.add(Text("one"), Text("two"), Text("three"))
    talk = await conversation(clocked)
    await talk.ask(f"average level in shangai and new york of {cities}")
    assert sent(scripted_openai).endswith(f"average level in Shanghai and New York of {cities})")
    await talk.ask(f"{cities} 中 zurich 的平均值")
    assert sent(scripted_openai).endswith(f"{EXPLICIT}{cities} 中 Zurich 的平均值)")
    await talk.ask("average level in shangai of another table")
    assert EXPLICIT not in sent(scripted_openai)
    assert len(scripted_openai.requests) == 3


async def test_a_pinned_table_is_in_question(clocked: Host, scripted_openai: ScriptedOpenAI, cities: str) -> None:
    scripted_openai.add(Text("one"))
    pins = [Pin(kind="table", name=cities, text=f"table {cities}")]
    await (await conversation(clocked)).ask("the level in zurich", pins=pins)
    assert sent(scripted_openai).endswith(f"{EXPLICIT}the level in Zurich)")


async def test_the_threads_own_tables_are_matched_as_they_are_now(
    clocked: Host, scripted_openai: ScriptedOpenAI
) -> None:
    make = "trades = table(`AAPL`MSFT as sym, 1.0 2.0 as price); size(trades)"
    remake = "trades = table(`aapl`GOOG`NVDA as sym, 1.0 2.0 3.0 as price); size(trades)"
    scripted_openai.add(ToolCalls(run(make)), Text("a"), Text("b"), ToolCalls(run(remake)), Text("c"), Text("d"))
    talk = await conversation(clocked)
    await talk.ask("make trades")
    await talk.ask("price of aapl in trades")
    assert sent(scripted_openai).endswith("price of AAPL in trades)")
    await talk.ask("make trades again")
    await talk.ask("price of aapl and goog in trades")
    assert sent(scripted_openai).endswith("price of aapl and GOOG in trades)")


async def test_looking_values_up_does_not_hide_that_a_session_was_lost(
    clocked: Host, scripted_openai: ScriptedOpenAI, cities: str
) -> None:
    scripted_openai.add(ToolCalls(run("x = 41; x")), done("41"), ToolCalls(run("x + 1")), Text("?"))
    talk = await conversation(clocked)
    await talk.ask("set x")
    async with open_deps(clocked.settings, clocked.pool) as deps:
        talk.host = Host(clocked.settings, deps, clocked.pool, clocked.threads)
        await talk.ask(f"the level in zurich of {cities}, plus x")
    assert sent(scripted_openai).endswith(f"the level in Zurich of {cities}, plus x)")
    assert "The session was lost" in (await talk.tool_results())[-1].text


async def test_trading_days_are_weekdays_and_it_says_so(clocked: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(Text("ok"))
    talk = await conversation(clocked)
    await talk.ask("近10个交易日的成交量")
    assert "2024.05.02 至 2024.05.15的成交量" in sent(scripted_openai)
    assert talk.answer is not None
    assert talk.answer["understood"] is not None
    [note] = talk.answer["understood"]["notes"]
    assert "Monday to Friday" in note
    assert "DDB_AGENT_TRADING_CALENDAR" in note


CALENDAR = 'addMarketHoliday("XSHE", 2024.05.01 2024.05.02 2024.05.03)'


@pytest.mark.host_settings(trading_calendar="XSHE")
async def test_a_calendar_of_the_server_knows_the_holidays(clocked: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(Text("ok"), Text("ok"))
    talk = await conversation(clocked)
    environment = await clocked.deps.environment("local", "default")
    await clocked.deps.sessions.run(environment, talk.thread_id, CALENDAR, timeout=10)
    await talk.ask("volume of the past 10 trading days")
    assert sent(scripted_openai).endswith("volume from 2024.04.29 to 2024.05.15)")
    await talk.ask("volume 9 trading days ago")
    assert sent(scripted_openai).endswith("volume 2024.04.29)")


@pytest.mark.host_settings(trading_calendar="XSHG")
async def test_a_server_without_the_calendar_is_told_of(clocked: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(Text("ok"))
    talk = await conversation(clocked)
    await talk.ask("volume of the last trading day")
    assert "volume of 2024.05.14)" in sent(scripted_openai)
    assert talk.answer is not None
    assert talk.answer["understood"] is not None
    assert "no calendar XSHG" in talk.answer["understood"]["notes"][0]


async def test_script_in_a_question_stays_as_it_is(clocked: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(Text("ok"), Text("ok"))
    talk = await conversation(clocked)
    for text in ("run: select * from t where d = today()", "what is `last month` in ```x = yesterday```?"):
        await talk.ask(text)
        assert sent(scripted_openai) == text


async def test_a_very_long_question_is_left_alone(clocked: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(Text("ok"))
    await (await conversation(clocked)).ask("today " * 2_000)
    assert EXPLICIT not in sent(scripted_openai)


async def test_what_a_turn_stores_does_not_grow(clocked: Host, scripted_openai: ScriptedOpenAI) -> None:
    owner = name()
    await Terminology(clocked.deps.store).define(owner, "sales", "net amount")
    talk = await conversation(clocked, owner=owner)
    sizes: list[Any] = []
    for _ in range(12):
        scripted_openai.add(Text("ok"))
        await talk.ask("sales last month")
        sizes.append(await stored(clocked, talk.thread_id))
    growth = [later - earlier for earlier, later in pairwise(sizes[2:])]
    assert max(growth) <= 1.05 * min(growth)


async def stored(host: Host, thread_id: str) -> int:
    total = 0
    async with host.pool.connection() as held:
        for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes"):
            statement = f"SELECT coalesce(sum(length(t::text)), 0) AS size FROM {table} t WHERE thread_id = %s"
            row = await (await held.execute(statement, (thread_id,))).fetchone()
            assert row is not None
            total += int(row["size"])
    return total


@pytest.mark.parametrize("bad", [{"time_zone": "Mars/Olympus"}, {"trading_calendar": 'X"); shutdown("'}])
def test_settings_that_cannot_be_used_are_refused(bad: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=f"DDB_AGENT_{next(iter(bad)).upper()}"):
        load_settings(_env_file=None, **bad)
