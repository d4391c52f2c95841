"""A thread of 200 turns takes as much room per turn at its end as near its beginning."""

from __future__ import annotations

from statistics import mean
from uuid import uuid4

from benchmarks.graph_overhead import agent
from benchmarks.scripted import scripted_host
from benchmarks.thread_growth import grow, table_of_bars
from core.postgres import Pool
from core.settings import Settings
from graph.host import run_config

TURNS = 200


async def test_storage_per_turn_does_not_grow(settings: Settings, pool: Pool) -> None:
    host = scripted_host(settings, pool, result=table_of_bars())
    thread_id = str(uuid4())
    turns = await grow(host, agent(host), TURNS, thread_id)
    state = await host.graph().aget_state(run_config(thread_id))
    # question, call, result, completion, its result, answer
    assert len(state.values["messages"]) == TURNS * 6
    assert state.values["answer"]["status"] == "completed"
    assert state.values["summary"] is not None, "the conversation was to outgrow the model's window"
    early, late = (mean(turn.stored for turn in part) for part in (turns[20:60], turns[-40:]))
    assert late <= early * 1.2
