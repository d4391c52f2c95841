"""Who runs, and on which thread: read from LangGraph's runtime in one place."""

from __future__ import annotations

from dataclasses import dataclass

from langgraph.runtime import Runtime

from core.settings import Settings
from graph.state import RunContext


@dataclass(frozen=True)
class RunScope:
    owner: str
    thread_id: str
    run_id: str | None
    allowed_effects: tuple[str, ...]
    interactive: bool
    max_steps: int


def run_scope(runtime: Runtime[RunContext], settings: Settings) -> RunScope:
    """The scope of a run. A server that authenticates users says who they are; else the context does.

    A run may allow fewer effects than the settings do, never more.
    """
    context = runtime.context or RunContext()
    execution = runtime.execution_info
    user = runtime.server_info.user if runtime.server_info else None
    allowed: tuple[str, ...] = settings.allowed_effects
    if context.allowed_effects is not None:
        allowed = tuple(effect for effect in allowed if effect in context.allowed_effects)
    return RunScope(
        owner=user.identity if user else context.owner,
        thread_id=(execution.thread_id or execution.run_id if execution else None) or "stateless",
        run_id=execution.run_id if execution else None,
        allowed_effects=allowed,
        interactive=context.interactive,
        max_steps=min(context.max_steps or settings.max_steps, settings.max_steps),
    )
