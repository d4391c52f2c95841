"""Reading exact amounts from a byte stream, within a budget."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

_CHUNK = 1 << 18


class ProtocolError(Exception):
    """The peer sent bytes that are not DolphinDB's protocol; the connection cannot go on."""


class Disconnected(ProtocolError):  # noqa: N818
    """The peer closed the connection."""


class StreamReader:
    """Exact reads over `receive(size)`, which returns at most `size` bytes and b"" at the end.

    `budget` is how many more bytes may be asked for; None for no limit. Set it anew for each request.
    """

    def __init__(self, receive: Callable[[int], bytes], budget: int | None = None) -> None:
        self._receive = receive
        self._buffer = b""
        self._position = 0
        self.budget = budget

    @classmethod
    def over(cls, data: bytes) -> StreamReader:
        """A reader of bytes at hand."""
        reader = cls(lambda _size: b"")
        reader._buffer = data
        return reader

    @property
    def buffered(self) -> int:
        """Bytes received but not yet read."""
        return len(self._buffer) - self._position

    def _fill(self) -> None:
        received = self._receive(_CHUNK)
        if not received:
            raise Disconnected("the connection ended in the middle of a message")
        self._buffer = self._buffer[self._position :] + received
        self._position = 0

    def _spend(self, size: int) -> None:
        if size < 0:
            raise ProtocolError("negative length")
        if self.budget is not None:
            if size > self.budget:
                raise ProtocolError("the request is larger than this server accepts")
            self.budget -= size

    def read(self, size: int) -> bytearray:
        self._spend(size)
        out = bytearray(memoryview(self._buffer)[self._position : self._position + size])
        self._position += len(out)
        # A peer that says how much is to come has not sent it yet: memory is taken as it arrives.
        while len(out) < size:
            received = self._receive(min(size - len(out), 1 << 20))
            if not received:
                raise Disconnected("the connection ended in the middle of a message")
            out += received
        return out

    def at_end(self) -> bool:
        """Whether the peer closed the stream; waits for the next byte."""
        while not self.buffered:
            received = self._receive(_CHUNK)
            if not received:
                return True
            self._buffer = received
            self._position = 0
        return False

    def peek(self, size: int) -> bytes:
        while self.buffered < size:
            self._fill()
        return self._buffer[self._position : self._position + size]

    def until(self, end: bytes, limit: int) -> bytes:
        """The bytes before the next `end`, which is skipped."""
        while (found := self._buffer.find(end, self._position)) < 0:
            if self.buffered > limit:
                raise ProtocolError(f"no {end!r} within {limit} bytes")
            self._fill()
        out = self._buffer[self._position : found]
        self._spend(len(out))
        self._position = found + len(end)
        return out

    def integer(self, size: int, signed: bool = True) -> int:
        return int.from_bytes(self.read(size), "little", signed=signed)

    def string(self) -> str:
        """A NUL-terminated string."""
        return self.until(b"\0", self.budget if self.budget is not None else sys.maxsize).decode("utf-8", "replace")

    def strings(self, count: int) -> list[str]:
        """`count` NUL-terminated strings."""
        return self.texts(count).decode("utf-8", "replace").split("\0") if count else []

    def texts(self, count: int) -> bytes:
        """The bytes of `count` NUL-terminated strings, without the last NUL."""
        self._spend(count)
        pieces = []
        missing = count
        while missing:
            available = self._buffer[self._position :]
            ends = available.count(b"\0")
            if ends >= missing:
                last = int(np.flatnonzero(np.frombuffer(available, np.uint8) == 0)[missing - 1])
                pieces.append(available[:last])
                self._position += last + 1
                break
            self._spend(len(available))
            pieces.append(available)
            missing -= ends
            self._position = len(self._buffer)
            self._fill()
        return b"".join(pieces)
