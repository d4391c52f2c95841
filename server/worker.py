"""The worker: claims runs, executes them, keeps their leases, gives back what it cannot end."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import psycopg
from langgraph.errors import EmptyInputError, GraphDrained, GraphRecursionError, is_invalid_resume
from langgraph.runtime import RunControl
from psycopg.errors import ProgramLimitExceeded
from psycopg_pool import PoolTimeout

from core.errors import UserError
from core.postgres import Pool
from core.settings import Settings
from server.allocator import return_free_memory
from server.claims import Claims, End
from server.database import DATABASE_ERRORS
from server.events import ATTEMPT_STRIDE, FLUSH_SECONDS, EventLog, Live
from server.execution import Outcome, durability, execute, output_json
from server.graphs import Graphs
from server.json import dumps
from server.logs import bound_to
from server.observation import Observation
from server.runs import CancelAction, Run, Runs
from server.saver import CheckpointLog, Entry, RunLostError, RunSaver
from server.state import thread_interrupts
from server.webhooks import Webhooks

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
KEEP_SECONDS = 2.0
# So many runs at once leave enough memory unused to give it back.
BURST = 20
CLAIMED_AT_ONCE = 50
RETRY_SECONDS = 0.5
WEARY = (*DATABASE_ERRORS, PoolTimeout)
INVALID_RESUME = "InvalidResume"


@dataclass
class _Held:
    """A run in this worker's hands."""

    run: Run
    control: RunControl
    task: asyncio.Task[None] | None = None
    cancel: CancelAction | None = None
    lost: bool = False


