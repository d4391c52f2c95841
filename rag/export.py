"""The retrieval graph as LangGraph's own server and Studio take it."""

from __future__ import annotations

import asyncio

from langgraph.graph.state import CompiledStateGraph

from core.models import ModelRegistry
from core.settings import load_settings
from rag.knowledge import KnowledgeBase
from rag.retrieval_graph import RetrievalDeps, RetrievalInput, RetrievalOutput, RetrievalState, build_retrieval_graph

_deps: list[RetrievalDeps] = []


def _open() -> RetrievalDeps:
    settings = load_settings()
    return RetrievalDeps.configured(KnowledgeBase(settings), ModelRegistry.load(settings))


async def retrieval() -> CompiledStateGraph[RetrievalState, None, RetrievalInput, RetrievalOutput]:
    """The graph over this process' knowledge base, without a checkpointer, which the server adds."""
    if not _deps:
        _deps.append(await asyncio.to_thread(_open))
    return build_retrieval_graph(_deps[0]).compile()
