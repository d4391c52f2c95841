"""Scripts run one by one, each in a fresh session with a data folder of its own, in worker processes.

A worker that hangs or dies is replaced; the script it had becomes an error.
"""

from __future__ import annotations

import logging
import multiprocessing
import shutil
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeAlias

from engine.errors import INTERNAL, ScriptError

Outcome: TypeAlias = "dict[str, str]"
"""`{"actual": text}` or `{"error": text}`."""

MEMORY_LIMIT = 2 * 2**30
_GRACE = 2.0
_START_SECONDS = 60.0
_OUTPUT_LIMIT = 1_000_000
_ADMIN = "admin"


def evaluate(scripts: Iterable[str], *, jobs: int = 1, seconds: float = 30.0) -> Iterator[Outcome]:
    """What the console would show for each script, in their order, as soon as it is known.

    A script that runs longer than `seconds` is ended.
    """
    pool: list[_Worker] = []
    done: dict[int, Outcome] = {}
    waiting = iter(enumerate(scripts))
    following = 0
    try:
        pool = [_Worker(seconds) for _ in range(max(1, jobs))]
        while True:
            for worker in pool:
                if worker.index is None and (task := next(waiting, None)) is not None:
                    worker.give(*task)
            busy = [worker for worker in pool if worker.index is not None]
            if not busy:
                return
            timeout = max(0.0, min(worker.deadline for worker in busy) - time.monotonic())
            wait([worker.connection for worker in busy], timeout)
            for worker in busy:
                index = worker.index
                outcome = worker.outcome()
                if index is not None and outcome is not None:
                    done[index] = outcome
            while following in done:
                yield done.pop(following)
                following += 1
    finally:
        for worker in pool:
            worker.stop()


@dataclass(eq=False)
class _Worker:
    """A process and the script it runs (`index` is its number); not for several threads."""

    seconds: float
    index: int | None = None
    deadline: float = 0.0
    connection: Connection = field(init=False)
    process: BaseProcess = field(init=False)
    ready: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, self.seconds), daemon=True)
        self.process.start()
        theirs.close()
        self.ready = False

    def give(self, index: int, script: str) -> None:
        if not self.process.is_alive():
            self.stop()
            self._start()
        self.connection.send(script)
        self.index = index
        self._extend()

    def _extend(self) -> None:
        self.deadline = time.monotonic() + self.seconds + (_GRACE if self.ready else _START_SECONDS)

    def outcome(self) -> Outcome | None:
        """What became of the script, or None while it runs. A worker that failed is started anew."""
        try:
            while self.connection.poll():
                message = self.connection.recv()
                if message is not None:
                    self.index = None
                    return dict(message)
                self.ready = True
                self._extend()
        except (EOFError, OSError):
            return self._replace(f"The process that ran the script ended{self._reason()}.")
        if time.monotonic() < self.deadline:
            return None
        return self._replace(f"The script was ended after {self.seconds:g} seconds.")

    def _reason(self) -> str:
        self.process.join(1)
        code = self.process.exitcode
        return "" if code is None else f" by signal {-code}" if code < 0 else f" with status {code}"

    def _replace(self, error: str) -> Outcome:
        self.stop()
        self._start()
        self.index = None
        return {"error": error}

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def _work(connection: Connection, seconds: float) -> None:
    """The body of a worker process; the scripts run in a thread that has room for deep recursion."""
    from engine.interpreter.stack import STACK_BYTES

    threading.stack_size(STACK_BYTES)
    thread = threading.Thread(target=_serve, args=(connection, seconds))
    thread.start()
    threading.stack_size(0)
    thread.join()


def _serve(connection: Connection, seconds: float) -> None:
    from engine.functions import builtin_functions
    from engine.server_node import assemble

    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    registry = builtin_functions()
    with tempfile.TemporaryDirectory(prefix="ddb-agent-eval-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        assemble(folder / "template", registry, admin=_ADMIN, admin_password="0" * 16, memory_limit=MEMORY_LIMIT)
        try:
            connection.send(None)
            while True:
                script = connection.recv()
                data = folder / "data"
                shutil.rmtree(data, ignore_errors=True)
                shutil.copytree(folder / "template", data)
                connection.send(_outcome(script, data, registry, seconds))
        except (EOFError, OSError):
            sys.exit()


def _outcome(script: str, data: Path, registry: Any, seconds: float) -> Outcome:
    """Run a script on a node of its own. The text is the last value's, or what was printed if it has none."""
    from engine.console import console_text
    from engine.interpreter import Interpreter
    from engine.jobs import ConsoleJob
    from engine.server_node import assemble
    from engine.session import Session
    from engine.values import Nothing

    printed: list[str] = []
    size = 0

    def keep(text: str) -> None:
        nonlocal size
        if size <= _OUTPUT_LIMIT:
            printed.append(text)
            size += len(text)

    node = assemble(data, registry, admin=_ADMIN, memory_limit=MEMORY_LIMIT)
    session = Session(1, node, _ADMIN, output=keep, deadline=time.monotonic() + seconds)
    node.sessions[session.id] = session
    try:
        with node.jobs.running(ConsoleJob(session, "evaluation", "script")):
            value = Interpreter(session, registry).run(script)
        return {"actual": "\n".join(printed) if isinstance(value, Nothing) else console_text(value)}
    except ScriptError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": "Out of memory."}
    except Exception:
        return {"error": INTERNAL}
    finally:
        node.jobs.cancel_all()
