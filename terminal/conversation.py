"""One turn of a conversation at the terminal: run, show what happens, put requests to the person, go on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langgraph.types import Command
from rich.console import Console
from rich.text import Text

from core.errors import NotFoundError, UserError
from core.thread_lock import exclusive
from core.threads import Thread, named_id
from graph.host import Host, unfinished
from graph.review import ReviewRequest
from graph.state import Answer, Input, Mode, QuestionChange, RunContext
from provision.service import Environments
from terminal.console import script_block, visible
from terminal.review import Decisions

log = logging.getLogger(__name__)

Review: TypeAlias = Callable[[ReviewRequest], Decisions | None]

TITLE_LENGTH = 60
SHOWN_LINES = 40
LOOKING = {
    "list_tables", "describe_table", "inspect_database", "validate_script", "optimize_query", "create_environment",
    "list_environments", "use_environment", "delete_environment", "extend_environment", "list_files",
    "get_function_documentation",
}  # fmt: skip
LOOK_LENGTH = 160


@dataclass
class Turn:
    """How a turn ended: with an answer, or waiting for decisions. `ran` is False when there was nothing to do."""

    thread_id: str
    answer: Answer | None = None
    waiting: ReviewRequest | None = None
    ran: bool = True


@dataclass
class Display:
    """Prints the stream of a run. `quiet` prints nothing."""

    console: Console
    quiet: bool = False
    _streaming: bool = field(default=False, init=False)
    _said: str = field(default="", init=False)
    _answer: Answer | None = field(default=None, init=False)
    _notices: set[str] = field(default_factory=set, init=False)

    def part(self, part: Any) -> None:
        if self.quiet:
            return
        if part["type"] == "messages":
            self._message(part["data"])
        elif part["type"] == "custom":
            self._event(part["data"])
        elif part["type"] == "updates":
            for node, update in part["data"].items():
                if isinstance(update, dict):
                    self._update(node, update)

    def _message(self, data: Any) -> None:
        chunk, metadata = data
        if not isinstance(chunk, AIMessageChunk) or metadata.get("langgraph_node") not in ("plan", "act"):
            return
        if text := chunk.text:
            self._streaming = True
            self._said += text
            self.console.print(text, end="", markup=False, highlight=False, soft_wrap=True)

    def _event(self, data: dict[str, Any]) -> None:
        if data.get("event") == "provisioning":
            line = " ".join(filter(None, (data["step"], data["message"])))
            self.console.print(f"  … {line}", style="dim", markup=False, highlight=False, soft_wrap=True)
        elif data.get("event") == "understood":
            for line in understood_lines(
                data["changes"], data["notes"], [item["question"] for item in data["examples"]]
            ):
                self.console.print(line, style="dim", markup=False, highlight=False, soft_wrap=True)
        elif data.get("event") == "notice":
            self._notices.add(data["message"])
            self.console.print(data["message"], style="yellow", markup=False, highlight=False, soft_wrap=True)

    def _end_stream(self) -> None:
        if self._streaming:
            self.console.print()
        self._streaming = False

    def _update(self, node: str, update: dict[str, Any]) -> None:
        self._end_stream()
        for message in update.get("messages", []):
            if isinstance(message, AIMessage) and node in ("plan", "act"):
                self._calls(message)
            elif isinstance(message, ToolMessage) and message.name != "attempt_completion":
                self._result(message)
        self._answer = update.get("answer", self._answer)
        if node == "complete" and self._answer is not None:
            if rest := self._unsaid(self._answer["text"].strip()):
                self.console.print()
                self.console.print(rest, markup=False, highlight=False, soft_wrap=True)
            cited = self._answer["citations"]
            for source in [] if any(source in self._answer["text"] for source in cited) else cited:
                self.console.print(f"source: {source}", style="dim", markup=False, highlight=False, soft_wrap=True)
            self._said, self._answer = "", None
            self._notices.clear()

    def _unsaid(self, text: str) -> str:
        """What has not been shown of the answer: not the text that was streamed, nor notices given before."""
        said = self._said.strip()
        if text == said:
            return ""
        rest = text.removeprefix(f"{said}\n\n") if said else text
        return "\n".join(line for line in rest.splitlines() if line not in self._notices).strip()

    def _calls(self, message: AIMessage) -> None:
        for call in message.tool_calls:
            if call["name"] in ("attempt_completion", "plan_mode_response", "ask_for_human_feedback"):
                continue
            self.console.print(
                Text.assemble((f"→ {visible(call['name'])}", "cyan"), " ", visible(_brief(call["args"])))
            )
            if script := call["args"].get("script"):
                self.console.print(script_block(str(script)))

    def _result(self, message: ToolMessage) -> None:
        lines = message.text.splitlines()
        if message.name in LOOKING and message.status == "success":
            lines = [line if len(line) <= LOOK_LENGTH else f"{line[:LOOK_LENGTH]}…" for line in lines[:1]]
        if message.name == "search_knowledge_base" and "sources:" in lines:
            lines = lines[len(lines) - lines[::-1].index("sources:") :]
        style = "red" if message.status == "error" else "dim"
        for line in lines[:SHOWN_LINES]:
            self.console.print(f"  {line}", style=style, markup=False, highlight=False, soft_wrap=True)
        if len(lines) > SHOWN_LINES:
            self.console.print(f"  … ({len(lines) - SHOWN_LINES} more lines)", style=style)


def understood_lines(changes: Sequence[QuestionChange], notes: Sequence[str], examples: Sequence[str]) -> list[str]:
    """How a question was read, for people."""
    read = [f'"{change["original"]}" → {change["replacement"]}' for change in changes]
    like = [f"like an example you know: {example}" for example in examples]
    return [f"  {line}" for line in (*read, *notes, *like)]


def _brief(args: dict[str, Any]) -> str:
    shown = ", ".join(
        f"{key}={value}"
        for key, value in args.items()
        if key not in ("script", "content") and value not in ("", [], None)
    )
    return shown if len(shown) <= 100 else f"{shown[:100]}…"


async def turn(
    host: Host,
    owner: str,
    thread_id: str,
    text: str | None,
    *,
    display: Display,
    review: Review,
    mode: Mode | None = None,
    context: RunContext | None = None,
    answer_waiting: Callable[[ReviewRequest, str], Decisions] | None = None,
) -> Turn:
    """Run a question (or with None, go on where the thread stopped) until it is answered or waits.

    `review` decides about requests; when it returns None the turn ends waiting. With `answer_waiting`, `text` on a
    thread that waits is taken as the answer to what it waits for.
    """
    async with exclusive(host.pool, thread_id):
        context = context or RunContext(owner=owner)
        start: Any = None
        waiting = await pending(host, owner, thread_id)
        if waiting is not None and text is not None and answer_waiting is not None:
            start = Command(resume={"decisions": answer_waiting(waiting, text)})
        elif text is not None:
            start = Input(messages=[HumanMessage(text)], **({"mode": mode} if mode else {}))
        elif waiting is not None:
            decisions = review(waiting)
            if decisions is None:
                return Turn(thread_id, waiting=waiting)
            start = Command(resume={"decisions": decisions})
        elif not unfinished(state := await host.state(owner, thread_id)):
            return Turn(thread_id, answer=state.values.get("answer"), ran=False)
        while True:
            async for part in host.stream(thread_id, start, context):
                display.part(part)
            waiting = await pending(host, owner, thread_id)
            if waiting is None:
                break
            decisions = review(waiting)
            if decisions is None:
                return Turn(thread_id, waiting=waiting)
            start = Command(resume={"decisions": decisions})
        await host.threads.touch(owner, thread_id)
        state = await host.state(owner, thread_id)
        return Turn(thread_id, answer=state.values.get("answer"))


@asynccontextmanager
async def looked_after(host: Host, owner: str) -> AsyncIterator[None]:
    """Meanwhile environments are gone on with and taken away when due: no server may be running that does it."""
    sweeping = asyncio.create_task(_sweep(host.deps.environments, owner))
    try:
        yield
    finally:
        # A cancellation that meets a statement under way becomes that statement's error.
        while not sweeping.done():
            sweeping.cancel()
            await asyncio.wait([sweeping], timeout=1)


async def _sweep(environments: Environments, owner: str) -> None:
    reaper = environments.reaper()
    while True:
        try:
            if await environments.list(owner, limit=1):
                await environments.go_on()
                await reaper.sweep()
        except UserError as error:
            log.warning("environments could not be looked after: %s", error)
        await asyncio.sleep(environments.settings.reaper_seconds)


async def pending(host: Host, owner: str, thread_id: str) -> ReviewRequest | None:
    """What the thread waits for, if anything."""
    state = await host.state(owner, thread_id)
    return next((cast("ReviewRequest", item.value) for item in state.interrupts), None)


async def thread_for(host: Host, owner: str, name: str | None, question: str | None) -> Thread:
    """The thread to use: an existing one by its id or name, else a new one titled by the question."""
    key, metadata = None, {"graph_id": "agent"}
    if name is not None:
        try:
            return await host.threads.find(owner, name)
        except NotFoundError:
            if question is None:
                raise
        key = named_id(owner, name)
        if key != name:
            metadata["name"] = name
    title = " ".join((question or "").split())[:TITLE_LENGTH]
    return await host.threads.create(owner, key, title=title, metadata=metadata)
