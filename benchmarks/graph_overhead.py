"""What the agent's graph costs per turn beside the smallest LangGraph loop that does the same.

Both have the same in-process model (one script, then the completion), the same real Postgres checkpointer with
durability "sync", the same tool result and the same stream. The loop keeps its messages with `add_messages` and has
neither effects, ledger, token budget nor a typed answer. Aim: at most 1.5 times its time.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import uuid4

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import ToolNode
from typing_extensions import TypedDict

from benchmarks.report import milliseconds, ratio, table
from benchmarks.scripted import FORTY_TWO, ScriptedModel, open_database, scripted_host
from core.checkpointer import checkpointer
from core.postgres import Pool
from dolphin.results import preview
from dolphin.values import Result
from graph.host import Host, run_config
from graph.prompts import prompt
from graph.state import Input, RunContext

THREADS = 24
TURNS = 6

Start = Callable[[str, str], AsyncIterator[Any]]


class LoopState(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


@tool
async def attempt_completion(answer: str, script: str = "") -> str:  # noqa: ARG001
    """End the task with its answer."""
    return "Shown to the user."


def bare_loop(pool: Pool, result: Result = FORTY_TWO) -> Start:
    """A model node, a tool node and an edge between them."""
    text = preview(result).text

    @tool
    async def run_dolphindb_script(script: str, purpose: str = "") -> str:  # noqa: ARG001
        """Run DolphinDB script and get the value of its last expression."""
        return text

    tools = [run_dolphindb_script, attempt_completion]
    model = ScriptedModel().bind_tools(tools)
    system = SystemMessage(prompt("act"))

    async def call_model(state: LoopState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke([system, *state["messages"]])]}

    async def after_model(state: LoopState) -> str:
        last = state["messages"][-1]
        return "tools" if isinstance(last, AIMessage) and last.tool_calls else END

    async def after_tools(state: LoopState) -> str:
        return END if state["messages"][-1].name == "attempt_completion" else "model"

    graph = StateGraph(LoopState)
    graph.add_node("model", call_model)
    graph.add_node("tools", ToolNode(tools))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", after_model, ["tools", END])
    graph.add_conditional_edges("tools", after_tools, ["model", END])
    compiled = graph.compile(checkpointer=checkpointer(pool))

    def start(thread_id: str, text: str) -> AsyncIterator[Any]:
        return compiled.astream(
            {"messages": [HumanMessage(text)]},
            run_config(thread_id),
            stream_mode=["updates", "messages", "custom"],
            durability="sync",
            version="v2",
        )

    return start


def agent(host: Host) -> Start:
    def start(thread_id: str, text: str) -> AsyncIterator[Any]:
        return host.stream(thread_id, Input(messages=[HumanMessage(text)]), RunContext())

    return start


@dataclass(frozen=True)
class Cost:
    """Of one turn: seconds, seconds of this process' CPU."""

    wall: float
    cpu: float


async def thread_of_turns(start: Start, turns: int = TURNS) -> list[Cost]:
    thread_id = str(uuid4())
    costs = []
    for number in range(turns):
        wall, cpu = time.perf_counter(), time.process_time()
        async for _part in start(thread_id, f"What is the average price of AAPL? ({number})"):
            pass
        costs.append(Cost(time.perf_counter() - wall, time.process_time() - cpu))
    return costs


async def peak_memory(start: Start) -> float:
    """Bytes of Python memory that a turn takes at its peak beyond what was there, median over a thread's turns."""
    thread_id = str(uuid4())
    peaks = []
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(TURNS):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            async for _part in start(thread_id, f"What is the average price of AAPL? ({number})"):
                pass
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    return statistics.median(peaks)


async def compare() -> None:
    async with open_database() as (settings, pool), scripted_host(settings, pool) as host:
        kinds = {"bare loop": bare_loop(pool), "agent": agent(host)}
        costs: dict[str, list[Cost]] = {name: [] for name in kinds}
        for start in kinds.values():
            await thread_of_turns(start)
        for number in range(THREADS):
            for name, start in sorted(kinds.items(), reverse=bool(number % 2)):
                costs[name].extend(await thread_of_turns(start))
        memory = {name: await peak_memory(start) for name, start in kinds.items()}
    wall = {name: statistics.median(cost.wall for cost in each) for name, each in costs.items()}
    cpu = {name: statistics.median(cost.cpu for cost in each) for name, each in costs.items()}
    rows = [
        (name, milliseconds(wall[name]), milliseconds(cpu[name]), f"{memory[name] / 1024:.0f} KB") for name in kinds
    ]
    times = [ratio(each["agent"], each["bare loop"]) for each in (wall, cpu, memory)]
    title = f"One turn (median of {THREADS * TURNS}, threads of {TURNS} turns)"
    print(table(title, ["", "time", "CPU", "peak memory"], [*rows, ("agent / bare loop", *times)]))


def main() -> None:
    asyncio.run(compare())
