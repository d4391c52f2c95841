"""The sessions that threads keep on DolphinDB servers."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from core.errors import (
    DolphinDBError,
    DolphinDBTimeoutError,
    DolphinDBUnavailableError,
    TooManySessionsError,
)
from dolphin import blocking
from dolphin.blocking import close_after, connect, in_thread
from dolphin.connection import Connection
from dolphin.environment import Environment
from dolphin.quoting import identifier
from dolphin.values import Result

T = TypeVar("T")
Key = tuple[str, str]

LOST = "The session was lost; its variables are gone."
STOP_SECONDS = 5.0
STOP_INTERVAL = 0.1
REMEMBERED = 10_000


@dataclass(frozen=True)
class Outcome:
    """What a script answered. `new_session` tells that no variable of an earlier call of the thread can be there."""

    value: Result
    elapsed_ms: float
    printed: str = ""
    notice: str | None = None
    new_session: bool = False


@dataclass(frozen=True)
class Call:
    """That something was asked in a thread's session, for whoever watches. `rows` were brought here; `error` is the
    kind of what was raised. `script` tells a script of the thread from the program's own questions."""

    thread_id: str
    environment_id: str
    seconds: float
    rows: int
    error: str
    script: bool


@dataclass
class _Held:
    """A thread's place among the sessions; `connection` is None until the first use and after a loss."""

    key: Key
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    connection: Connection | None = None
    used: float = 0.0
    users: int = 0
    had_session: bool = False
    notice: str | None = None
    fresh: bool = False