@dataclass
class Worker:
    settings: Settings
    runs: Runs
    graphs: Graphs
    log: EventLog
    relaxed: Pool
    leases: Pool
    observation: Observation
    webhooks: Webhooks
    enabled: bool = True
    id: str = field(default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}")
    draining: bool = False
    lives: dict[str, Live] = field(default_factory=dict)
    _held: dict[str, _Held] = field(default_factory=dict)
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _waiting: dict[str, set[asyncio.Event]] = field(default_factory=dict)
    _most: int = 0

    def __post_init__(self) -> None:
        self._claims = Claims(self.runs.pool)
        # Over connections of their own: a worker with much to do would else find none in time, and lose its runs.
        self._leases = Claims(self.leases)
        self._checkpoints = CheckpointLog(self.relaxed, self.id, linger=FLUSH_SECONDS)
        self._strict = CheckpointLog(self.runs.pool, self.id)
        self.log.worker, self.log.written = self.id, self._shorten

    @property
    def free(self) -> int:
        return 0 if self.draining or not self.enabled else self.settings.run_concurrency - len(self._held)

    @property
    def active(self) -> int:
        return len(self._held)

    @property
    def claims_as(self) -> str | None:
        """The name to begin a new run under, when there is room for one here."""
        return self.id if self.free > 0 else None

    def wake(self) -> None:
        """There may be a run to claim."""
        self._wanted.set()

    # Those who follow runs.

    def announce(self, run_id: str) -> None:
        """Something happened to a run: whoever waits for it looks again."""
        for event in self._waiting.get(run_id, ()):
            event.set()

    async def news(self, run_id: str, seconds: float) -> None:
        """Returns when something happens to a run that is not executed here, or after `seconds`."""
        event = asyncio.Event()
        self._waiting.setdefault(run_id, set()).add(event)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await event.wait()
        finally:
            waiting = self._waiting[run_id]
            waiting.discard(event)
            if not waiting:
                del self._waiting[run_id]

    # The life of a run.

    def start(self, run: Run) -> Live:
        """Executes a run this worker has claimed."""
        if (known := self._held.get(run.run_id)) is not None:
            # Word of a claim came so late that the run was given back and claimed here once more: the later one counts.
            if known.run.attempt >= run.attempt:
                return self.lives[run.run_id]
            self.lose(run.run_id)
        live = Live(run.run_id, run.attempt)
        held = _Held(run, RunControl(), cancel=run.cancel)
        self._held[run.run_id] = held
        self._most = max(self._most, len(self._held))
        self.lives[run.run_id] = live
        if run.watched:
            self.log.watch(run.run_id)
        held.task = asyncio.create_task(self._carry(held, live), name=f"run {run.run_id}")
        self.announce(run.run_id)
        return live

    def executes(self, owner: str, thread_id: str, run_id: str) -> Run | None:
        """An owner's run that executes here, as it was when it began."""
        held = self._held.get(run_id)
        if held is None or (held.run.owner, held.run.thread_id) != (owner, thread_id):
            return None
        return held.run

    def cancel(self, run_id: str, action: CancelAction) -> None:
        held = self._held.get(run_id)
        if held is not None and held.cancel is None:
            held.cancel = action
            if held.task is not None:
                held.task.cancel()

    def lose(self, run_id: str) -> None:
        """The run is another's, or gone: stop without a word."""
        held = self._held.get(run_id)
        if held is not None and not held.lost:
            held.lost = True
            if held.task is not None:
                held.task.cancel()

    async def _carry(self, held: _Held, live: Live) -> None:
        run = held.run
        waits = False
        try:
            with bound_to(run_id=run.run_id, thread_id=run.thread_id):
                waits = await self._logged(held, live)
        except asyncio.CancelledError:
            if not held.lost:
                raise
        finally:
            if self._held.get(run.run_id) is held:
                del self._held[run.run_id]
                self.log.drop(run.run_id)
            if not live.done:
                self._forget(run.run_id, live)
                live.finish(None)
            self.announce(run.run_id)
            asyncio.get_running_loop().call_later(KEEP_SECONDS, self._forget, run.run_id, live)
            if not self._held and self._most >= BURST:
                asyncio.get_running_loop().call_later(KEEP_SECONDS + 0.1, self._settle)
            if waits or self.free == 1:
                self.wake()

    async def _logged(self, held: _Held, live: Live) -> bool:
        try:
            return await self._until_end(held, live)
        except asyncio.CancelledError:
            logger.info("the run is let go" if held.lost else "the run is cut short")
            raise
        except Exception:
            logger.exception("the end of a run could not be written")
            return False

    def _settle(self) -> None:
        """After many runs at once, when none is under way."""
        if not self._held and self._most >= BURST:
            self._most = 0
            return_free_memory()

    def _shorten(self, run_id: str, number: int) -> None:
        if (live := self.lives.get(run_id)) is not None:
            live.shorten(number)

    def _forget(self, run_id: str, live: Live) -> None:
        if self.lives.get(run_id) is live:
            del self.lives[run_id]

    async def _until_end(self, held: _Held, live: Live) -> bool:
        """Attempts until one ends. An attempt that the database left in the lurch is followed by another."""
        while True:
            outcome = Outcome()
            try:
                async with self.observation.run(held.run, outcome):
                    return await self._attempt(held, live, outcome)
            except RunLostError as error:
                held.lost = True
                logger.warning("%s", error)
                return False
            except WEARY as error:
                logger.warning("the run waits for the database: %s", error)
                again = await self._when_back(held)
                if again is None:
                    held.lost = True
                    return False
                if again.attempt > self.settings.run_attempts:
                    # The database is well; it is the graph's own that is not.
                    return await self._failed(held, live, outcome, error)
                held.run = again
                held.control = RunControl()
                live.number = max(live.number, (again.attempt - 1) * ATTEMPT_STRIDE)

    async def _when_back(self, held: _Held) -> Run | None:
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            try:
                # What there is to say of this attempt can be said only before the next.
                await self.log.flush()
                return await self._claims.again(self.id, held.run, self.settings.run_lease_seconds)
            except WEARY:
                continue

    async def _attempt(self, held: _Held, live: Live, outcome: Outcome) -> bool:
        run = held.run
        log = self.log

        def emit(name: str, data: Any) -> None:
            if held.lost:
                return
            log.add(run.run_id, live.append(name, data))

        try:
            if held.cancel is not None:
                raise asyncio.CancelledError
            if run.attempt == 1 and (run.kwargs.get("command") is not None or run.kwargs.get("input") is None):
                await self._claims.keep_base_writes(run, self.id, await self._base_writes(run))
            async with asyncio.timeout(self.settings.run_timeout):
                await execute(run, self.graphs, self.relaxed, self._saver(run), emit, held.control, outcome)
        except asyncio.CancelledError:
            if held.cancel is None:
                # Lost, or this process ends.
                raise
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            return await self._cancelled(held, live, outcome)
        except GraphDrained:
            await self.log.flush()
            await self._claims.release(self.id, run)
            return False
        except (*WEARY, RunLostError):
            raise
        except TimeoutError as error:
            return await self._failed(held, live, outcome, error, status="timeout")
        except Exception as error:
            if (cause := _cause(error)) is not None:
                raise cause from error
            if (mistake := _mistake(error)) is not None:
                logger.warning("the run failed: %s", mistake)
            else:
                logger.exception("the run failed")
            return await self._failed(held, live, outcome, error)
        status = "interrupted" if outcome.stopped else "idle"
        end = self._end("success", status, outcome)
        try:
            return await self._finish(held, live, end, outcome.rest)
        except (*WEARY, RunLostError):
            raise
        except psycopg.Error as error:
            return await self._failed(held, live, outcome, error)

    def _saver(self, run: Run) -> RunSaver:
        if durability(run, self.graphs) == "sync":
            return RunSaver(self.runs.pool, self._strict, run.run_id, run.attempt, blank=run.blank)
        return RunSaver(self.relaxed, self._checkpoints, run.run_id, run.attempt, waits=False, blank=run.blank)

    async def _base_writes(self, run: Run) -> list[tuple[str, int]]:
        async with self.runs.pool.connection() as held:
            cursor = await held.execute(
                "SELECT task_id, idx FROM checkpoint_writes WHERE thread_id = %(thread)s AND checkpoint_ns = ''"
                " AND checkpoint_id = (SELECT checkpoint_id FROM checkpoints WHERE thread_id = %(thread)s"
                " AND checkpoint_ns = '' ORDER BY checkpoint_id DESC LIMIT 1)",
                {"thread": run.thread_id},
            )
            return [(row["task_id"], row["idx"]) for row in await cursor.fetchall()]

    async def _cancelled(self, held: _Held, live: Live, outcome: Outcome) -> bool:
        run = held.run
        if held.cancel == "rollback":
            await self.log.take(run.run_id)
            waits = await self._claims.roll_back(run, self.id)
            live.finish(b"{}")
            return waits
        error = {"error": "UserInterrupt", "message": "The run was cancelled."}
        await self._look(run, outcome)
        end = self._end("interrupted", "interrupted" if outcome.stopped else "idle", outcome, error)
        return await self._finish(held, live, end)

    async def _failed(
        self, held: _Held, live: Live, outcome: Outcome, error: BaseException, *, status: str = "error"
    ) -> bool:
        said = {"error": type(error).__name__, "message": str(error)}
        if status == "timeout":
            said = {"error": "TimeoutError", "message": f"The run took longer than {self.settings.run_timeout:g} s."}
        thread_status = "error"
        if is_invalid_resume(error):
            said["error"] = INVALID_RESUME
            thread_status = "interrupted"
        self.observation.metrics.error(said["error"])
        await self._look(held.run, outcome)
        self.log.add(held.run.run_id, live.append("error", said))
        end = self._end(status, thread_status, outcome, said)
        return await self._finish(held, live, end)

    async def _look(self, run: Run, outcome: Outcome) -> None:
        """What an attempt that did not come to its end left in the thread."""
        try:
            async with self.graphs.open(run.graph_id) as graph:
                state = await graph.aget_state({"configurable": {"thread_id": run.thread_id}})
        except WEARY:
            raise
        except Exception:
            # A run must end also when its graph can neither be made nor read its state.
            logger.exception("the state of the thread cannot be read")
            return
        outcome.values = state.values
        outcome.interrupts = thread_interrupts(state)
        outcome.stopped = bool(state.next)

    def _end(self, status: str, thread_status: str, outcome: Outcome, error: dict[str, Any] | None = None) -> End:
        output = dumps({"__error__": error}) if error and status != "interrupted" else output_json(outcome)
        values: bytes | None = output
        if outcome.interrupted or (error and status != "interrupted"):
            values = dumps(outcome.values) if outcome.values is not None else None
        return End(
            status=status,
            thread_status=thread_status,
            values=values,
            output=None if output is values else output,
            interrupts=outcome.interrupts,
            error=error,
            input_tokens=outcome.input_tokens,
            output_tokens=outcome.output_tokens,
        )

    async def _finish(self, held: _Held, live: Live, end: End, steps: Sequence[Entry] = ()) -> bool:
        """Writes the end, however long the database takes to come back, unless the run is another's by then.

        When something in `steps` cannot be stored, those before it are, and its error is raised.
        """
        run = held.run
        events = await self.log.take(run.run_id)
        while True:
            try:
                ours, waits = await self._claims.finish(run, self.id, end, events, steps)
                break
            except (psycopg.DataError, ProgramLimitExceeded):
                if not steps:
                    raise
                for event in events:
                    self.log.add(run.run_id, event)
                await self._checkpoints.store(steps)
                raise
            except WEARY as error:
                logger.warning("the end of the run waits for the database: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
        if ours:
            self.observation.metrics.ended(run.graph_id, end.status)
            logger.info("the run ended: %s, attempt %s", end.status, run.attempt)
            live.finish(end.output or end.values)
            if run.webhook:
                self.webhooks.wake()
        return waits

    # The loops.

    async def claim_forever(self) -> None:
        while True:
            try:
                while await self._claim():
                    pass
            except WEARY as error:
                logger.warning("the queue cannot be read: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._wanted.wait()
            self._wanted.clear()

    async def _claim(self) -> bool:
        if self.free <= 0:
            return False
        claimed = await self._claims.claim(
            self.id, self.graphs.names, min(self.free, CLAIMED_AT_ONCE), self.settings.run_lease_seconds
        )
        for run in claimed:
            self.start(run)
        return bool(claimed)

    async def beat_forever(self) -> None:
        interval = self.settings.run_lease_seconds / 4
        while True:
            await asyncio.sleep(interval)
            try:
                known = list(self._held)
                if known:
                    kept = await self._leases.beat(self.id, known, self.settings.run_lease_seconds)
                    for run_id in known:
                        if run_id not in kept:
                            self._check_lost(run_id)
                        elif (action := kept[run_id]) is not None:
                            self.cancel(run_id, action)
                if self.enabled and not self.draining and await self._leases.reap(self.settings.run_attempts):
                    self.wake()
            except WEARY as error:
                logger.warning("leases cannot be renewed: %s", error)

    def _check_lost(self, run_id: str) -> None:
        held = self._held.get(run_id)
        # A run that ended while its lease was being renewed is not lost.
        live = self.lives.get(run_id)
        if held is not None and live is not None and not live.done:
            self.lose(run_id)

    async def drain(self) -> None:
        """Takes no more runs; those under way stop at their next step, or are cut short in the end, and go back."""
        self.draining = True
        for held in self._held.values():
            held.control.request_drain()
        tasks = [held.task for held in self._held.values() if held.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self.settings.drain_seconds)
            for held in list(self._held.values()):
                if held.task in late and held.task is not None:
                    held.lost = True
                    held.task.cancel()
                    with suppress(asyncio.CancelledError):
                        await held.task
                    with suppress(*WEARY):
                        await self._claims.release(self.id, held.run)


def _mistake(error: Exception) -> str | None:
    """What a user did wrong, in a line; None for an error that nobody foresaw."""
    if isinstance(error, UserError):
        return " ".join(f"{type(error).__name__}: {error}".split())
    if is_invalid_resume(error):
        # Its text repeats the answer.
        return INVALID_RESUME
    return type(error).__name__ if isinstance(error, EmptyInputError | GraphRecursionError) else None


def _cause(error: BaseException) -> BaseException | None:
    """The error below a graph's: the run was lost, or the database is away. None for the graph's own."""
    seen: BaseException | None = error
    for _ in range(8):
        if seen is None:
            return None
        if isinstance(seen, RunLostError):
            return seen
        if isinstance(seen, WEARY) and (type(seen).__module__ or "").startswith("psycopg"):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None
