"""Vectors that grow out of their own past: recurrences, states, and counts of groups that change."""

from __future__ import annotations

import numpy as np

from engine.arguments import boolean_argument, float_argument, positive_argument
from engine.cast import to_float
from engine.context import Context
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.registry import Registry
from engine.limits import check_allocation
from engine.types import Type
from engine.values import AnyVector, Array, Matrix, Scalar, Value, Vector, nulls, vector

functions = Registry()


@functions.builtin("iterate", "init, coeffs, input", context=True)
def iterate(ctx: Context, init: Value, coefficients: Value, given: Value) -> Value:
    """A linear recurrence: each element is the weighted sum of those before it, plus the input."""
    past, weights = to_float(as_vector(init)), to_float(as_vector(coefficients))
    if len(past) != len(weights):
        raise CallError("init and coeffs must have the same length.")
    if isinstance(given, Scalar):
        count = positive_argument(given, "input")
        check_allocation(count, Type.DOUBLE, ctx.node)
        added = np.zeros(count)
    else:
        added = to_float(as_vector(given))
    width = len(past)
    values = np.concatenate([past, np.zeros(len(added))])
    with np.errstate(all="ignore"):
        if width == 1:
            current, weight = float(past[0]), float(weights[0])
            out = [current := current * weight + step for step in added.tolist()]
            return Vector(Type.DOUBLE, np.array(out, dtype=np.float64))
        for place, step in enumerate(added.tolist()):
            if place % 10_000 == 0:
                ctx.check()
            values[place + width] = values[place : place + width] @ weights + step
    return Vector(Type.DOUBLE, values[width:])


def _runs(column: Vector) -> tuple[Array, Array]:
    """The positions of valid elements, and which of them begin a new state."""
    valid = np.flatnonzero(~column.nulls())
    data = column.data[valid]
    starts = np.ones(len(valid), dtype=bool)
    starts[1:] = (data[1:] != data[:-1]) | (np.diff(valid) > 1)
    return valid, starts


@functions.sequence("prevState", "X")
def previous_state(column: Vector) -> Vector:
    """The state before the one of each element; equal neighbours are one state, NULL is none."""
    valid, starts = _runs(column)
    states = column.data[valid[starts]]
    number = np.cumsum(starts) - 1
    before = np.zeros(len(column), dtype=np.int64) - 1
    # What stands at a position: the state it belongs to, for a NULL the last one seen.
    before[valid] = number - 1
    missing = column.nulls()
    last = np.full(len(column), -1, dtype=np.int64)
    last[valid] = number
    last = np.maximum.accumulate(last) if len(last) else last
    before[missing] = last[missing]
    return _chosen(column, states, before)


@functions.sequence("nextState", "X")
def next_state(column: Vector) -> Vector:
    """The state after the one of each element; equal neighbours are one state, NULL is none."""
    mirrored: Vector = previous_state(column.take(slice(None, None, -1)))
    return mirrored.take(slice(None, None, -1))


def _chosen(column: Vector, states: Array, places: Array) -> Vector:
    out = nulls(column.type, len(column)).data.copy()
    known = places >= 0
    out[known] = states[places[known]]
    return column.with_data(out)


def _memberships(current: Value, previous: Value, groups: Value) -> tuple[Array, Array, int]:
    count = positive_argument(groups, "groupCount")
    now, before = as_vector(current), as_vector(previous)
    if len(now) != len(before):
        raise CallError("membership and prevMembership must have the same length.")
    codes = now.data.astype(np.int64)
    earlier = np.where(before.nulls(), -1, before.data.astype(np.int64))
    if np.any(now.nulls() | (codes < 0) | (codes >= count)) or np.any(earlier >= count):
        raise CallError("membership must be integers from 0 to groupCount - 1.")
    return codes, earlier, count


def _running(codes: Array, earlier: Array, count: int, gain: Array, loss: Array) -> Array:
    changes = np.zeros((count, len(codes)))
    rows = np.arange(len(codes))
    moved = codes != earlier
    np.add.at(changes, (codes[moved], rows[moved]), gain[moved])
    left = moved & (earlier >= 0)
    np.add.at(changes, (earlier[left], rows[left]), -loss[left])
    return np.asarray(np.cumsum(changes, axis=1))


