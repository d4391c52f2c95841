"""One attempt to execute a run: from its row to the graph's stream, and from that to events."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, cast
from uuid import UUID

from langchain_core.messages import BaseMessage, BaseMessageChunk, message_chunk_to_message
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END
from langgraph.runtime import RunControl
from langgraph.types import Command, Send, StateSnapshot

from core.cancellation import cancel_again, raise_if_cancelled
from core.postgres import Pool
from server.graphs import Graph, Graphs, context_fields
from server.identity import Principal
from server.json import dumps, interrupt_json
from server.runs import Run
from server.saver import Entry, RunSaver
from server.state import checkpoint_of, place_of, public_config, thread_interrupts

RECURSION_LIMIT = 400
# What only the server may set: who the user is and which run this is.
RESERVED = {
    "thread_id",
    "run_id",
    "graph_id",
    "assistant_id",
    "user_id",
    "checkpoint_id",
    "checkpoint_ns",
    "checkpoint_map",
}

Emit = Callable[[str, Any], None]


@dataclasses.dataclass
class Outcome:
    """What an attempt left behind. `values` is the last state seen, `waiting` whether it stopped before its end, `rest`
    the steps that are still to be stored, with its end."""

    values: Any = None
    interrupted: list[Any] = dataclasses.field(default_factory=list)
    stopped: bool = False
    interrupts: dict[str, Any] = dataclasses.field(default_factory=dict)
    input_tokens: int = 0
    output_tokens: int = 0
    rest: list[Entry] = dataclasses.field(default_factory=list)


def run_config(run: Run) -> dict[str, Any]:
    """The config of a run. What the client sent cannot say who it is."""
    sent = _merged(run.assistant_config, run.kwargs.get("config") or {})
    principal = Principal.from_dict(run.principal)
    configurable = {
        key: value
        for key, value in (sent.get("configurable") or {}).items()
        if not key.startswith(("__", "langgraph_")) and key not in RESERVED
    }
    metadata = {
        **{key: value for key, value in (sent.get("metadata") or {}).items() if isinstance(key, str)},
        **run.metadata,
        "user_id": principal.identity,
        "run_attempt": run.attempt,
        "thread_id": run.thread_id,
        "run_id": run.run_id,
        "graph_id": run.graph_id,
        "assistant_id": run.assistant_id,
    }
    checkpoint = run.kwargs.get("checkpoint") or {}
    return {
        "recursion_limit": sent.get("recursion_limit") or RECURSION_LIMIT,
        "tags": list(sent.get("tags") or []),
        "metadata": metadata,
        "run_id": UUID(run.run_id),
        "configurable": {
            **configurable,
            **{key: value for key, value in checkpoint.items() if key.startswith("checkpoint_")},
            "thread_id": run.thread_id,
            "run_id": run.run_id,
            "graph_id": run.graph_id,
            "assistant_id": run.assistant_id,
            "user_id": principal.identity,
            "langgraph_auth_user": principal,
            "langgraph_auth_user_id": principal.identity,
            "langgraph_auth_permissions": principal.permissions,
        },
    }  # fmt: skip


def run_context(run: Run, graph: Graph, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The context of a run: the assistant's, then the client's; `owner`, where the graph knows one, is the server's."""
    fields = context_fields(graph)
    if fields is None:
        return None
    given = {**run.assistant_context, **(run.kwargs.get("context") or {})}
    configurable = config["configurable"]
    context = {key: value for key, value in configurable.items() if key in fields and key not in RESERVED}
    context.update({key: value for key, value in given.items() if key in fields})
    if "owner" in fields:
        context["owner"] = run.owner
    return context


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**base, **over}
    for key in ("configurable", "metadata"):
        if base.get(key) or over.get(key):
            merged[key] = {**(base.get(key) or {}), **(over.get(key) or {})}
    return merged


def graph_input(kwargs: Mapping[str, Any]) -> Any:
    """The first argument of the graph's stream. Clients send an empty input with a command: the command counts."""
    if (command := kwargs.get("command")) is not None:
        goto = command.get("goto")
        targets = goto if isinstance(goto, list) else [goto] if goto is not None else []
        update = command.get("update")
        if isinstance(update, list) and all(isinstance(item, list) and len(item) == 2 for item in update):
            update = [tuple(item) for item in update]
        fields: dict[str, Any] = {
            "update": update,
            "goto": [Send(item["node"], item.get("input")) if isinstance(item, dict) else item for item in targets],
        }
        if "resume" in command:
            fields["resume"] = command["resume"]
        return Command(**fields)
    return kwargs.get("input")


