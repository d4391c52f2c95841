"""Drives the whole agent in a test as a client would: ask, look at what it waits for, decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from langchain_core.messages import HumanMessage
from langgraph.types import Command
from openai_server.steps import Call, ToolCalls

from graph.host import Host, run_config
from graph.state import Answer, RunContext


@dataclass
class Conversation:
    """One thread. After each call `answer` and `waiting` tell how the run ended."""

    host: Host
    thread_id: str
    context: RunContext
    answer: Answer | None = None
    waiting: dict[str, Any] | None = None

    async def ask(self, text: str, **more: Any) -> Conversation:
        return await self._run({"messages": [HumanMessage(text)], **more})

    async def decide(self, *decisions: dict[str, Any]) -> Conversation:
        return await self._run(Command(resume={"decisions": list(decisions)}))

    async def go_on(self) -> Conversation:
        return await self._run(None)

    async def events(self, *decisions: dict[str, Any], text: str = "") -> list[dict[str, Any]]:
        """Asks, or decides, and gives what the run said of its progress."""
        events: list[dict[str, Any]] = []
        start: Any = {"messages": [HumanMessage(text)]} if text else Command(resume={"decisions": list(decisions)})
        await self._run(start, events)
        return events

    async def _run(self, start: Any, events: list[dict[str, Any]] | None = None) -> Conversation:
        async for part in self.host.stream(self.thread_id, start, self.context):
            if events is not None and part["type"] == "custom":
                events.append(part["data"])
        return await self.look()

    async def look(self) -> Conversation:
        state = await self.host.graph().aget_state(run_config(self.thread_id))
        self.waiting = state.interrupts[0].value if state.interrupts else None
        self.answer = None if self.waiting else state.values.get("answer")
        return self

    async def messages(self) -> list[Any]:
        state = await self.host.graph().aget_state(run_config(self.thread_id))
        return list(state.values["messages"])

    async def tool_results(self) -> list[Any]:
        return [message for message in await self.messages() if message.type == "tool"]


async def conversation(host: Host, **context: Any) -> Conversation:
    thread = await host.threads.create("local", str(uuid4()), title="test")
    return Conversation(host, thread.thread_id, RunContext(**context))


def run(script: str, id: str = "") -> Call:
    """A call of run_dolphindb_script."""
    return Call("run_dolphindb_script", {"script": script}, id)


def done(answer: str, **more: object) -> ToolCalls:
    """A reply that ends the task."""
    return ToolCalls(Call("attempt_completion", {"answer": answer, **more}))
