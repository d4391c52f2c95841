"""How a question is read before acting on it: what it says made explicit, and what was answered before that is like it.

No model is called. The outcome lies on the question's own message, so that whoever reads the conversation later, model
or person, reads the question as it was acted upon.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from langchain_core.messages import AnyMessage, HumanMessage

from core.errors import UserError
from dolphin.environment import DEFAULT_ENVIRONMENT, Environment
from graph.column_values import ColumnValues, worth_asking
from graph.history import UNDERSTOOD, understood_of
from graph.scope import RunScope
from graph.state import Pin, QuestionChange, State, Understood
from graph.trading_calendar import TradingCalendar
from rag.memory.examples import Example
from rag.memory.recall import Memory, Recall
from rag.rewriting import Clock, Rewriting, Values, rewrite
from rag.rewriting.clock import weekdays
from rag.rewriting.follow_up import joined, refers_back
from rag.rewriting.times import TRADING

if TYPE_CHECKING:
    from graph.deps import Deps

log = logging.getLogger(__name__)

MAX_QUESTION = 2_000
MAX_EXAMPLES = 3
WEEKDAYS_ONLY = (
    "Trading days are counted as Monday to Friday: no holidays are known"
    " (name a calendar of the server in DDB_AGENT_TRADING_CALENDAR)."
)
NO_CALENDAR = (
    "Trading days are counted as Monday to Friday: the server has no calendar {market}, so no holidays are known."
)


@dataclass(frozen=True)
class Reading:
    """The question's message with what was understood on it, None when there is nothing to say; and the examples."""

    message: HumanMessage | None = None
    examples: Sequence[Example] = ()


class Understanding:
    """Reads questions; keeps what it has asked the store and DolphinDB for a while."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._recall = Recall(deps.store)
        self._values = ColumnValues(deps.catalog, deps.sessions)
        market = deps.settings.trading_calendar
        self._calendar = TradingCalendar(deps.sessions, market) if market else None

    async def read(self, asked: HumanMessage, state: State, scope: RunScope) -> Reading:
        """A new question."""
        question = asked.text
        if len(question) > MAX_QUESTION:
            return Reading()
        memory = await self._recall.of(scope.owner)
        pins = state.get("pins") or []
        rewriting = Rewriting(question)
        notes: list[str] = []
        if scope.rewrite:
            rewriting, notes = await self._rewritten(question, memory, pins, state, scope)
        schema = " ".join(pin["text"] for pin in pins)
        examples = memory.examples.similar(_standalone(question, asked, state), schema=schema, count=MAX_EXAMPLES)
        if not rewriting.changes and not examples:
            return Reading()
        understood = Understood(
            text=rewriting.text,
            changes=[
                QuestionChange(kind=change.kind, original=change.original.strip(), replacement=change.replacement)
                for change in rewriting.changes
            ],
            examples=[example.id for example in examples],
            notes=notes,
        )
        kwargs = {**asked.additional_kwargs, UNDERSTOOD: understood}
        return Reading(asked.model_copy(update={"additional_kwargs": kwargs}), examples)

    async def again(self, asked: HumanMessage, scope: RunScope) -> Reading:
        """A question that was read at an earlier step; what was forgotten meanwhile is left out."""
        understood = understood_of(asked)
        if understood is None or not understood["examples"]:
            return Reading()
        held = (await self._recall.of(scope.owner)).examples.examples
        return Reading(examples=[held[key] for key in understood["examples"] if key in held])

    async def _rewritten(
        self, question: str, memory: Memory, pins: Sequence[Pin], state: State, scope: RunScope
    ) -> tuple[Rewriting, list[str]]:
        clock = Clock(self._deps.now().astimezone(scope.time_zone))
        rewriting = rewrite(question, clock, terms=memory.terms).without(*scope.as_written)
        counts_trading_days = any(
            change.kind == "time" and TRADING.search(change.original) for change in rewriting.changes
        )
        wants_values = worth_asking(rewriting.rest, pins)
        values: Sequence[Values] = ()
        calendar = self._calendar if counts_trading_days else None
        if wants_values or calendar is not None:
            environment = await self._environment(state, scope)
            if environment is not None:
                session = self._session(scope, environment)
                if wants_values:
                    values = await self._values.of(environment, session, question, pins)
                if calendar is not None:
                    clock = Clock(clock.now, await calendar.of(environment, session, clock.today) or weekdays)
            rewriting = rewrite(question, clock, terms=memory.terms, values=values).without(*scope.as_written)
        if not counts_trading_days or clock.is_trading_day is not weekdays:
            return rewriting, []
        return rewriting, [NO_CALENDAR.format(market=calendar.market) if calendar else WEEKDAYS_ONLY]

    def _session(self, scope: RunScope, environment: Environment) -> str:
        """The thread's own session when it has one. None is opened for it: that the last one was lost is still to be
        told."""
        held = self._deps.sessions.has_session(scope.thread_id, environment.id)
        return scope.thread_id if held else f"catalog {scope.owner}"

    async def _environment(self, state: State, scope: RunScope) -> Environment | None:
        try:
            return await self._deps.environment(scope.owner, state.get("environment") or DEFAULT_ENVIRONMENT)
        except UserError as error:
            log.info("nothing was looked up for the question: %s", error)
            return None


def event(reading: Reading) -> dict[str, object]:
    """What a run's stream tells of it."""
    understood = understood_of(reading.message)
    assert understood is not None
    return {
        "event": "understood",
        "text": understood["text"],
        "changes": understood["changes"],
        "notes": understood["notes"],
        "examples": [{"id": example.id, "question": example.question} for example in reading.examples],
    }


def _standalone(question: str, asked: HumanMessage, state: State) -> str:
    if not refers_back(question):
        return question
    earlier: Sequence[AnyMessage] = state["messages"]
    before = [message.text for message in earlier if isinstance(message, HumanMessage) and message.id != asked.id]
    return joined(before[-1], question) if before else question