def durability(run: Run, graphs: Graphs) -> str:
    """When the steps of a run are stored: what its graph demands, else what was asked for."""
    return graphs.durability(run.graph_id) or run.kwargs.get("durability") or "async"


async def execute(
    run: Run, graphs: Graphs, pool: Pool, saver: RunSaver, emit: Emit, control: RunControl, outcome: Outcome
) -> None:
    """Runs the graph to its end or to where it waits. `outcome` is filled as it goes, so that it tells also about
    an attempt that failed or was cancelled."""
    config = run_config(run)
    kwargs = run.kwargs
    async with graphs.open(
        run.graph_id,
        config=config,
        access="threads.create_run",
        user=config["configurable"]["langgraph_auth_user"],
        context={**run.assistant_context, **(kwargs.get("context") or {})},
        owner=config["configurable"]["langgraph_auth_user_id"],
        saver=saver,
    ) as graph:
        start = graph_input(kwargs)
        if run.attempt > 1 and await _begun(pool, run):
            start = None
            for key in ("checkpoint_id", "checkpoint_ns", "checkpoint_map"):
                config["configurable"].pop(key, None)
        emit("metadata", {"run_id": run.run_id, "attempt": run.attempt})
        translate = _Translation(kwargs["stream_mode"], emit, outcome)
        only_updates = isinstance(start, Command) and start.update is not None and not start.goto
        before = await _latest(graph, run) if only_updates else None
        async for namespace, mode, chunk in _stream(graph, start, config, run, control, durability(run, graphs)):
            translate.part(namespace, mode, chunk)
            cancel_again()
        raise_if_cancelled()
        if before is not None:
            await _keep_update(graph, run, config, before)
        if outcome.stopped or outcome.values is None:
            state = await _latest(graph, run)
            outcome.interrupts = thread_interrupts(state)
            outcome.values = state.values if outcome.values is None else outcome.values
            # A stop after the last node leaves nothing to go on with.
            outcome.stopped = outcome.stopped and bool(state.next or outcome.interrupts)
        outcome.rest = await saver.rest()


async def _latest(graph: Graph, run: Run) -> StateSnapshot:
    return await graph.aget_state({"configurable": {"thread_id": run.thread_id}})


async def _keep_update(graph: Graph, run: Run, config: dict[str, Any], before: StateSnapshot) -> None:
    """An update after which no node ran is left pending at the last checkpoint, where the next one would conflict
    with it: make a checkpoint of it."""
    after = await _latest(graph, run)
    if not after.next and checkpoint_of(after.config) == checkpoint_of(before.config):
        place = {"configurable": {"thread_id": run.thread_id, "checkpoint_ns": ""}, "metadata": config["metadata"]}
        await graph.aupdate_state(cast("RunnableConfig", place), None, as_node=END)


async def _stream(
    graph: Graph, start: Any, config: dict[str, Any], run: Run, control: RunControl, durability: str
) -> AsyncIterator[tuple[tuple[str, ...], str, Any]]:
    kwargs = run.kwargs
    modes = [mode for mode in kwargs["stream_mode"] if mode not in ("events", "messages-tuple")]
    if "messages-tuple" in kwargs["stream_mode"] and "messages" not in modes:
        modes.append("messages")
    for needed in ("values", "updates"):
        if needed not in modes:
            modes.append(needed)
    arguments: dict[str, Any] = {
        "context": run_context(run, graph, config),
        "stream_mode": modes,
        "interrupt_before": kwargs.get("interrupt_before"),
        "interrupt_after": kwargs.get("interrupt_after"),
        "durability": durability,
        "control": control,
    }
    # Which overload it is depends on the modes, which are not known here.
    stream: Any = graph.astream
    stream_events: Any = graph.astream_events
    subgraphs = bool(kwargs.get("subgraphs"))
    if "events" not in kwargs["stream_mode"]:
        async for part in stream(start, config, subgraphs=subgraphs, **arguments):
            yield part if subgraphs else ((), *part)
        return
    async for event in stream_events(start, config, version="v2", subgraphs=subgraphs, **arguments):
        if event["event"] == "on_chain_stream" and event["run_id"] == run.run_id:
            part = event["data"]["chunk"]
            yield part if subgraphs else ((), *part)
        else:
            yield (), "events", event


async def _begun(pool: Pool, run: Run) -> bool:
    """Whether an earlier attempt came as far as a checkpoint."""
    async with pool.connection() as held:
        cursor = await held.execute(
            "SELECT 1 FROM checkpoints WHERE thread_id = %s AND checkpoint_ns = ''"
            " AND metadata ->> 'run_id' = %s LIMIT 1",
            (run.thread_id, run.run_id),
        )
        return await cursor.fetchone() is not None


