"""Who runs, and on which thread: read from LangGraph's runtime in one place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from langgraph.runtime import Runtime

from core.errors import InvalidInputError
from core.settings import Settings
from graph.state import RunContext


@dataclass(frozen=True)
class RunScope:
    """`time_zone` None is the machine's own."""

    owner: str
    thread_id: str
    run_id: str | None
    allowed_effects: tuple[str, ...]
    interactive: bool
    max_steps: int
    rewrite: bool
    as_written: tuple[str, ...]
    time_zone: tzinfo | None


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
        rewrite=settings.rewrite_questions if context.rewrite is None else context.rewrite,
        as_written=tuple(context.as_written),
        time_zone=_zone(context.time_zone or settings.time_zone),
    )


def _zone(name: str | None) -> tzinfo | None:
    try:
        return ZoneInfo(name) if name is not None else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInputError(f"There is no time zone {name!r}.", "Use an IANA name such as Asia/Shanghai.") from None
