"""Random numbers. Each session draws from its own generator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine.aggregation.basic import doubles
from engine.arguments import float_argument, integer_argument, is_omitted
from engine.context import Context
from engine.errors import CallError
from engine.forms import as_vector, element
from engine.functions.registry import Registry
from engine.functions.text.strings import object_array
from engine.limits import check_allocation
from engine.types import FLOATING, Type
from engine.values import NOTHING, Array, Matrix, Nothing, Scalar, Value, Vector, integer, vector

functions = Registry()


def generator(ctx: Context) -> np.random.Generator:
    """The random generator of the session."""
    if ctx.session.random is None:
        ctx.session.random = np.random.default_rng()
    return ctx.session.random


@functions.builtin("setRandomSeed", "seed", context=True)
def set_random_seed(ctx: Context, seed: Value) -> Nothing:
    ctx.session.random = np.random.default_rng(integer_argument(seed, "seed") & 0xFFFFFFFFFFFFFFFF)
    return NOTHING


def _shape(count: Value | None) -> tuple[int, ...]:
    """A number of elements, or a pair of rows and columns."""
    if isinstance(count, Vector) and len(count) == 2:
        return int(count.data[0]), int(count.data[1])
    return (integer_argument(count, "count"),)


def _formed(data: Array, type_: Type) -> Value:
    if data.ndim == 2:
        return Matrix(type_, np.asfortranarray(data))
    return vector(type_, data)


@functions.builtin("rand", "X, [count]", context=True)
def rand(ctx: Context, x: Value, count: Value = NOTHING) -> Value:
    """Uniform numbers from 0 up to X, or a choice of the elements of X; without a count a single one."""
    if is_omitted(count):
        return element(rand(ctx, x, integer(1)), 0)
    shape = _shape(count)
    size = int(np.prod(shape))
    source = generator(ctx)
    if isinstance(x, Scalar):
        check_allocation(size, x.type, ctx.node)
        if x.type in (Type.UUID, Type.INT128, Type.IPADDR):
            return _formed(object_array([source.bytes(16) for _ in range(size)]).reshape(shape), x.type)
        if x.type in FLOATING:
            return _formed(source.uniform(0.0, float_argument(x, "X"), shape), x.type)
        if x.is_null or x.type not in (Type.CHAR, Type.SHORT, Type.INT, Type.LONG):
            raise CallError("X must be a positive number or a vector.")
        limit = integer_argument(x, "X")
        if limit <= 0:
            raise CallError("X must be positive.")
        return _formed(source.integers(0, limit, shape), x.type)
    column = as_vector(x)
    check_allocation(size, column.type, ctx.node)
    if not len(column):
        raise CallError("X must not be empty.")
    chosen = column.take(source.integers(0, len(column), size))
    if len(shape) == 2:
        return Matrix(chosen.type, chosen.data.reshape(shape, order="F"), scale=chosen.scale)
    return chosen


Sampler = Callable[[np.random.Generator, list[float], int], Array]

DISTRIBUTIONS: dict[str, tuple[str, Sampler]] = {
    "norm": ("mean, std", lambda g, p, n: g.normal(p[0], p[1], n)),
    "randNormal": ("mean, stdev", lambda g, p, n: g.normal(p[0], p[1], n)),
    "randUniform": ("lower, upper", lambda g, p, n: g.uniform(p[0], p[1], n)),
    "randExp": ("mean", lambda g, p, n: g.exponential(p[0], n)),
    "randGamma": ("shape, scale", lambda g, p, n: g.gamma(p[0], p[1], n)),
    "randBeta": ("alpha, beta", lambda g, p, n: g.beta(p[0], p[1], n)),
    "randChiSquare": ("df", lambda g, p, n: g.chisquare(p[0], n)),
    "randF": ("numeratorDF, denominatorDF", lambda g, p, n: g.f(p[0], p[1], n)),
    "randStudent": ("df", lambda g, p, n: g.standard_t(p[0], n)),
    "randLogistic": ("mean, scale", lambda g, p, n: g.logistic(p[0], p[1], n)),
    "randWeibull": ("alpha, beta", lambda g, p, n: p[1] * g.weibull(p[0], n)),
    "randPoisson": ("mean", lambda g, p, n: g.poisson(p[0], n).astype(np.float64)),
    "randBinomial": ("trials, prob", lambda g, p, n: g.binomial(int(p[0]), p[1], n).astype(np.float64)),
}


def _declare(name: str, parameters: str, sample: Sampler) -> None:
    names = [part.strip() for part in parameters.split(",")]

    @functions.builtin(name, f"{parameters}, count", context=True)
    def draw(ctx: Context, *values: Value) -> Value:
        numbers = [float_argument(value, parameter) for value, parameter in zip(values, names, strict=False)]
        shape = _shape(values[-1])
        size = int(np.prod(shape))
        check_allocation(size, Type.DOUBLE, ctx.node)
        data = sample(generator(ctx), numbers, size)
        return doubles(data) if len(shape) == 1 else _formed(data.reshape(shape), Type.DOUBLE)


for _name, (_parameters, _sample) in DISTRIBUTIONS.items():
    _declare(_name, _parameters, _sample)
functions.functions["normal"] = functions.functions["norm"]


@functions.builtin("randDiscrete", "v, p, count", context=True)
def rand_discrete(ctx: Context, v: Value, p: Value, count: Value) -> Vector:
    """Elements of `v` chosen with the given weights."""
    column, weights = as_vector(v), as_vector(p).data.astype(np.float64)
    if len(column) != len(weights) or not len(column) or (weights < 0).any() or not weights.sum() > 0:
        raise CallError("p must have a positive weight for each element of v.")
    size = integer_argument(count, "count")
    check_allocation(size, column.type, ctx.node)
    return column.take(generator(ctx).choice(len(column), size, p=weights / weights.sum()))


@functions.builtin("randMultivariateNormal", "mean, covar, count, [sampleAsRow=true]", context=True)
def rand_multivariate_normal(
    ctx: Context, mean: Value, covar: Value, count: Value, as_rows: Value | None = None
) -> Matrix:
    from engine.arguments import boolean_argument, matrix_argument

    center = as_vector(mean).data.astype(np.float64)
    spread = matrix_argument(covar, "covar").data.astype(np.float64)
    size = integer_argument(count, "count")
    check_allocation(size * len(center), Type.DOUBLE, ctx.node)
    data = generator(ctx).multivariate_normal(center, spread, size)
    rows = boolean_argument(as_rows, "sampleAsRow", True)
    return Matrix(Type.DOUBLE, np.asfortranarray(data if rows else data.T))
