"""Bringing the rows of each group together, as `context by` needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dolphin.script import syntax
from engine.errors import ScriptError
from engine.grouping import ContiguousGroups, Groups
from engine.interpreter.scope import Scope
from engine.sql.evaluation import Executor
from engine.sql.frame import Frame, RowScope
from engine.sql.grouping import evaluate_keys
from engine.sql.keys import first_rows, groups_of
from engine.sql.ordering import Limit, SortKey, is_sorted, sort_order, sortable
from engine.sql.rewrite import prepare
from engine.types import Type
from engine.values import AnyVector, Array, ArrayVector, Column, Scalar, Vector, repeat, take

BATCH = 1 << 18
"""Rows sorted together, if groups are not larger."""
WORTH_A_LOOK = 64
"""Groups of so many rows are looked at one by one."""


@dataclass(frozen=True, slots=True)
class Arranged:
    """The rows of each group together, and their groups.

    `positions` are the places in group order they were taken from (None: all as they come).
    """

    frame: Frame
    groups: ContiguousGroups
    source: Groups
    positions: Array | None

    @property
    def order(self) -> Array:
        """The row each one was before."""
        return self.source.order if self.positions is None else self.source.order[self.positions]


def contiguous(
    keys: Sequence[syntax.SelectItem],
    csort: Sequence[syntax.OrderItem],
    frame: Frame,
    executor: Executor,
    scope: Scope,
    limit: Limit | None = None,
) -> Arranged:
    """The frame with the rows of each group together, sorted by csort; of each group those within the limit."""
    groups = groups_of(evaluate_keys(keys, frame, executor, scope).columns)
    together = ContiguousGroups(groups.sizes)
    sorting = _sort_keys(csort, frame, executor, scope)
    if len(sorting) == 1 and is_sorted(sorting[0]):
        sorting = []
    if limit is not None:
        positions, kept = _limited(groups, together, sorting, limit, executor)
        return Arranged(frame.take(groups.order[positions]), kept, groups, positions)
    if not sorting and groups.contiguous:
        return Arranged(frame, together, groups, None)
    arranged = frame if groups.contiguous else frame.arranged(groups, _keys_by_group(frame, keys, groups))
    if not sorting:
        return Arranged(arranged, together, groups, None)
    positions = np.concatenate([order for order, _ in _sorted_batches(groups, together, sorting, executor)])
    ordered = arranged.take(positions)
    for index, column in _keys_by_group(frame, keys, groups).items():
        ordered.set_column(index, column)
    return Arranged(ordered, together, groups, positions)


def _sort_keys(csort: Sequence[syntax.OrderItem], frame: Frame, executor: Executor, scope: Scope) -> list[SortKey]:
    rows = RowScope(frame, scope)
    keys = []
    for item in csort:
        value = executor.evaluate(prepare(item.value, frame), rows)
        column = repeat(value, frame.rows) if isinstance(value, Scalar) else value
        if not isinstance(column, Vector | AnyVector | ArrayVector) or len(column) != frame.rows:
            raise ScriptError("A csort expression must have as many elements as there are rows.")
        keys.append(SortKey(column, item.descending, item.nulls_first))
    return keys


def _sorted_batches(
    groups: Groups, together: ContiguousGroups, sorting: Sequence[SortKey], executor: Executor
) -> list[tuple[Array, ContiguousGroups]]:
    """For runs of groups, the places in group order of their sorted rows, and the groups."""
    columns = [_in_group_order(key.column, groups) for key in sorting]
    batches = [(np.zeros(0, dtype=np.int64), ContiguousGroups(np.zeros(0, dtype=np.int64)))]
    for first, last in together.batches(BATCH):
        executor.check()
        start, stop = int(together.offsets[first]), int(together.offsets[last])
        batch = ContiguousGroups(together.sizes[first:last])
        keys = [SortKey(Vector(Type.LONG, batch.codes))]
        for key, column in zip(sorting, columns, strict=True):
            keys.append(SortKey(take(column, slice(start, stop)), key.descending, key.nulls_first))
        batches.append((sort_order(keys) + start, batch))
    return batches


def _limited(
    groups: Groups, together: ContiguousGroups, sorting: Sequence[SortKey], limit: Limit, executor: Executor
) -> tuple[Array, ContiguousGroups]:
    """The places in group order of the rows within the limit, and their groups."""
    if not sorting:
        positions = limit.within_groups(together)
    elif limit.count >= 0 and isinstance(sorting[0].column, Vector) and groups.count * WORTH_A_LOOK <= groups.rows:
        positions = _smallest_of_groups(groups, together, sorting, limit, executor)
    else:
        batches = _sorted_batches(groups, together, sorting, executor)
        positions = np.concatenate([order[limit.within_groups(batch)] for order, batch in batches])
    return positions, ContiguousGroups(limit.sizes(together.sizes))


def _smallest_of_groups(
    groups: Groups, together: ContiguousGroups, sorting: Sequence[SortKey], limit: Limit, executor: Executor
) -> Array:
    """The places in group order of the first rows: only those whose first key is small enough are sorted."""
    first_key = SortKey(_in_group_order(sorting[0].column, groups), sorting[0].descending, sorting[0].nulls_first)
    values, order, needed = sortable(first_key), groups.order, limit.offset + limit.count
    positions = [np.zeros(0, dtype=np.int64)]
    for first, last in together.batches(BATCH):
        executor.check()
        offsets = together.offsets[first : last + 1] - together.offsets[first]
        part = values(slice(int(together.offsets[first]), int(together.offsets[last])))
        candidates = np.ones(len(part), dtype=bool)
        for start, stop in pairwise(offsets.tolist()):
            if 0 < needed < stop - start:
                group = part[start:stop]
                candidates[start:stop] = group <= np.partition(group, needed - 1)[needed - 1]
        places = np.flatnonzero(candidates)
        codes = np.searchsorted(offsets, places, side="right") - 1
        rows = order[places + together.offsets[first]]
        keys = [SortKey(Vector(Type.LONG, codes))]
        keys += [SortKey(take(key.column, rows), key.descending, key.nulls_first) for key in sorting]
        kept = limit.within_groups(ContiguousGroups(np.bincount(codes, minlength=last - first)))
        positions.append(places[sort_order(keys)[kept]] + together.offsets[first])
    return np.concatenate(positions)


def _in_group_order(column: Column, groups: Groups) -> Column:
    if isinstance(column, Vector):
        return column.moved(groups.arrange)
    return take(column, groups.order)


def _keys_by_group(frame: Frame, keys: Sequence[syntax.SelectItem], groups: Groups) -> dict[int, Column]:
    """A key is the same throughout its group: it is repeated, not taken."""
    firsts = first_rows(groups.codes, groups.count)
    found: dict[int, Column] = {}
    for item in keys:
        index = frame.find(item.value.id) if isinstance(item.value, syntax.Name) else -1
        column = frame.column(index) if index >= 0 else None
        if isinstance(column, Vector) and (column.coded() is not None or column.kind == "i"):
            found[index] = column.moved(lambda data: np.repeat(data[firsts], groups.sizes))
    return found
