"""What happens inside runs: calls of models and of DolphinDB, for the metrics, the traces, the logs and the usage.

Texts, scripts and results stay where they are: only names, ids, numbers and kinds of errors are noted.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.tracers.context import register_configure_hook

from dolphin.sessions import Call
from server.logs import bound_to
from server.metrics import Metrics
from server.tracing import Tracer, span
from server.usage import Usage

if TYPE_CHECKING:
    from server.runs import Run

# How a handler reaches every model that a graph calls, whatever config the graph makes for it.
_handler: ContextVar[BaseCallbackHandler | None] = ContextVar("handler", default=None)
register_configure_hook(_handler, inheritable=True)


class Spent(Protocol):
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class Observation:
    metrics: Metrics
    usage: Usage
    tracer: Tracer | None = None

    @asynccontextmanager
    async def run(self, run: Run, spent: Spent) -> AsyncIterator[None]:
        """Around an attempt to execute a run; the tokens it takes are added to `spent`."""
        names = {"run_id": run.run_id, "thread_id": run.thread_id}
        attributes: dict[str, str | int] = {**names, "graph": run.graph_id, "attempt": run.attempt, "owner": run.owner}
        token = _handler.set(_Models(self, spent))
        try:
            with bound_to(**names), span(self.tracer, f"run {run.graph_id}", attributes):
                async with self.metrics.run(run):
                    yield
        finally:
            _handler.reset(token)

    @contextmanager
    def request(self, method: str, path: str) -> Iterator[Callable[[int], None]]:
        """Around a request; to be called with the status of its answer."""
        attributes: dict[str, str | int] = {"http.request.method": method, "url.path": path}
        with span(self.tracer, f"{method} request", attributes) as current:
            yield lambda status: None if current is None else current.set_attribute("http.response.status_code", status)

    def dolphindb(self, call: Call) -> None:
        """After a script or function was run in a session."""
        self.metrics.dolphindb_call(call.seconds, call.rows)
        if call.error:
            self.metrics.error(call.error, "dolphindb")
        if call.script:
            self.usage.add_script(call.thread_id, call.rows)
        if self.tracer is not None:
            ended = time.time_ns()
            begun = self.tracer.start_span(
                "dolphindb", start_time=ended - int(call.seconds * 1e9),
                attributes={"thread_id": call.thread_id, "environment": call.environment_id, "rows": call.rows},
            )  # fmt: skip
            if call.error:
                begun.set_attribute("error.type", call.error)
            begun.end(ended)


class _Models(BaseCallbackHandler):
    """Of one run: the calls of its models under way."""

    # Called at once where things happen, and not by way of a thread: it is told of every token.
    run_inline = True

    def __init__(self, observation: Observation, spent: Spent) -> None:
        self._observation = observation
        self._spent = spent
        self._calls: dict[UUID, tuple[str, float, Any]] = {}

    @property
    def ignore_chain(self) -> bool:
        return True

    @property
    def ignore_retriever(self) -> bool:
        return True

    @property
    def ignore_custom_event(self) -> bool:
        return True

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], *, run_id: UUID,  # noqa: ARG002
        metadata: dict[str, Any] | None = None, **_: Any,
    ) -> None:  # fmt: skip
        self._begun(run_id, metadata)

    def on_llm_start(
        self, serialized: dict[str, Any], prompts: list[str], *, run_id: UUID,  # noqa: ARG002
        metadata: dict[str, Any] | None = None, **_: Any,
    ) -> None:  # fmt: skip
        self._begun(run_id, metadata)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        used = {"input_tokens": 0, "output_tokens": 0}
        for generations in response.generations:
            for generation in generations:
                usage = (
                    getattr(generation.message, "usage_metadata", None)
                    if isinstance(generation, ChatGeneration)
                    else None
                )
                for name in used:
                    used[name] += (usage or {}).get(name, 0)
        self._ended(run_id, used, "")

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        self._ended(run_id, {}, type(error).__name__)

    def _begun(self, run_id: UUID, metadata: dict[str, Any] | None) -> None:
        model = str((metadata or {}).get("ls_model_name") or "unnamed")
        tracer = self._observation.tracer
        started = None if tracer is None else tracer.start_span("model", attributes={"gen_ai.request.model": model})
        self._calls[run_id] = model, time.perf_counter(), started

    def _ended(self, run_id: UUID, used: dict[str, int], error: str) -> None:
        call = self._calls.pop(run_id, None)
        if call is None:
            return
        model, begun, started = call
        self._spent.input_tokens += used.get("input_tokens", 0)
        self._spent.output_tokens += used.get("output_tokens", 0)
        metrics = self._observation.metrics
        metrics.model_call(model, time.perf_counter() - begun, **used)
        if error:
            metrics.error(error, "model")
        if started is not None:
            started.set_attributes({f"gen_ai.usage.{name}": value for name, value in used.items()})
            if error:
                started.set_attribute("error.type", error)
            started.end()
