"""A program at a terminal of its own: type lines, wait for text."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """Runs `command` on a pseudo-terminal. `text` is all it has shown, without escapes and carriage returns."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], cwd: Path) -> None:
        self._master, slave = pty.openpty()
        attributes = termios.tcgetattr(slave)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=dict(environment), cwd=cwd, start_new_session=True,
            preexec_fn=_take_terminal,
        )  # fmt: skip
        os.close(slave)
        self._raw = b""
        self._seen = 0

    @property
    def text(self) -> str:
        return ESCAPES.sub("", self._raw.decode(errors="replace")).replace("\r", "")

    def type(self, line: str) -> None:
        os.write(self._master, line.encode() + b"\n")

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        os.write(self._master, b"\x03")

    def end_of_input(self) -> None:
        """What Ctrl-D does."""
        os.write(self._master, b"\x04")

    def expect(self, pattern: str, seconds: float = 30.0) -> str:
        """Waits for `pattern` in what comes after the last match; returns what was shown up to its end."""
        deadline = time.monotonic() + seconds
        while True:
            shown = self.text[self._seen :]
            if found := re.search(pattern, shown):
                self._seen += found.end()
                return shown[: found.end()]
            if time.monotonic() > deadline:
                raise AssertionError(f"no {pattern!r} within {seconds:g} s in:\n{shown}")
            if not self._read(0.1) and self.process.poll() is not None and not self._read(0.1):
                raise AssertionError(f"the program ended without {pattern!r}:\n{shown}")

    def wait(self, seconds: float = 30.0) -> int:
        """The exit code, once the program has ended."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            self._read(0.1)
            if time.monotonic() > deadline:
                raise AssertionError(f"the program did not end within {seconds:g} s:\n{self.text}")
        while self._read(0.05):
            pass
        return int(self.process.returncode)

    def _read(self, seconds: float) -> bool:
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return False
        self._raw += data
        return bool(data)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
        os.close(self._master)


def _take_terminal() -> None:
    import fcntl

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