class Sessions:
    """One session per thread and environment, with its calls one after the other. Use it in one event loop.

    Sessions idle for `idle_seconds` are closed. At most `max_sessions` are open: a further thread takes the place of
    the one idle for longest, and if all are busy it gets TooManySessionsError. A thread whose session is gone is told
    so with its next result.
    """

    def __init__(self, *, idle_seconds: float = 1800.0, max_sessions: int = 32, row_limit: int = 100_000) -> None:
        self._idle_seconds = idle_seconds
        self._max_sessions = max_sessions
        self._row_limit = row_limit
        self._held: dict[Key, _Held] = {}
        self._reaper: asyncio.Task[None] | None = None
        self._closed = False
        self.observe: Callable[[Call], None] | None = None
        """Is told of every call when it has ended."""

    async def run(
        self,
        environment: Environment,
        thread_id: str,
        script: str,
        *,
        timeout: float = 120.0,  # noqa: ASYNC109
        row_limit: int | None = None,
        continued: bool = False,
    ) -> Outcome:
        """Runs `script` once in the thread's session and brings at most `row_limit` rows of its last value.

        `continued` says that the thread has run scripts before, maybe in another process: then it is told when this
        session is a new one.

        Raises DolphinDBError with the server's message; DolphinDBUnavailableError when there is no connection, whose
        `may_have_run` tells if it broke after the script was sent; DolphinDBTimeoutError after `timeout` seconds, when
        the job was cancelled on the server; TooManySessionsError. Cancelling the task cancels the job likewise.
        """
        limit = row_limit or self._row_limit
        async with self._use(environment, thread_id) as held:
            connection, notice, fresh = held.connection, held.notice, held.fresh
            assert connection is not None
            held.notice, held.fresh = None, False
            if fresh and continued:
                notice = LOST
            started = time.perf_counter()
            try:
                value = await self._work(
                    held, lambda connection: connection.run(script, limit), timeout, script, of_thread=True
                )
            except DolphinDBError as error:
                error.printed = connection.take_printed()
                if notice is not None and not isinstance(error, DolphinDBTimeoutError | DolphinDBUnavailableError):
                    error.remedy = f"{error.remedy} {notice}".strip()
                raise
            elapsed = (time.perf_counter() - started) * 1000
            return Outcome(value, elapsed, connection.take_printed(), notice, fresh)

    async def run_args(
        self,
        environment: Environment,
        thread_id: str,
        function: str,
        *arguments: Any,
        timeout: float = 120.0,  # noqa: ASYNC109
    ) -> Any:
        """Applies `function` to Python values sent as objects, never as script text, and returns what comes back."""
        async with self._use(environment, thread_id) as held:
            return await self._work(held, lambda connection: connection.call(function, arguments), timeout, function)

    async def read(
        self,
        environment: Environment,
        thread_id: str,
        script: str,
        *,
        timeout: float = 120.0,  # noqa: ASYNC109
        row_limit: int | None = None,
    ) -> Result:
        """Like `run`, for the program's own queries: a notice stays for the next `run`."""
        limit = row_limit or self._row_limit
        async with self._use(environment, thread_id) as held:
            return await self._work(held, lambda connection: connection.run(script, limit), timeout, script)

    async def evaluate(
        self,
        environment: Environment,
        thread_id: str,
        script: str,
        *,
        timeout: float = 120.0,  # noqa: ASYNC109
    ) -> Any:
        """Runs a script of the program's own, and returns its value as the client decodes it, in full."""
        async with self._use(environment, thread_id) as held:
            return await self._work(held, lambda connection: connection.evaluate(script), timeout, script)

    async def upload(
        self,
        environment: Environment,
        thread_id: str,
        variables: Mapping[str, Any],
        *,
        timeout: float = 120.0,  # noqa: ASYNC109
    ) -> None:
        """Sets session variables from Python values (a DataFrame becomes a table)."""
        for name in variables:
            identifier(name)
        async with self._use(environment, thread_id) as held:
            await self._work(held, lambda connection: connection.upload(variables), timeout, "upload")

    def has_session(self, thread_id: str, environment_id: str) -> bool:
        """Whether the thread has a session open here in the environment."""
        held = self._held.get((thread_id, environment_id))
        return held is not None and held.connection is not None

    async def close_thread(self, thread_id: str) -> None:
        """Closes the sessions of a thread, after their running calls."""
        await self._close([key for key in self._held if key[0] == thread_id])

    async def close_environment(self, environment_id: str) -> None:
        """Closes the sessions of all threads in an environment that is no more; one at work ends with its call."""
        await self._close([key for key, held in self._held.items() if key[1] == environment_id and not held.users])

    async def _close(self, keys: Sequence[Key]) -> None:
        for key in keys:
            held = self._held.get(key)
            if held is not None:
                async with held.lock:
                    await self._drop(held)
                if held.users == 0:
                    self._held.pop(key, None)

    async def aclose(self) -> None:
        """Closes every session. Running calls end with their connection."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reaper
            self._reaper = None
        for held in list(self._held.values()):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS), held.lock:
                    await self._drop(held)
        self._held.clear()

    @property
    def open_count(self) -> int:
        return sum(held.connection is not None for held in self._held.values())

    @contextlib.asynccontextmanager
    async def _use(self, environment: Environment, thread_id: str) -> AsyncIterator[_Held]:
        """The thread's place with a connection that answers, for one call at a time."""
        if self._closed:
            raise DolphinDBUnavailableError("The sessions are closed.", "Start the program again.")
        if self._reaper is None:
            self._reaper = asyncio.create_task(self._reap())
        key = (thread_id, environment.id)
        held = self._held.setdefault(key, _Held(key))
        held.users += 1
        try:
            async with held.lock:
                await self._make_ready(environment, held)
                yield held
        finally:
            held.users -= 1
            held.used = time.monotonic()

    async def _make_ready(self, environment: Environment, held: _Held) -> None:
        # Asked before the script is sent: only now is it certain that sending it cannot be the second time.
        if await self._answers(held):
            return
        await self._make_room(held)
        held.connection = await connect(environment)
        held.notice = LOST if held.had_session else None
        held.had_session = held.fresh = True

    async def _answers(self, held: _Held) -> bool:
        connection = held.connection
        if connection is None:
            return False
        future = in_thread(connection.alive)
        done, _ = await asyncio.wait([future], timeout=blocking.ANSWER_SECONDS)
        if done and future.result():
            return True
        held.connection = None
        close_after(future, connection)
        return False

    async def _make_room(self, wanting: _Held) -> None:
        # Places being connected count too: their lock is held though they have no connection yet.
        others = [held for held in self._held.values() if held is not wanting]
        taken = [held for held in others if held.connection is not None or held.lock.locked()]
        if len(taken) < self._max_sessions:
            return
        idle = [held for held in taken if held.users == 0]
        if not idle:
            raise TooManySessionsError(
                f"All {self._max_sessions} DolphinDB sessions are busy.",
                "Wait for a running script to end, or raise DDB_AGENT_MAX_SESSIONS.",
            )
        await self._drop(min(idle, key=lambda held: held.used))

    async def _drop(self, held: _Held) -> None:
        connection, held.connection = held.connection, None
        if connection is not None:
            await in_thread(connection.close)

    async def _reap(self) -> None:
        while True:
            await asyncio.sleep(min(self._idle_seconds / 4, 60.0))
            oldest = time.monotonic() - self._idle_seconds
            for held in list(self._held.values()):
                if held.users == 0 and held.connection is not None and held.used < oldest:
                    await self._drop(held)
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        gone = [(held.used, key) for key, held in self._held.items() if held.users == 0 and held.connection is None]
        for _, key in sorted(gone)[: max(len(gone) - REMEMBERED, 0)]:
            del self._held[key]

    async def _work(
        self,
        held: _Held,
        function: Callable[[Connection], T],
        limit: float,
        script: str,
        *,
        of_thread: bool = False,
    ) -> T:
        started, rows, failed = time.perf_counter(), 0, ""
        try:
            value = await self._carry_out(held, function, limit, script)
            rows = value.fetched if isinstance(value, Result) else 0
            return value
        except BaseException as error:
            failed = type(error).__name__
            raise
        finally:
            if self.observe is not None:
                self.observe(Call(*held.key, time.perf_counter() - started, rows, failed, of_thread))

    async def _carry_out(
        self,
        held: _Held,
        function: Callable[[Connection], T],
        limit: float,
        script: str,
    ) -> T:
        """`function` in a thread, stopped on the server when it takes over `limit` seconds or is cancelled."""
        connection = held.connection
        assert connection is not None
        future = in_thread(lambda: function(connection))
        try:
            done, _ = await asyncio.wait([future], timeout=limit)
        except asyncio.CancelledError:
            stopping = asyncio.ensure_future(self._stop(held, connection, future))
            while not stopping.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.shield(stopping)
            raise
        if not done and not await self._stop(held, connection, future):
            raise DolphinDBTimeoutError(
                f"The script took over {limit:g} s. The server was asked to cancel it but has not confirmed its end.",
                "It may still be running. Its session was given up; check its effects before you run it again.",
                script=script,
                stopped=False,
            )
        try:
            return future.result()
        except DolphinDBUnavailableError:
            await self._drop(held)
            raise
        except DolphinDBError:
            if done:
                raise
            raise DolphinDBTimeoutError(
                f"The script took over {limit:g} s and was cancelled on the server.",
                "Narrow it: filter on the partition column, or aggregate on the server. What it changed before stays.",
                script=script,
                stopped=True,
            ) from None

    async def _stop(self, held: _Held, connection: Connection, future: asyncio.Future[Any]) -> bool:
        """Cancels the job from a second connection until `future` ends; gives the session up if it does not."""
        environment, session_id = connection.environment, connection.session_id

        def cancel(given_up: threading.Event) -> None:
            with contextlib.suppress(DolphinDBError):
                second = Connection(environment)
                try:
                    # Repeated, since a job may not be listed yet, or be between two steps of its own.
                    while not given_up.wait(STOP_INTERVAL):
                        second.cancel(session_id)
                finally:
                    second.close()

        given_up = threading.Event()
        cancelling = in_thread(lambda: cancel(given_up))
        try:
            await asyncio.wait([future], timeout=STOP_SECONDS)
        finally:
            given_up.set()
        if future.done():
            if not future.cancelled():
                future.exception()
            await asyncio.wait([cancelling], timeout=STOP_INTERVAL * 10)
            if not cancelling.done():
                # A late cancellation would hit the session's next script.
                await self._drop(held)
            return True
        close_after(future, connection)
        held.connection = None
        return False
