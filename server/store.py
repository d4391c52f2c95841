"""The store as one user sees it: everybody's items lie under a namespace of their own."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
)

RANKED = 1000
# A word, or one Chinese, Japanese or Korean character: they are written without spaces.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+")


class OwnedStore(BaseStore):
    """Passes everything on to `store` under the owner's namespace, and takes that away from what comes back.

    A search by `query` finds by meaning when the store has vectors; else it puts the items in the order in which they
    have the words of the query.
    """

    def __init__(self, store: BaseStore, owner: str) -> None:
        self._store = store
        # A label may hold no period; this one cannot be made up by another owner's name.
        self._prefix = owner.replace("%", "%25").replace(".", "%2E") or "%"
        self._has_vectors = getattr(store, "index_config", None) is not None
        self.supports_ttl = store.supports_ttl
        self.ttl_config = store.ttl_config

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        asked = list(ops)
        return self._answers(asked, self._store.batch([self._in(op) for op in asked]))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        asked = list(ops)
        return self._answers(asked, await self._store.abatch([self._in(op) for op in asked]))

    def _answers(self, ops: Sequence[Op], results: Sequence[Result]) -> list[Result]:
        return [self._out(op, result) for op, result in zip(ops, results, strict=True)]

    def _in(self, op: Op) -> Op:
        if isinstance(op, GetOp | PutOp):
            return op._replace(namespace=(self._prefix, *op.namespace))
        if isinstance(op, SearchOp):
            own = op._replace(namespace_prefix=(self._prefix, *op.namespace_prefix))
            return own._replace(query=None, limit=RANKED, offset=0) if self._ranks(op) else own
        if isinstance(op, ListNamespacesOp):
            conditions = list(op.match_conditions or ())
            known = [item for item in conditions if item.match_type == "prefix"]
            rest = [item for item in conditions if item.match_type != "prefix"]
            prefixes = [MatchCondition("prefix", (self._prefix, *item.path)) for item in known]
            within = prefixes or [MatchCondition("prefix", (self._prefix,))]
            depth = op.max_depth + 1 if op.max_depth is not None else None
            return op._replace(match_conditions=(*within, *rest), max_depth=depth)
        raise TypeError(f"The store knows no {type(op).__name__}.")

    def _out(self, op: Op, result: Result) -> Result:
        if not isinstance(result, list):
            one: Result = self._one(result)
            return one
        found: Any = [self._one(item) for item in result]
        if isinstance(op, SearchOp) and self._ranks(op):
            found = ranked(op.query or "", found)[op.offset : op.offset + op.limit]
        many: Result = found
        return many

    def _ranks(self, op: SearchOp) -> bool:
        return bool(op.query) and not self._has_vectors

    def _one(self, found: Any) -> Any:
        if isinstance(found, SearchItem):
            return SearchItem(
                found.namespace[1:], found.key, found.value, found.created_at, found.updated_at, found.score
            )
        if isinstance(found, Item):
            return Item(
                value=found.value,
                key=found.key,
                namespace=found.namespace[1:],
                created_at=found.created_at,
                updated_at=found.updated_at,
            )
        if isinstance(found, tuple):
            return found[1:]
        return found


def ranked(query: str, items: Sequence[SearchItem]) -> list[SearchItem]:
    """The items by how many of the query's words they have, rare words counting more; scores are from 0 to 1."""
    words = set(_words(query))
    found = [words & {word for text in _texts([item.key, item.value]) for word in _words(text)} for item in items]
    holders = {word: sum(word in one for one in found) for word in words}
    weights = {word: math.log(1 + len(items) / (1 + count)) for word, count in holders.items()}
    whole = sum(weights.values()) or 1.0
    scored = [
        SearchItem(
            item.namespace,
            item.key,
            item.value,
            item.created_at,
            item.updated_at,
            sum(weights[word] for word in sorted(one)) / whole,
        )
        for item, one in zip(items, found, strict=True)
    ]
    return sorted(scored, key=lambda item: -(item.score or 0.0))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif value is not None:
        yield str(value)
