"""The store as one user sees it: everybody's items lie under a namespace of their own."""

from __future__ import annotations

from collections.abc import Iterable
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


class OwnedStore(BaseStore):
    """Passes everything on to `store` under the owner's namespace, and takes that away from what comes back."""

    def __init__(self, store: BaseStore, owner: str) -> None:
        self._store = store
        # A label may hold no period; this one cannot be made up by another owner's name.
        self._prefix = owner.replace("%", "%25").replace(".", "%2E") or "%"
        self.supports_ttl = store.supports_ttl
        self.ttl_config = store.ttl_config

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        return [self._out(result) for result in self._store.batch([self._in(op) for op in ops])]

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        return [self._out(result) for result in await self._store.abatch([self._in(op) for op in ops])]

    def _in(self, op: Op) -> Op:
        if isinstance(op, GetOp | PutOp):
            return op._replace(namespace=(self._prefix, *op.namespace))
        if isinstance(op, SearchOp):
            return op._replace(namespace_prefix=(self._prefix, *op.namespace_prefix))
        if isinstance(op, ListNamespacesOp):
            conditions = list(op.match_conditions or ())
            known = [item for item in conditions if item.match_type == "prefix"]
            rest = [item for item in conditions if item.match_type != "prefix"]
            prefixes = [MatchCondition("prefix", (self._prefix, *item.path)) for item in known]
            own = prefixes or [MatchCondition("prefix", (self._prefix,))]
            depth = op.max_depth + 1 if op.max_depth is not None else None
            return op._replace(match_conditions=(*own, *rest), max_depth=depth)
        raise TypeError(f"The store knows no {type(op).__name__}.")

    def _out(self, result: Result) -> Result:
        found: Result = [self._one(item) for item in result] if isinstance(result, list) else self._one(result)
        return found

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
