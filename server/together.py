"""What is asked of the database at the same time, asked as one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from server.database import DATABASE_ERRORS

Item = TypeVar("Item")
Found = TypeVar("Found")
AT_ONCE = 50
LARGE_BYTES = 200_000


class Together(Generic[Item, Found]):
    """Calls `make` with one item at once; those that come meanwhile wait, and are then made with one call.

    `make` answers for each item in its turn. When it fails for several, it is called for each alone, so that nobody
    suffers from another's; all fail when the database is away. Nobody waits for an item that is large, by its `size`
    in bytes.
    """

    def __init__(
        self, make: Callable[[Sequence[Item]], Awaitable[Sequence[Found]]], *, size: Callable[[Item], int] | None = None
    ) -> None:
        self._make = make
        self._size = size
        self._waiting: list[tuple[Item, asyncio.Future[Found]]] = []
        self._making: asyncio.Task[None] | None = None
        self._busy = False

    async def __call__(self, item: Item) -> Found:
        if self._size is not None and self._size(item) > LARGE_BYTES:
            return (await self._make([item]))[0]
        if not self._busy:
            self._busy = True
            try:
                return (await self._make([item]))[0]
            finally:
                self._go_on()
        future: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        return await future

    def _go_on(self) -> None:
        self._busy = bool(self._waiting)
        if self._waiting:
            self._making = asyncio.create_task(self._make_waiting(), name="together")

    async def _make_waiting(self) -> None:
        batch, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
        try:
            await self._make_each(batch)
        finally:
            self._go_on()

    async def _make_each(self, batch: list[tuple[Item, asyncio.Future[Found]]]) -> None:
        try:
            made = await self._make([item for item, _ in batch])
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, DATABASE_ERRORS):
                for each in batch:
                    await self._make_each([each])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
        except asyncio.CancelledError:
            for _, future in batch:
                future.cancel()
            raise
        else:
            for (_, future), found in zip(batch, made, strict=True):
                if not future.done():
                    future.set_result(found)
