"""A thread of 200 turns takes as much room per turn at its end as near its beginning."""

from __future__ import annotations

from uuid import uuid4

from langchain_core.messages import HumanMessage

from benchmarks.scripted import scripted_host
from benchmarks.thread_growth import stored_bytes, table_of_bars
from core.postgres import Pool
from core.settings import Settings
from graph.host import Host, run_config
from graph.state import Input, RunContext

TURNS = 120


async def test_storage_per_turn_does_not_grow(settings: Settings, pool: Pool) -> None:
    async with scripted_host(settings, pool, result=table_of_bars()) as host:
        await _storage_stays_flat(host, pool)


async def _storage_stays_flat(host: Host, pool: Pool) -> None:
    thread_id = str(uuid4())
    stored = {}
    for number in range(1, TURNS + 1):
        question = Input(messages=[HumanMessage(f"What is the average price of AAPL on day {number}?")])
        async for _part in host.stream(thread_id, question, RunContext()):
            pass
        if number in (20, 60, TURNS - 40, TURNS):
            stored[number] = await stored_bytes(pool, thread_id)
    state = await host.graph().aget_state(run_config(thread_id))
    # question, call, result, completion, its result, answer
    assert len(state.values["messages"]) == TURNS * 6
    assert state.values["answer"]["status"] == "completed"
    assert state.values["summary"] is not None, "the conversation was to outgrow the model's window"
    early, late = stored[60] - stored[20], stored[TURNS] - stored[TURNS - 40]
    assert late <= early * 1.2
