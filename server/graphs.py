"""The graphs that are served: compiled ones, builders, and factories of either."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from copy import copy
from typing import Any, Literal, TypeAlias, cast

from langchain_core.runnables import RunnableConfig
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel
from langgraph.store.base import BaseStore
from langgraph_sdk.runtime import ServerRuntime, _ExecutionRuntime, _ReadRuntime
from pydantic import BaseModel

from core.errors import ConfigurationError, InvalidInputError
from core.postgres import Pool
from server.config import ServerConfig, load_object
from server.saver import RunSaver
from server.store import OwnedStore

Graph: TypeAlias = Pregel[Any, Any, Any, Any]
Access: TypeAlias = Literal["threads.create_run", "threads.update", "threads.read", "assistants.read"]


@dataclasses.dataclass
class _Source:
    """`made` is the graph when it is the same for everybody; else `factory` makes one for each use."""

    name: str
    made: Graph | None = None
    factory: Callable[..., Any] | None = None


class Graphs:
    """Opens the graphs by name, each use with a checkpointer of its own over the shared pool."""

    def __init__(self, pool: Pool, store: BaseStore) -> None:
        self._pool = pool
        self._store = store
        self._sources: dict[str, _Source] = {}
        self.descriptions: dict[str, str] = {}

    @property
    def names(self) -> list[str]:
        return list(self._sources)

    def __contains__(self, name: str) -> bool:
        return name in self._sources

    def context_schema(self, name: str) -> Any:
        """What the context of a graph is like; None also for one that is made anew for each use."""
        return getattr(self._sources[name].made, "context_schema", None)

    async def load(self, config: ServerConfig, stack: AsyncExitStack) -> None:
        """Imports every graph. What a factory without arguments opens stays open until `stack` is left."""
        self.descriptions = dict(config.descriptions)
        for name, where in config.graphs.items():
            found = await asyncio.to_thread(load_object, where, config.directory)
            await self.add(name, found, stack)

    async def add(self, name: str, found: Any, stack: AsyncExitStack) -> None:
        if not isinstance(found, Pregel | StateGraph) and callable(found) and inspect.signature(found).parameters:
            self._sources[name] = _Source(name, factory=found)
            return
        made = await _entered(found() if not isinstance(found, Pregel | StateGraph) else found, stack)
        self._sources[name] = _Source(name, made=_compiled(name, made))

    def durability(self, name: str) -> str | None:
        """What a graph demands of all its runs, by the metadata of its config; None leaves it to the request."""
        source = self._sources.get(name)
        made = source.made if source is not None else None
        demanded = ((made.config or {}).get("metadata") or {}).get("durability") if made is not None else None
        return demanded if demanded in ("sync", "async", "exit") else None

    @asynccontextmanager
    async def open(
        self,
        name: str,
        *,
        config: Mapping[str, Any] | None = None,
        access: Access = "threads.read",
        user: Any = None,
        context: Any = None,
        owner: str = "",
        saver: RunSaver | None = None,
    ) -> AsyncIterator[Graph]:
        """The graph for one use. `owner` is whose part of the store it sees; `saver` is for a run, else one is made."""
        source = self._sources.get(name)
        if source is None:
            raise InvalidInputError(f"The graph {name!r} is not served.", f"Served are: {', '.join(self.names)}.")
        async with AsyncExitStack() as stack:
            if source.made is not None:
                graph = copy(source.made)
            else:
                assert source.factory is not None
                made = self._call(source.factory, config, access, user, context, owner)
                graph = copy(_compiled(name, await _entered(made, stack)))
            saver = saver or RunSaver(self._pool)
            stack.push_async_callback(saver.close)
            graph.checkpointer = saver
            graph.store = OwnedStore(self._store, owner)
            graph.name = name
            yield graph

    def _call(
        self,
        factory: Callable[..., Any],
        config: Mapping[str, Any] | None,
        access: Access,
        user: Any,
        context: Any,
        owner: str,
    ) -> Any:
        parameters = inspect.signature(factory, eval_str=False).parameters
        arguments: dict[str, Any] = {}
        for name, parameter in parameters.items():
            annotation = str(parameter.annotation)
            if "ServerRuntime" in annotation or name == "runtime":
                arguments[name] = self._runtime(access, user, context, OwnedStore(self._store, owner))
            elif "RunnableConfig" in annotation or name == "config" or not arguments:
                arguments[name] = RunnableConfig(**cast("RunnableConfig", dict(config or {})))
            elif parameter.default is inspect.Parameter.empty:
                raise ConfigurationError(
                    f"The factory of a graph takes config and runtime, not {name!r}.", "Correct the factory."
                )
        return factory(**arguments)

    def _runtime(self, access: Access, user: Any, context: Any, store: BaseStore) -> ServerRuntime[Any]:
        if access == "threads.create_run":
            return _ExecutionRuntime(access_context=access, user=user, store=store, context=context)
        return _ReadRuntime(access_context=access, user=user, store=store)


async def _entered(made: Any, stack: AsyncExitStack) -> Any:
    if inspect.isawaitable(made):
        made = await made
    if hasattr(made, "__aenter__"):
        return await stack.enter_async_context(made)
    if hasattr(made, "__enter__") and not isinstance(made, Pregel | StateGraph):
        return stack.enter_context(made)
    return made


def _compiled(name: str, found: Any) -> Graph:
    if isinstance(found, StateGraph):
        return found.compile()
    if isinstance(found, Pregel):
        return found
    raise ConfigurationError(
        f"The graph {name!r} is a {type(found).__name__}.",
        "langgraph.json names a compiled graph, a StateGraph, or a function that makes one.",
    )


def context_fields(graph: Graph) -> set[str] | None:
    """The names a graph's context may have; None when it takes none or any."""
    schema = getattr(graph, "context_schema", None)
    if schema is None:
        return None
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return set(schema.model_fields)
    if dataclasses.is_dataclass(schema):
        return {item.name for item in dataclasses.fields(schema)}
    return set(getattr(schema, "__annotations__", {}))
