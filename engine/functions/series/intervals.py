"""Dividing values into bins and buckets."""

from __future__ import annotations

import numpy as np

from engine import lifting
from engine.aggregation.basic import ints
from engine.aggregation.rows import numbers
from engine.arguments import boolean_argument, is_omitted, positive_argument
from engine.cast import cast_vector
from engine.errors import CallError, UnsupportedError
from engine.forms import as_vector
from engine.functions.registry import Kind, Registry
from engine.functions.series.ordering import sort_rows
from engine.functions.text.digests import murmur
from engine.functions.text.strings import mapped
from engine.types import INTEGRAL, TEMPORAL, Type, null
from engine.values import Array, Value, Vector, vector

functions = Registry()


@functions.builtin("bucket", "vector, dataRange, bucketNum, [includeOutbound=false]", kind=Kind.SEQUENCE)
def bucket(x: Vector, bounds: Value, count: Value, outbound: Value | None = None) -> Vector:
    """The bucket of each element; outside elements are NULL, or in a bucket of their own at either end."""
    number, include = positive_argument(count, "bucketNum"), boolean_argument(outbound, "includeOutbound", False)
    place, missing = _buckets(x, bounds, number)
    if include:
        out = np.clip(place, -1, number) + 1
    else:
        missing = missing | (place < 0) | (place >= number)
        out = place
    return Vector(Type.INT, np.where(missing, null(Type.INT), out).astype(np.int32))


def _buckets(x: Vector, bounds: Value, number: int) -> tuple[Array, Array]:
    if not isinstance(bounds, Vector) or len(bounds) != 2:
        raise CallError("dataRange must be a pair.")
    edges = numbers(cast_vector(bounds, x.type) if x.type in TEMPORAL else bounds)
    low, high = float(edges[0]), float(edges[1])
    if not high > low:
        raise CallError("the upper bound of dataRange must be greater than the lower.")
    if bounds.type in INTEGRAL and x.type in INTEGRAL and (high - low) % number:
        raise CallError("dataRange must be a multiple of bucketNum.")
    values = numbers(x)
    missing = np.isnan(values)
    place = np.floor((np.where(missing, low, values) - low) / ((high - low) / number))
    return np.clip(place, -1, number).astype(np.int64), missing


@functions.builtin("bucketCount", "vector, dataRange, bucketNum, [includeOutbound=false]")
def bucket_count(x: Value, bounds: Value, count: Value, outbound: Value | None = None) -> Vector:
    number, include = positive_argument(count, "bucketNum"), boolean_argument(outbound, "includeOutbound", False)
    place, missing = _buckets(as_vector(x), bounds, number)
    sizes = np.bincount(place[~missing] + 1, minlength=number + 2)
    return ints(sizes if include else sizes[1:-1])


@functions.builtin("digitize", "x, bins, [right=false]")
def digitize(x: Value, bins: Value, right: Value | None = None) -> Value:
    edges = numbers(as_vector(bins), "bins")
    closed = boolean_argument(right, "right", False)
    steps = np.diff(edges)
    if np.isnan(edges).any() or ((steps < 0).any() and (steps > 0).any()):
        raise CallError("bins must be increasing or decreasing.")

    def kernel(column: Vector) -> Vector:
        values = numbers(column)
        values = np.where(np.isnan(values), -np.inf, values)
        return ints(np.digitize(values, edges, closed))

    return lifting.elementwise(kernel, [x])


@functions.builtin("cutPoints", "X, binNum, [freq]")
def cut_points(x: Value, count: Value, frequency: Value | None = None) -> Vector:
    """Bounds of bins that hold about equally many elements; the last one lies above all."""
    column, number = as_vector(x), positive_argument(count, "binNum")
    ordered = column.take(sort_rows([column], [True]))
    if not len(ordered):
        raise CallError("X must not be empty.")
    if is_omitted(frequency) or frequency is None:
        rows = np.arange(number) * len(ordered) // number
    else:
        weights = numbers(as_vector(frequency), "freq")
        if len(weights) != len(column):
            raise CallError("freq must be as long as X.")
        total = np.cumsum(weights)
        rows = np.searchsorted(total, np.arange(number) * total[-1] / number, side="right")
    last = ordered.data[-1]
    end = last + 1 if ordered.data.dtype.kind == "i" and ordered.symbols is None else last
    if ordered.data.dtype.kind == "f":
        end = np.nextafter(last, np.inf)
    points = ordered.take(np.minimum(rows, len(ordered) - 1))
    return points.with_data(np.concatenate((points.data, np.array([end], dtype=ordered.data.dtype))))


@functions.elementwise("hashBucket", "X, buckets")
def hash_bucket(x: Vector, buckets: Value) -> Vector:
    number = positive_argument(buckets, "buckets")
    if x.type in (Type.STRING, Type.SYMBOL):
        return vector(Type.INT, mapped(x, lambda text: murmur(text.encode()) % number))
    if x.data.dtype.kind != "i" or x.symbols is not None:
        raise UnsupportedError(f"hashBucket of {x.type.name}")
    missing = x.nulls()
    place = np.where(missing, 0, x.data).astype(np.int64).view(np.uint64) % np.uint64(number)
    return Vector(Type.INT, np.where(missing, -1, place.astype(np.int64)).astype(np.int32))
