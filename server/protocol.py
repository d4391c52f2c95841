"""The thread-centred streaming protocol: the events of a thread's runs under one growing number.

The protocol's events are made from the log of the runs, in the same way each time they are read, so that a client may
leave and come back with the last number it saw, on any server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from server.events import Event
from server.follow import follow
from server.runs import Run, Runs
from server.worker import Worker

STREAM_MODES = ["values", "updates", "messages-tuple", "tasks", "checkpoints", "custom"]
WAIT_SECONDS = 1.0
# Numbers of a run's protocol events lie between multiples of this, in the order of the thread's runs.
RUN_STRIDE = 1_000_000
ENDS = {"success": "completed", "error": "failed", "timeout": "failed", "interrupted": "interrupted"}


@dataclass(frozen=True)
class Subscription:
    """What a client wants to see."""

    channels: set[str]
    namespaces: list[list[str]] | None = None
    depth: int | None = None
    since: int = 0

    def wants(self, event: dict[str, Any]) -> bool:
        if event["seq"] <= self.since:
            return False
        method = event["method"]
        channel = "input" if method == "input.requested" else method
        name = (
            event["params"]["data"].get("name")
            if method == "custom" and isinstance(event["params"]["data"], dict)
            else None
        )
        if channel not in self.channels and not (name and f"custom:{name}" in self.channels):
            return False
        return self._lies_in(event["params"]["namespace"])

    def _lies_in(self, namespace: list[str]) -> bool:
        if not self.namespaces:
            return True
        for prefix in self.namespaces:
            same = len(prefix) <= len(namespace) and all(
                part == given or (":" not in part and given.partition(":")[0] == part)
                for part, given in zip(prefix, namespace, strict=False)
            )
            if same and (self.depth is None or len(namespace) - len(prefix) <= self.depth):
                return True
        return False


@dataclass
class _Message:
    id: str
    blocks: dict[int, dict[str, Any]] = field(default_factory=dict)


@dataclass
class RunProtocol:
    """The protocol events of one run, from its log."""

    run: Run
    place: int
    _count: int = 0
    _open: dict[tuple[str, ...], _Message] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)
    _seen: set[str] = field(default_factory=set)
    _begun: bool = False
    _graphs: dict[tuple[str, ...], bool] = field(default_factory=dict)
    """The subgraphs seen, and whether they have ended."""

    def of(self, event: Event) -> Iterator[dict[str, Any]]:
        name, *namespace = event.name.split("|")
        data = orjson.loads(event.data)
        yield from self._events(name, namespace, data, event)
        for depth in range(1, len(namespace) + 1):
            yield from self._started(tuple(namespace[:depth]), event)
        if name == "tasks" and isinstance(data, dict) and "result" in data:
            kind = "interrupted" if data.get("interrupts") else "failed" if data.get("error") else "completed"
            yield from self._ended((*namespace, f"{data.get('name')}:{data.get('id')}"), kind, event)

    def _started(self, graph: tuple[str, ...], event: Event) -> Iterator[dict[str, Any]]:
        if graph not in self._graphs:
            self._graphs[graph] = False
            name, _, task = graph[-1].partition(":")
            data = {"event": "started", "namespace": list(graph), "graph_name": name, "trigger_call_id": task}
            yield self._made("lifecycle", list(graph), data, event)

    def _ended(self, graph: tuple[str, ...], kind: str, event: Event | None) -> Iterator[dict[str, Any]]:
        if self._graphs.get(graph) is False:
            self._graphs[graph] = True
            data = {"event": kind, "graph_name": graph[-1].partition(":")[0]}
            yield self._made("lifecycle", list(graph), data, event)

    def _events(self, name: str, namespace: list[str], data: Any, event: Event) -> Iterator[dict[str, Any]]:
        if name == "metadata":
            if not self._begun:
                self._begun = True
                yield self._made("lifecycle", [], {"event": "running", "graph_name": self.run.graph_id}, event)
            return
        if name == "error":
            return
        if name == "messages":
            yield from self._message(data, namespace, event)
            return
        yield from self._close(tuple(namespace), event)
        if name in ("values", "updates") and isinstance(data, dict) and "__interrupt__" in data:
            for interrupt in data.pop("__interrupt__") or []:
                if interrupt["id"] not in self._asked:
                    self._asked.add(interrupt["id"])
                    # Clients of different ages read one or the other.
                    asked = {
                        "interrupt_id": interrupt["id"],
                        "payload": interrupt["value"],
                        "value": interrupt["value"],
                    }
                    if interrupt.get("response_schema") is not None:
                        asked["response_schema"] = interrupt["response_schema"]
                    yield self._made("input.requested", namespace, asked, event)
            if not data:
                return
        yield self._made(name, namespace, data, event)

    def end(self, status: str, error: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
        for namespace in list(self._open):
            yield from self._close(namespace, None)
        kind = "interrupted" if self._asked and status == "success" else ENDS.get(status, "failed")
        for graph in sorted(self._graphs, key=len, reverse=True):
            yield from self._ended(graph, kind, None)
        data = {"event": kind, "graph_name": self.run.graph_id}
        if error is not None and kind == "failed":
            data["error"] = error.get("message", "")
        yield self._made("lifecycle", [], data, None)

    def _made(self, method: str, namespace: list[str], data: Any, event: Event | None) -> dict[str, Any]:
        self._count += 1
        params: dict[str, Any] = {"namespace": namespace, "timestamp": int(self.run.created_at.timestamp() * 1000)}
        return {
            "type": "event",
            "event_id": f"{self.run.run_id}:{event.number if event else 'end'}:{self._count}",
            "seq": self.place * RUN_STRIDE + self._count,
            "method": method,
            "params": {**params, "data": data},
        }

    def _message(self, data: Any, namespace: list[str], event: Event) -> Iterator[dict[str, Any]]:
        message, metadata = data
        key = tuple(namespace)
        kind = message.get("type")
        if kind not in ("AIMessageChunk", "ai"):
            return
        if kind == "ai" and message["id"] in self._seen:
            return
        known = self._open.get(key)
        if known is not None and known.id != message["id"]:
            yield from self._close(key, event)
            known = None
        if known is None:
            if message["id"] in self._seen:
                return
            self._seen.add(message["id"])
            known = self._open[key] = _Message(message["id"])
            shown = {"langgraph_node": metadata.get("langgraph_node")}
            start = {"event": "message-start", "role": "ai", "id": message["id"], "metadata": shown}
            yield self._made("messages", namespace, start, event)
        for index, block in _blocks(message):
            yield from self._delta(known, index, block, namespace, event)
        if kind == "ai" or message.get("chunk_position") == "last":
            yield from self._close(key, event, usage=message.get("usage_metadata"))

    def _delta(
        self, known: _Message, index: int, block: dict[str, Any], namespace: list[str], event: Event
    ) -> Iterator[dict[str, Any]]:
        whole = known.blocks.get(index)
        if whole is None:
            first = {**block, **({"text": ""} if block["type"] == "text" else {"args": ""})}
            whole = known.blocks[index] = dict(first)
            yield self._made(
                "messages", namespace, {"event": "content-block-start", "index": index, "content": first}, event
            )
        if block["type"] == "text":
            if not block["text"]:
                return
            whole["text"] += block["text"]
            delta: dict[str, Any] = {"type": "text-delta", "text": block["text"]}
        else:
            whole["args"] += block.get("args") or ""
            for name in ("name", "id"):
                whole[name] = whole.get(name) or block.get(name)
            delta = {"type": "block-delta", "fields": dict(whole)}
        yield self._made("messages", namespace, {"event": "content-block-delta", "index": index, "delta": delta}, event)

    def _close(self, namespace: tuple[str, ...], event: Event | None, usage: Any = None) -> Iterator[dict[str, Any]]:
        known = self._open.pop(namespace, None)
        if known is None:
            return
        for index, block in known.blocks.items():
            yield self._made(
                "messages",
                list(namespace),
                {"event": "content-block-finish", "index": index, "content": _finished(block)},
                event,
            )
        finish: dict[str, Any] = {"event": "message-finish"}
        if usage:
            finish["usage"] = usage
        yield self._made("messages", list(namespace), finish, event)


def _blocks(message: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    content = message.get("content")
    text = (
        content
        if isinstance(content, str)
        else "".join(str(part.get("text", "")) for part in content or [] if isinstance(part, dict))
    )
    if text:
        yield 0, {"type": "text", "text": text}
    chunks = message.get("tool_call_chunks")
    if chunks is None:
        chunks = [
            {**call, "args": orjson.dumps(call["args"]).decode(), "index": place}
            for place, call in enumerate(message.get("tool_calls") or [])
        ]
    for chunk in chunks:
        place = chunk.get("index")
        index = 1 + (place if isinstance(place, int) else 0)
        yield (
            index,
            {
                "type": "tool_call_chunk",
                "name": chunk.get("name"),
                "id": chunk.get("id"),
                "args": chunk.get("args") or "",
            },
        )


def _finished(block: dict[str, Any]) -> dict[str, Any]:
    if block["type"] == "text":
        return block
    try:
        return {**block, "type": "tool_call", "args": orjson.loads(block["args"] or "{}")}
    except ValueError:
        return {**block, "type": "invalid_tool_call", "error": "The arguments are not JSON."}


async def thread_events(
    worker: Worker, runs: Runs, owner: str, thread_id: str, subscription: Subscription
) -> AsyncIterator[dict[str, Any] | None]:
    """The events of a thread's runs, past and to come, without end. None is a sign of life."""
    place = 0
    while True:
        found = await runs.nth(owner, thread_id, place)
        if found is None:
            await worker.news(thread_id, WAIT_SECONDS)
            yield None
            continue
        protocol = RunProtocol(found, place)
        async for events in follow(worker, runs, owner, found.run_id, 0):
            if not events:
                yield None
            for event in events:
                for made in protocol.of(event):
                    if subscription.wants(made):
                        yield made
        status = await runs.status(owner, found.run_id)
        if status is not None:
            for made in protocol.end(status[0], status[1]):
                if subscription.wants(made):
                    yield made
        place += 1
