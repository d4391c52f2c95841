"""An owner's memory as a question needs it: kept in the process until it changes."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from langgraph.store.base import BaseStore

from rag.memory import versions
from rag.memory.examples import ExampleIndex, Examples
from rag.memory.terminology import Terminology

OWNERS = 64


@dataclass(frozen=True)
class Memory:
    """The meanings of the owner's terms, and the examples that the owner may see."""

    terms: Mapping[str, str] = field(default_factory=dict)
    examples: ExampleIndex = field(default_factory=lambda: ExampleIndex([]))


class Recall:
    """Reads an owner's memory; while nothing was changed, by any process, that takes one look at its version."""

    def __init__(self, store: BaseStore) -> None:
        self._store = store
        self._held: OrderedDict[str, tuple[tuple[str, str], Memory]] = OrderedDict()

    async def of(self, owner: str) -> Memory:
        version = await versions(self._store, owner)
        if version == ("", ""):
            return _NOTHING
        held = self._held.get(owner)
        if held is not None and held[0] == version:
            self._held.move_to_end(owner)
            return held[1]
        terms, examples = await asyncio.gather(Terminology(self._store).list(owner), Examples(self._store).list(owner))
        index = await asyncio.to_thread(ExampleIndex, examples)
        memory = Memory({term.term: term.meaning for term in terms}, index)
        self._held[owner] = (version, memory)
        while len(self._held) > OWNERS:
            self._held.popitem(last=False)
        return memory


_NOTHING = Memory()
