"""What the graph is built from. Live things stay here and never enter the state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from langgraph.store.base import BaseStore

from core.artifacts import Artifacts
from core.ledger import Ledger
from core.models import ModelRegistry
from core.settings import Settings
from dolphin.catalog import Catalog
from dolphin.environment import Environment
from dolphin.sessions import Sessions
from provision.service import Environments
from rag.knowledge import KnowledgeBase


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Deps:
    """`environment(owner, id)` resolves the reference that a thread holds; it may start the embedded engine. `now`
    tells the time, with its zone."""

    settings: Settings
    models: ModelRegistry
    sessions: Sessions
    catalog: Catalog
    artifacts: Artifacts
    ledger: Ledger
    knowledge: KnowledgeBase
    environments: Environments
    store: BaseStore
    environment: Callable[[str, str], Awaitable[Environment]]
    now: Callable[[], datetime] = utc_now
