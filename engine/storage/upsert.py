"""Merging rows by key."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.types import Type
from engine.values import Array, ArrayVector, Column, Table, Vector


def merged_by_key(there: Table, fresh: Table, keys: Sequence[str], ignore_null: bool) -> Table:
    """`there` with rows equal in `keys` overwritten by those of `fresh` (the last one of equals) and the others added.

    With `ignore_null`, a NULL in `fresh` leaves the value there is.
    """
    import pandas as pd

    count = there.rows
    both = [_joined(old, new) for old, new in zip(there.columns, fresh.columns, strict=True)]
    frame = pd.DataFrame({i: _plain(both[there.find(name)]) for i, name in enumerate(keys)})
    groups = frame.groupby(list(frame.columns), sort=False, dropna=False).ngroup().to_numpy()
    # Existing rows keep their places, also where several share a key; each new key takes one place at the end.
    target = np.arange(len(groups))
    _, first = np.unique(groups, return_index=True)
    target[count:] = first[groups[count:]]
    places = np.unique(target)
    return Table(list(there.names), [_overwritten(column, count, target, places, ignore_null) for column in both])


def _overwritten(column: Column, count: int, target: Array, places: Array, ignore_null: bool) -> Column:
    assert isinstance(column, (Vector, ArrayVector))
    rows = np.arange(len(column))
    source = rows.copy()
    wanted = rows >= count
    if ignore_null and isinstance(column, Vector):
        wanted &= ~column.nulls() | (target == rows)
    changed = np.flatnonzero(wanted)
    source[target[changed]] = changed
    return column.take(source[places])


def _joined(old: Column, new: Column) -> Column:
    if isinstance(old, ArrayVector) and isinstance(new, ArrayVector):
        sizes = np.concatenate([np.diff(old.offsets), np.diff(new.offsets)])
        flat = np.concatenate([old.flat.data, new.flat.data])
        return ArrayVector(old.flat.with_data(flat), np.concatenate(([0], np.cumsum(sizes))))
    assert isinstance(old, Vector)
    assert isinstance(new, Vector)
    if old.type is Type.SYMBOL:
        return Vector(Type.STRING, np.concatenate([old.strings(), new.strings()]))
    return old.with_data(np.concatenate([old.data, new.data]))


def _plain(column: Column) -> Array:
    assert isinstance(column, Vector)
    return column.data
