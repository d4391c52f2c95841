"""Deleting threads with what runs on them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from core.errors import ConflictError, NotFoundError
from server.bodies import ThreadSearch

if TYPE_CHECKING:
    from server.services import Services

END_SECONDS = 15.0
AT_ONCE = 100


async def remove_thread(services: Services, owner: str, thread_id: str) -> None:
    """Ends what runs on the thread first: a run that went on would leave checkpoints of a thread that is gone."""
    await services.threads.get(owner, thread_id)
    cancelled = await services.runs.cancel(owner, "interrupt", thread_id=thread_id)
    for run_id, action in cancelled:
        services.worker.cancel(run_id, action)
    try:
        async with asyncio.timeout(END_SECONDS):
            for run_id, _ in cancelled:
                while (found := await services.runs.status(owner, run_id)) is not None and found[0] == "running":
                    await services.worker.news(run_id, 0.05)
    except TimeoutError:
        raise ConflictError(f"A run of thread {thread_id} does not end.", "Try again in a while.") from None
    await services.threads.delete(owner, thread_id)


async def remove_threads_of(services: Services, owner: str, assistant_id: str) -> None:
    """Deletes the owner's threads whose last run was an assistant's."""
    search = ThreadSearch(metadata={"assistant_id": assistant_id}, limit=AT_ONCE)
    while True:
        found, _ = await services.threads.search(owner, search)
        for row in found:
            try:
                await remove_thread(services, owner, row["thread_id"])
            except NotFoundError:
                continue
        if len(found) < AT_ONCE:
            return
