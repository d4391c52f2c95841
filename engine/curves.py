"""Curves through points: piecewise cubics, polynomials in Newton's form, and B-splines."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.values import Array


def hermite_pieces(x: Array, y: Array, slopes: Array) -> Array:
    """For each segment the coefficients of the cubic with these slopes at its ends, highest power first."""
    width = np.diff(x)
    secant = np.diff(y) / width
    bend = (slopes[:-1] + slopes[1:] - 2 * secant) / width
    return np.column_stack([bend / width, (secant - slopes[:-1]) / width - bend, slopes[:-1], y[:-1]])


def spline_slopes(x: Array, y: Array, start: str, end: str) -> Array:
    """The slopes of the cubic spline; its ends are "not-a-knot", "clamped" or "natural"."""
    count = len(x)
    width = np.diff(x)
    secant = np.diff(y) / width
    if count == 2:
        return np.full(2, secant[0]) if start != "clamped" else np.zeros(2)
    if count == 3 and start == end == "not-a-knot":
        return _parabola_slopes(width, secant)
    system, right = np.zeros((count, count)), np.zeros(count)
    for row in range(1, count - 1):
        system[row, row - 1 : row + 2] = width[row], 2 * (width[row - 1] + width[row]), width[row - 1]
        right[row] = 3 * (width[row] * secant[row - 1] + width[row - 1] * secant[row])
    for row, kind, h, s in ((0, start, width[:2], secant[:2]), (-1, end, width[-1:-3:-1], secant[-1:-3:-1])):
        inner = 1 if row == 0 else -2
        if kind == "clamped":
            system[row, row] = 1
        elif kind == "natural":
            system[row, row], system[row, inner], right[row] = 2, 1, 3 * s[0]
        else:
            both = h[0] + h[1]
            system[row, row], system[row, inner] = h[1], both
            right[row] = ((h[0] + 2 * both) * h[1] * s[0] + h[0] ** 2 * s[1]) / both
    return np.asarray(np.linalg.solve(system, right))


def _parabola_slopes(width: Array, secant: Array) -> Array:
    bend = (secant[1] - secant[0]) / (width[0] + width[1])
    first = secant[0] - bend * width[0]
    return np.array([first, first + 2 * bend * width[0], first + 2 * bend * (width[0] + width[1])])


def monotone_slopes(x: Array, y: Array) -> Array:
    """Slopes that keep the curve monotone between the points (PCHIP)."""
    width = np.diff(x)
    secant = np.diff(y) / width
    if len(x) == 2:
        return np.full(2, secant[0])
    before, after = width[:-1], width[1:]
    first, second = 2 * after + before, after + 2 * before
    with np.errstate(all="ignore"):
        mean = (first + second) / (first / secant[:-1] + second / secant[1:])
    inner = np.where(np.sign(secant[:-1]) * np.sign(secant[1:]) > 0, mean, 0.0)
    ends = (_monotone_end(width[:2], secant[:2]), _monotone_end(width[-1:-3:-1], secant[-1:-3:-1]))
    return np.concatenate([[ends[0]], inner, [ends[1]]])


def _monotone_end(width: Array, secant: Array) -> float:
    slope = ((2 * width[0] + width[1]) * secant[0] - width[0] * secant[1]) / (width[0] + width[1])
    if np.sign(slope) != np.sign(secant[0]):
        return 0.0
    if np.sign(secant[0]) != np.sign(secant[1]) and abs(slope) > 3 * abs(secant[0]):
        return float(3 * secant[0])
    return float(slope)


def evaluate_pieces(x: Array, pieces: Array, points: Array, extrapolate: bool = True) -> Array:
    """The piecewise cubic at points; outside of `x` the end pieces go on, or NaN."""
    segment = np.clip(np.searchsorted(x, points, side="right") - 1, 0, len(x) - 2)
    past = points - x[segment]
    c = pieces[segment]
    out = ((c[:, 0] * past + c[:, 1]) * past + c[:, 2]) * past + c[:, 3]
    return np.asarray(out if extrapolate else np.where((points < x[0]) | (points > x[-1]), np.nan, out))


def newton_coefficients(x: Array, y: Array) -> Array:
    """Divided differences; a value of `x` given again has the next derivative in `y`."""
    count = len(x)
    table = np.zeros((count, count))
    factorial = 1.0
    first = 0
    for row in range(count):
        first = row if row == 0 or x[row] != x[row - 1] else first
        table[row, 0] = y[first]
    for order in range(1, count):
        factorial *= order
        for row in range(count - order):
            gap = x[row + order] - x[row]
            if gap == 0:
                start = int(np.searchsorted(x, x[row]))
                table[row, order] = y[start + order] / factorial
            else:
                table[row, order] = (table[row + 1, order - 1] - table[row, order - 1]) / gap
    return np.array(table[0])


def evaluate_newton(x: Array, coefficients: Array, points: Array, derivative: int = 0) -> Array:
    """A polynomial in Newton's form, or one of its derivatives, at points."""
    levels = [np.zeros(len(points)) for _ in range(derivative + 1)]
    levels[0] = np.full(len(points), coefficients[-1])
    for place in range(len(coefficients) - 2, -1, -1):
        past = points - x[place]
        for order in range(derivative, 0, -1):
            levels[order] = levels[order] * past + order * levels[order - 1]
        levels[0] = levels[0] * past + coefficients[place]
    return np.asarray(levels[derivative])


def basis(knots: Array, degree: int, points: Array) -> Array:
    """The B-splines of a knot vector at points, one column each; beyond the ends the last pieces go on."""
    count = len(knots) - degree - 1
    span = np.clip(np.searchsorted(knots, points, side="right") - 1, degree, count - 1)
    values = np.zeros((len(points), len(knots) - 1))
    values[np.arange(len(points)), span] = 1.0
    for order in range(1, degree + 1):
        following = np.zeros_like(values)
        for place in range(len(knots) - order - 1):
            total: Any = 0.0
            if knots[place + order] > knots[place]:
                total = (points - knots[place]) / (knots[place + order] - knots[place]) * values[:, place]
            if knots[place + order + 1] > knots[place + 1]:
                ahead = (knots[place + order + 1] - points) / (knots[place + order + 1] - knots[place + 1])
                total = total + ahead * values[:, place + 1]
            following[:, place] = total
        values = following
    return np.asarray(values[:, :count])