class _Translation:
    """The graph's stream as events of the thread API."""

    def __init__(self, modes: list[str], emit: Emit, outcome: Outcome) -> None:
        self._modes = set(modes)
        self._emit = emit
        self._outcome = outcome
        self._messages: dict[str, BaseMessage] = {}
        self._complete: set[str] = set()
        self._metadata: dict[str, Any] | None = None
        self._metadata_json = b"{}"

    def part(self, namespace: tuple[str, ...], mode: str, chunk: Any) -> None:
        suffix = "".join(f"|{name}" for name in namespace)
        if not namespace and mode in ("values", "updates"):
            self._note(mode, chunk)
        if mode == "messages":
            self._message(chunk, suffix)
        elif mode in ("debug", "checkpoints", "tasks"):
            if mode in self._modes:
                self._emit(mode + suffix, _public(mode, chunk))
        elif mode == "events":
            self._emit("events", _event_json(chunk))
        elif mode in self._modes:
            self._emit(mode + suffix, chunk)

    def _note(self, mode: str, chunk: Any) -> None:
        if not isinstance(chunk, dict):
            if mode == "values":
                self._outcome.values = chunk
            return
        if "__interrupt__" in chunk:
            self._outcome.stopped = True
            if chunk["__interrupt__"]:
                known = {item["id"]: item for item in self._outcome.interrupted}
                for item in chunk["__interrupt__"]:
                    shown = item if isinstance(item, dict) else interrupt_json(item)
                    known[shown["id"]] = shown
                self._outcome.interrupted = list(known.values())
        if mode == "values":
            self._outcome.values = {key: value for key, value in chunk.items() if key != "__interrupt__"}

    def _message(self, chunk: Any, suffix: str) -> None:
        message, metadata = chunk
        if "messages-tuple" in self._modes:
            self._emit("messages" + suffix, b"[%s,%s]" % (dumps(message), self._shown(metadata)))
        if "messages" not in self._modes or message.id is None:
            return
        if message.id not in self._messages:
            self._emit("messages/metadata", {message.id: {"metadata": metadata}})
        if isinstance(message, BaseMessageChunk):
            known = self._messages.get(message.id)
            self._messages[message.id] = whole = known + message if isinstance(known, BaseMessageChunk) else message
            self._emit("messages/partial", [message_chunk_to_message(whole)])
        elif message.id not in self._complete:
            self._messages[message.id] = message
            self._complete.add(message.id)
            self._emit("messages/complete", [message])

    def _shown(self, metadata: dict[str, Any]) -> bytes:
        """The metadata of a token, which is the same for all tokens of a call of the model."""
        if self._metadata is not metadata:
            self._metadata = metadata
            self._metadata_json = dumps(
                {key: value for key, value in metadata.items() if not key.startswith("langgraph_auth_user")}
            )
        return self._metadata_json


def _public(mode: str, chunk: Any) -> Any:
    """A chunk without what only this process may see."""
    if not isinstance(chunk, dict):
        return chunk
    if mode == "debug" and isinstance(chunk.get("payload"), dict):
        payload = _public("checkpoints", chunk["payload"])
        if chunk.get("type") == "checkpoint":
            payload["checkpoint"] = checkpoint_of(chunk["payload"].get("config"))
            payload["parent_checkpoint"] = checkpoint_of(chunk["payload"].get("parent_config"))
            payload["tasks"] = [_with_checkpoint(task) for task in payload.get("tasks") or []]
        return {**chunk, "payload": payload}
    shown = dict(chunk)
    for key in ("config", "parent_config"):
        if key in shown:
            shown[key] = public_config(shown[key])
    for task in shown.get("tasks") or []:
        if isinstance(task, dict) and isinstance(task.get("state"), dict):
            task["state"] = public_config(task["state"])
    return shown


def _with_checkpoint(task: dict[str, Any]) -> dict[str, Any]:
    """A task of a subgraph with the place of its checkpoints instead of a config."""
    if not isinstance(task.get("state"), dict):
        return task
    return {**{key: value for key, value in task.items() if key != "state"}, "checkpoint": place_of(task["state"])}


def _event_json(event: Any) -> Any:
    metadata = {
        key: value for key, value in (event.get("metadata") or {}).items() if not key.startswith("langgraph_auth")
    }
    return {**event, "metadata": metadata}


def output_json(outcome: Outcome) -> bytes:
    """What a client that waits for a run gets."""
    values = outcome.values
    if outcome.interrupted and isinstance(values, dict):
        values = {**values, "__interrupt__": outcome.interrupted}
    return dumps({} if values is None else values)
