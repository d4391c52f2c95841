"""What is opened once for each event loop of a process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class _Held(Generic[T]):
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    values: list[T] = field(default_factory=list)


class OncePerLoop(Generic[T]):
    """Opens at the first call; what was opened lives as long as the process."""

    def __init__(self, opening: Callable[[AsyncExitStack], Awaitable[T]]) -> None:
        self._opening = opening
        self._held: dict[asyncio.AbstractEventLoop, _Held[T]] = {}
        self._given: dict[asyncio.AbstractEventLoop, Callable[[], Awaitable[T]]] = {}

    async def __call__(self) -> T:
        loop = asyncio.get_running_loop()
        if loop in self._given:
            return await self._given[loop]()
        held = self._held.setdefault(loop, _Held())
        async with held.lock:
            if not held.values:
                held.values.append(await self._opening(held.stack))
            return held.values[0]

    @contextmanager
    def given(self, source: Callable[[], Awaitable[T]]) -> Iterator[None]:
        """Meanwhile nothing is opened in this event loop: it is what the caller has opened, and closes."""
        loop = asyncio.get_running_loop()
        self._given[loop] = source
        try:
            yield
        finally:
            del self._given[loop]
