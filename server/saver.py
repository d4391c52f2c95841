"""A checkpointer for one run, which writes nothing any more once the run is over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from core.postgres import Pool


class RunSaver(AsyncPostgresSaver):
    """A graph that is cancelled writes what it has in the background; such a write must not come after the run was
    rolled back, or after another worker took it over."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
        self._writing = 0
        self._closed = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def close(self) -> None:
        """Ends writing; returns when the last write that had begun is done."""
        self._closed = True
        await self._idle.wait()

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        if self._closed:
            return config
        self._begin()
        try:
            return await super().aput(config, checkpoint, metadata, new_versions)
        finally:
            self._end()

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        if self._closed:
            return
        self._begin()
        try:
            await super().aput_writes(config, writes, task_id, task_path)
        finally:
            self._end()

    def _begin(self) -> None:
        self._writing += 1
        self._idle.clear()

    def _end(self) -> None:
        self._writing -= 1
        if self._writing == 0:
            self._idle.set()