@functions.builtin("dynamicGroupCumcount", "membership, prevMembership, groupCount")
def dynamic_group_count(membership: Value, previous: Value, groups: Value) -> Value:
    """How many members each group has after every event, when events may change their group."""
    codes, earlier, count = _memberships(membership, previous, groups)
    ones = np.ones(len(codes))
    running = _running(codes, earlier, count, ones, ones)
    return AnyVector([vector(Type.INT, row.astype(np.int32)) for row in running])


@functions.builtin("dynamicGroupCumsum", "cumValue, prevCumValue, membership, prevMembership, groupCount")
def dynamic_group_sum(value: Value, before: Value, membership: Value, previous: Value, groups: Value) -> Value:
    """The sum each group has after every event, when events may change their group."""
    codes, earlier, count = _memberships(membership, previous, groups)
    gain, loss = np.nan_to_num(to_float(as_vector(value))), np.nan_to_num(to_float(as_vector(before)))
    same = codes == earlier
    running = _running(np.where(same, codes, codes), np.where(same, -2, earlier), count, gain, loss)
    if same.any():
        kept = np.zeros((count, len(codes)))
        kept[codes[same], np.flatnonzero(same)] = loss[same]
        running = running - np.cumsum(kept, axis=1)
    integral = as_vector(value).data.dtype.kind == "i"
    type_ = Type.LONG if integral else Type.DOUBLE
    return AnyVector([vector(type_, row.astype(np.int64) if integral else row) for row in running])


@functions.builtin("zigzag", "HL, [change=10], [percent=true], [retrace=false], [lastExtreme=true]", context=True)
def zigzag(
    ctx: Context,
    data: Value,
    change: Value | None = None,
    percent: Value | None = None,
    retrace: Value | None = None,
    last_extreme: Value | None = None,
) -> Value:
    """The turning points of a series: extremes at least `change` (percent) away from the one before."""
    step = float_argument(change, "change", 10.0)
    relative, back = boolean_argument(percent, "percent", True), boolean_argument(retrace, "retrace", False)
    if relative:
        step /= 100.0
    if isinstance(data, Matrix):
        if data.columns != 2:
            raise CallError("HL must be a vector or a matrix with two columns.")
        high, low = to_float(data.column(0)), to_float(data.column(1))
    else:
        low = high = to_float(as_vector(data))
    latest = boolean_argument(last_extreme, "lastExtreme", True)
    return Vector(Type.DOUBLE, _turns(ctx, low, high, step, relative, back and relative, latest))


def _turns(ctx: Context, low: Array, high: Array, step: float, relative: bool, retrace: bool, last: bool) -> Array:
    # The algorithm of TTR's ZigZag, whose parameters these are.
    count = len(low)
    out = np.full(count, np.nan)
    if not count:
        return out
    reference = (high[0] + low[0]) / 2
    reference_at, signal = 0, 0
    smallest, largest = low[0], high[0]
    out[0] = reference
    before = reference
    for i in range(1, count):
        if i % 10_000 == 0:
            ctx.check()
        if relative and not retrace:
            up, down = smallest + abs(smallest) * step, largest - abs(largest) * step
        elif relative:
            span = abs(reference - before)
            up, down = smallest + span * step, largest - span * step
        else:
            up, down = smallest + step, largest - step
        smallest, largest = min(smallest, low[i]), max(largest, high[i])
        if signal <= 0 and high[i] >= up:
            turned, extreme = True, high[i]
        elif signal >= 0 and low[i] <= down:
            turned, extreme = True, low[i]
        elif signal > 0 and (high[i] > reference or (last and high[i] == reference)):
            turned, extreme = False, high[i]
        elif signal < 0 and (low[i] < reference or (last and low[i] == reference)):
            turned, extreme = False, low[i]
        else:
            continue
        if turned:
            if signal != 0:
                out[reference_at] = reference
            signal = 1 if signal <= 0 and high[i] >= up else -1
            before = reference
        reference, reference_at = extreme, i
        smallest, largest = low[i], high[i]
    if signal != 0:
        out[reference_at] = reference
    if signal > 0 and reference_at != count - 1:
        out[-1] = low[-1]
    return out
