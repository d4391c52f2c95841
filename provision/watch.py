"""Waiting for groups: one poll for all who wait, however many they are."""

from __future__ import annotations

import asyncio
import logging

from provision.provider import Group, Provider, ProviderUnavailableError

log = logging.getLogger(__name__)

REMEMBERED = 1000


class Watch:
    """Describes all awaited groups of one provider together, once per interval. Use it in one event loop."""

    def __init__(self, provider: Provider, interval: float) -> None:
        self._provider = provider
        self._interval = interval
        self._waiting: dict[str, list[asyncio.Future[Group | None]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._seen: dict[str, Group] = {}
        self.polls = 0
        """How many times the provider was asked."""

    async def look(self, group_id: str) -> Group | None:
        """The group as the next poll sees it, or None if it is not there. The first poll comes at once."""
        future: asyncio.Future[Group | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(group_id, []).append(future)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._poll())
        return await future

    async def known(self, group_id: str) -> Group | None:
        """The group as it was last seen; the provider is asked only if it never was."""
        if group_id not in self._seen:
            self._remember(await self._provider.describe([group_id]))
        return self._seen.get(group_id)

    def _remember(self, found: dict[str, Group]) -> None:
        for group_id, group in found.items():
            self._seen.pop(group_id, None)
            self._seen[group_id] = group
        for group_id in list(self._seen)[: max(len(self._seen) - REMEMBERED, 0)]:
            del self._seen[group_id]

    async def aclose(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _poll(self) -> None:
        # Those who come in the same moment are asked about together.
        await asyncio.sleep(0)
        while self._waiting:
            waiting, self._waiting = self._waiting, {}
            try:
                self.polls += 1
                found = await self._provider.describe(list(waiting))
                self._remember(found)
            except ProviderUnavailableError as error:
                log.warning("groups could not be described: %s", error)
                for group_id, futures in waiting.items():
                    self._waiting.setdefault(group_id, []).extend(futures)
            except BaseException as error:
                for futures in waiting.values():
                    for future in futures:
                        if not future.done():
                            future.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
                if not isinstance(error, Exception):
                    raise
            else:
                for group_id, futures in waiting.items():
                    for future in futures:
                        if not future.done():
                            future.set_result(found.get(group_id))
            await asyncio.sleep(self._interval)
