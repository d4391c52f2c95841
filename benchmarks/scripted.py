"""The agent with a model that replies by rule in this process and a DolphinDB that always gives the same answer.

What is left is the graph itself and Postgres, which is real.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from pydantic import SecretStr

from core.migrations import migrate
from core.models import ModelEntry, ModelRegistry, Role
from core.postgres import Pool, database_url, open_pool, release_database
from core.settings import Settings, load_settings
from core.threads import Threads
from dolphin.catalog import Catalog
from dolphin.environment import Environment
from dolphin.results import python_result
from dolphin.sessions import Outcome, Sessions
from dolphin.values import Result
from graph.host import Host, open_deps

SCRIPT = "select avg(price) as avg_price, sum(qty) as qty from trades where sym = `AAPL group by bar(ts, 60000)"
FORTY_TWO = python_result(42)
SUMMARY = "The user asks for the average price of AAPL, day by day; each was found with one query on trades. " * 8
ANSWER = "The average price of AAPL is 42; the table above has it minute by minute."


class ScriptedModel(BaseChatModel):
    """Runs one script, then ends the task with an answer. Without tools, it summarises."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **options: Any) -> Runnable[LanguageModelInput, AIMessage]:
        return self.bind(tools=list(tools), **options)

    def _generate(self, messages: list[BaseMessage], *_arguments: Any, **options: Any) -> ChatResult:
        if not options.get("tools"):
            return ChatResult(generations=[ChatGeneration(message=AIMessage(SUMMARY))])
        last = messages[-1]
        if isinstance(last, ToolMessage):
            call = {"name": "attempt_completion", "args": {"answer": ANSWER}, "id": f"done-{last.tool_call_id}"}
        else:
            call = {"name": "run_dolphindb_script", "args": {"script": SCRIPT}, "id": f"run-{last.id}"}
        usage = {"input_tokens": 900, "output_tokens": 40, "total_tokens": 940}
        reply = AIMessage("", tool_calls=[{**call, "type": "tool_call"}], usage_metadata=usage)
        return ChatResult(generations=[ChatGeneration(message=reply)])

    async def _agenerate(self, messages: list[BaseMessage], *_arguments: Any, **options: Any) -> ChatResult:
        return self._generate(messages, **options)


class ScriptedRegistry(ModelRegistry):
    """Both roles are played by one ScriptedModel, under the name of a model with a window of `context_tokens`."""

    def __init__(self, context_tokens: int) -> None:
        entry = ModelEntry(name="scripted", model="scripted", context_tokens=context_tokens)
        super().__init__({"scripted": entry}, {"planner": "scripted", "actor": "scripted"}, {})
        self._model = ScriptedModel()

    def chat_model(self, role: Role) -> BaseChatModel:  # noqa: ARG002
        return self._model


class ScriptedSessions(Sessions):
    """Answers every script with the same value at once, without a server."""

    def __init__(self, result: Result) -> None:
        super().__init__()
        self._result = result

    async def run(self, *_arguments: Any, **_options: Any) -> Outcome:
        return Outcome(self._result, 0.0)


@asynccontextmanager
async def open_database() -> AsyncIterator[tuple[Settings, Pool]]:
    """A private Postgres of this run's own, migrated."""
    with TemporaryDirectory(prefix="ddb-agent-bench-", ignore_cleanup_errors=True) as folder:
        settings = load_settings(_env_file=None, data_dir=Path(folder), database_url=None, dolphindb_host=None)
        try:
            async with open_pool(partial(database_url, settings)) as pool:
                await migrate(pool)
                yield settings, pool
        finally:
            release_database(settings)


@asynccontextmanager
async def scripted_host(
    settings: Settings, pool: Pool, *, result: Result = FORTY_TWO, context_tokens: int = 32_000
) -> AsyncIterator[Host]:
    """The whole agent over the scripted model."""
    sessions = ScriptedSessions(result)
    environment = Environment("default", "127.0.0.1", 1, "nobody", SecretStr(""))

    async def resolve(_owner: str, _reference: str) -> Environment:
        return environment

    async with open_deps(settings, pool) as opened:
        deps = replace(
            opened,
            models=ScriptedRegistry(context_tokens),
            sessions=sessions,
            catalog=Catalog(sessions),
            environment=resolve,
        )
        yield Host(settings, deps, pool, Threads(pool, artifacts=deps.artifacts))
