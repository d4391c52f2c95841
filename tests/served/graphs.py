"""Graphs for the tests of the server."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send, StreamWriter, interrupt
from pydantic import BaseModel
from typing_extensions import TypedDict

Compiled = CompiledStateGraph[Any, Any, Any, Any]


class Log(TypedDict, total=False):
    text: str
    log: Annotated[list[str], operator.add]


@dataclass
class Context:
    owner: str = "nobody"
    colour: str = "none"


class Colour(BaseModel):
    colour: Literal["red", "green"]


def _one(name: str, node: Any, **options: Any) -> Compiled:
    graph = StateGraph(Log, **options)
    graph.add_node(name, node)
    graph.add_edge(START, name)
    graph.add_edge(name, END)
    return graph.compile()


async def _echo(state: Log, writer: StreamWriter) -> Log:
    writer({"said": state.get("text", "")})
    return {"log": [state.get("text", "")]}


async def _slow(state: Log) -> Log:
    await asyncio.sleep(float(state["text"]))
    return {"log": [state["text"]]}


async def _nul(state: Log) -> Log:
    return {"text": "\x00"}


async def _boom(state: Log) -> Log:
    raise ValueError("boom!")


async def _ask(state: Log) -> Log:
    answer = interrupt({"question": "well?"})
    if answer == "slowly":
        await asyncio.sleep(20)
    return {"log": [f"answer {answer}"]}


async def _colour(state: Log) -> Log:
    return {"log": [interrupt("colour?", response_schema=Colour).colour]}


async def _who(state: Log, runtime: Runtime[Context], config: RunnableConfig) -> Log:
    user = runtime.server_info.user if runtime.server_info else None
    assert runtime.store is not None
    await runtime.store.aput(("seen",), "last", {"text": state.get("text", "")})
    found = [runtime.context.owner, user.identity if user else "", runtime.context.colour]
    return {"log": [*found, str(config["configurable"].get("langgraph_auth_user_id"))]}


async def _model(state: MessagesState) -> dict[str, Any]:
    model = GenericFakeChatModel(messages=iter([AIMessage(" ".join(f"t{number}" for number in range(50)))]))
    return {"messages": [await model.ainvoke(state["messages"])]}


class _Slowly(GenericFakeChatModel):
    """Says its words one after the other, a little apart."""

    async def _astream(self, *arguments: Any, **options: Any) -> AsyncIterator[ChatGenerationChunk]:
        async for chunk in super()._astream(*arguments, **options):
            yield chunk
            await asyncio.sleep(0.04)


async def _speak(state: MessagesState) -> dict[str, Any]:
    model = _Slowly(messages=iter([AIMessage(" ".join(f"t{number}" for number in range(50)))]))
    return {"messages": [await model.ainvoke(state["messages"])]}


class Marked(Log, total=False):
    file: str


def _mark(file: Path, name: str) -> None:
    with file.open("a") as opened:
        opened.write(f"{name}\n")


def _step(name: str) -> Any:
    async def step(state: Marked) -> dict[str, Any]:
        """Leaves a line in a file, so that a test sees how often it ran."""
        await asyncio.to_thread(_mark, Path(state["file"]), name)
        await asyncio.sleep(0.6)
        return {"log": [name]}

    return step


def _steps() -> Compiled:
    graph = StateGraph(Marked)
    names = ["one", "two", "three", "four"]
    for name in names:
        graph.add_node(name, _step(name))
    for before, after in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(before, after)
    return graph.compile()


def _fan() -> Compiled:
    graph = StateGraph(Log)
    graph.add_node("ask", _ask)
    graph.add_conditional_edges(START, lambda state: [Send("ask", {"text": "a"}), Send("ask", {"text": "b"})], ["ask"])
    graph.add_edge("ask", END)
    return graph.compile()


echo = _one("echo", _echo)
parent = _one("child", echo)
slow = _one("slow", _slow)
boom = _one("boom", _boom)
nul = _one("nul", _nul)
asker = _one("ask", _ask)
colour = _one("colour", _colour)
who = _one("who", _who, context_schema=Context)
steps = _steps()
strict = steps.with_config(metadata={"durability": "sync"})
fan = _fan()

tokens = StateGraph(MessagesState)
tokens.add_node("model", _model)
tokens.add_edge(START, "model")
tokens.add_edge("model", END)

speaker = StateGraph(MessagesState)
speaker.add_node("speak", _speak)
speaker.add_edge(START, "speak")
speaker.add_edge("speak", END)

talker = StateGraph(MessagesState)
talker.add_node("inner", tokens.compile())
talker.add_edge(START, "inner")

outer = StateGraph(Log)
outer.add_node("before", _echo)
outer.add_node("inner", asker)
outer.add_edge(START, "before")
outer.add_edge("before", "inner")


async def by_config(config: RunnableConfig) -> Compiled:
    async def node(state: Log) -> Log:
        return {"log": [str(config["configurable"].get("flavour"))]}

    return _one("node", node)


@asynccontextmanager
async def deaf(config: RunnableConfig) -> AsyncIterator[Compiled]:
    """Loses a cancellation that comes while a run begins, as the database driver does now and then."""
    if config.get("configurable", {}).get("run_id"):
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(1)
    yield steps


@asynccontextmanager
async def managed() -> AsyncIterator[Compiled]:
    yield echo
