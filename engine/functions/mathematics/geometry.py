"""Points in the plane."""

from __future__ import annotations

import numpy as np

from engine.arguments import boolean_argument, float_argument
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.registry import Registry
from engine.types import Type
from engine.values import NOTHING, Array, Scalar, Value, Vector, boolean, vector

functions = Registry()


@functions.builtin("geoWithin", "X, polygonVertices, [containBoundary=true]")
def within_polygon(x: Value, vertices: Value, boundary: Value = NOTHING) -> Value:
    """Whether points lie inside a polygon."""
    points, polygon = as_vector(x), as_vector(vertices)
    if points.type is not Type.POINT or polygon.type is not Type.POINT or len(polygon) < 3 or polygon.nulls().any():
        raise CallError("X must be points and polygonVertices a vector of three or more points without NULL.")
    with_boundary = boolean_argument(boundary, "containBoundary", True)
    known = ~points.nulls()
    inside = np.zeros(len(points), dtype=bool)
    on_boundary = np.zeros(len(points), dtype=bool)
    at = points.data[known]
    odd, touching = _crossings(at, polygon.data)
    inside[known], on_boundary[known] = odd, touching
    found = inside | on_boundary if with_boundary else inside & ~on_boundary
    return boolean(bool(found[0])) if isinstance(x, Scalar) else vector(Type.BOOL, found)


def _crossings(at: Array, polygon: Array) -> tuple[Array, Array]:
    """Whether a ray to the right of each point crosses an odd number of edges, and whether it lies on one."""
    odd = np.zeros(len(at), dtype=bool)
    touching = np.zeros(len(at), dtype=bool)
    for start, end in zip(polygon, np.roll(polygon, -1), strict=True):
        edge, away = end - start, at - start
        turn = edge.real * away.imag - edge.imag * away.real
        between = (away * np.conj(away - edge)).real <= 0
        touching |= (turn == 0) & between
        crosses = (start.imag > at.imag) != (end.imag > at.imag)
        odd ^= crosses & ((turn > 0) == (end.imag > start.imag))
    return odd, touching


@functions.builtin("rdp", "pointList, epsilon")
def simplify_line(points: Value, epsilon: Value) -> Value:
    """The points of a line without those closer than epsilon to the line through the rest (Ramer-Douglas-Peucker)."""
    line, distance = as_vector(points), float_argument(epsilon, "epsilon")
    if line.type is not Type.POINT or line.nulls().any() or distance < 0:
        raise CallError("pointList must be a POINT vector without nulls, and epsilon must not be negative.")
    keep = np.zeros(len(line), dtype=bool)
    keep[[0, -1] if len(line) else []] = True
    pending = [(0, len(line) - 1)]
    while pending:
        first, last = pending.pop()
        if last - first < 2:
            continue
        chord = line.data[last] - line.data[first]
        past = line.data[first + 1 : last] - line.data[first]
        away = np.abs((past * np.conj(chord)).imag) / abs(chord) if chord != 0 else np.abs(past)
        farthest = int(np.argmax(away))
        if away[farthest] > distance:
            place = first + 1 + farthest
            keep[place] = True
            pending += [(first, place), (place, last)]
    return Vector(Type.POINT, line.data[keep])
