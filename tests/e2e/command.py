"""`ddb-agent` as a user runs it: a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

from e2e.paths import ROOT
from e2e.pseudo_terminal import Terminal

PROGRAM = str(Path(sys.executable).parent / "ddb-agent")


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Prefork:
    """A process that runs commands in forks of itself, one after the other."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("prefork.py"))], cwd=ROOT, text=True,
            env={**environment, "PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def run(self, arguments: tuple[str, ...], environment: Mapping[str, str]) -> Finished:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with TemporaryDirectory() as folder:
            output, errors = Path(folder, "output"), Path(folder, "errors")
            request = {
                "arguments": arguments, "environment": dict(environment), "output": str(output), "errors": str(errors)
            }  # fmt: skip
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            code = int(self._process.stdout.readline())
            return Finished(code, output.read_text(), errors.read_text())

    def __enter__(self) -> Prefork:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(20)


@dataclass(frozen=True)
class Command:
    """`ddb-agent` with an environment. No run may show a traceback."""

    environment: Mapping[str, str] = field(repr=False)
    prefork: Prefork = field(repr=False)

    def __call__(self, *arguments: str, **environment: str) -> Finished:
        finished = self.prefork.run(arguments, {**self.environment, **environment})
        assert "Traceback" not in finished.out + finished.err, finished
        return finished

    def program(self, *arguments: str | bytes, **environment: str) -> Finished:
        """Like a call, started as a user's shell starts it: nothing is imported yet."""
        done = subprocess.run(
            [PROGRAM, *arguments], env={**self.environment, **environment}, cwd=ROOT, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=90, check=False,
        )  # fmt: skip
        finished = Finished(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in finished.out + finished.err, finished
        return finished

    def terminal(self, *arguments: str, **environment: str) -> Terminal:
        return Terminal([PROGRAM, *arguments], {**self.environment, "TERM": "xterm", **environment}, ROOT)
