"""Exponentially weighted moments."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine import lifting
from engine.aggregation import running
from engine.aggregation.basic import doubles
from engine.aggregation.rows import numbers, whole
from engine.arguments import boolean_argument, integer_argument, is_omitted, optional_float
from engine.calendars import trading_days
from engine.cast import CLOCKS, DAY, INSTANTS
from engine.declarations import columns_of, every_form
from engine.errors import CallError, UnsupportedError
from engine.forms import as_vector
from engine.functions.registry import Kind, Registry
from engine.grouping import Groups
from engine.operators.temporal import UNITS
from engine.types import Type
from engine.values import Matrix, Nothing, Scalar, Value, Vector

functions = Registry()

DECAY = "[com], [span], [halfLife], [alpha], [minPeriods=0], [adjust=true], [ignoreNA=false]"


def _weighting(values: tuple[Value, ...]) -> dict[str, Any]:
    """The decay and its options as pandas takes them."""
    given: list[Value | None] = [*values, *([None] * (7 - len(values)))]
    half_life = given[2]
    if isinstance(half_life, Scalar) and half_life.type is Type.DURATION:
        raise CallError("a duration as halfLife needs times, and neither com, span nor alpha.")
    names = ("com", "span", "halflife", "alpha")
    decay = {name: optional_float(value, name) for name, value in zip(names, given[:4], strict=True)}
    chosen = {name: value for name, value in decay.items() if value is not None}
    if len(chosen) != 1:
        raise CallError("exactly one of com, span, halfLife and alpha must be specified.")
    return {
        **chosen,
        "min_periods": integer_argument(given[4], "minPeriods", 0),
        "adjust": boolean_argument(given[5], "adjust", True),
        "ignore_na": boolean_argument(given[6], "ignoreNA", False),
    }


def _weighted(column: Vector, weighting: dict[str, Any]) -> Any:
    import pandas as pd

    return pd.Series(numbers(column)).ewm(**weighting)


def _mean_in_time(x: Vector, values: tuple[Value, ...], times: Value | None) -> Vector:
    """The mean with weights that halve in a duration of the times."""
    import pandas as pd

    half_life = values[2] if len(values) > 2 else None
    if not isinstance(half_life, Scalar) or half_life.type is not Type.DURATION or half_life.value is None:
        raise CallError("times needs a duration as halfLife.")
    if any(not is_omitted(value) for value in (*values[:2], *values[3:4])):
        raise CallError("exactly one of com, span, halfLife and alpha must be specified.")
    amount, unit = half_life.value
    moments = as_vector(times)  # type: ignore[arg-type]
    if len(moments) != len(x) or moments.type not in (*INSTANTS, *CLOCKS) or moments.nulls().any():
        raise CallError("times must be a temporal vector as long as X, without NULLs.")
    raws = moments.data.astype(np.int64)
    if len(raws) and bool((np.diff(raws) <= 0).any()):
        raise CallError("times must be strictly increasing.")
    if unit in UNITS:
        steps = raws * (INSTANTS.get(moments.type) or CLOCKS[moments.type])
        length = amount * UNITS[unit]
    elif unit in ("M", "y"):
        raise UnsupportedError(f"A halfLife in {unit}")
    else:
        if moments.type is not Type.DATE:
            raise CallError("times must be DATE for a halfLife in business or trading days.")
        steps = trading_days(unit).number(raws) * DAY
        length = amount * DAY
    given: list[Value | None] = [*values[4:], *([None] * (7 - max(len(values), 4)))]
    if not boolean_argument(given[1], "adjust", True):
        raise CallError("adjust must be true with times.")
    series = pd.Series(numbers(x)).ewm(
        halflife=pd.Timedelta(length, "ns"),
        times=pd.Series(steps.astype("datetime64[ns]")),
        min_periods=integer_argument(given[0], "minPeriods", 0),
        ignore_na=boolean_argument(given[2], "ignoreNA", False),
    )
    return doubles(series.mean().to_numpy())


def _declare_single(name: str, method: str, extra: str) -> None:
    @functions.builtin(name, f"X, {DECAY}, {extra}", kind=Kind.SEQUENCE)
    def moment(x: Vector, *rest: Value) -> Vector:
        if method == "mean" and len(rest) > 7 and not is_omitted(rest[7]):
            return _mean_in_time(x, rest[:7], rest[7])
        return of_groups(whole(len(x)), x, *rest)

    def of_groups(groups: Groups, x: Value, *rest: Value) -> Vector:
        import pandas as pd

        last = rest[7] if len(rest) > 7 else None
        if method == "mean" and not is_omitted(last):
            raise CallError("times must be as long as X.")
        values = pd.Series(numbers(running.in_order(groups, columns_of([x], groups.rows)[0])))
        options = {} if method == "mean" else {"bias": boolean_argument(last, "bias", False)}
        if groups.count > 1:
            values = values.groupby(np.repeat(np.arange(groups.count), groups.sizes), sort=False)
        result = getattr(values.ewm(**_weighting(rest[:7])), method)(**options)
        return running.back(groups, doubles(result.to_numpy()))

    functions.grouped(name)(of_groups)


_declare_single("ewmMean", "mean", "[times]")
_declare_single("ewmVar", "var", "[bias=false]")
_declare_single("ewmStd", "std", "[bias=false]")


def _declare_double(name: str, method: str) -> None:
    @functions.builtin(name, f"X, {DECAY}, [other], [bias=false]", kind=Kind.SEQUENCE)
    @every_form
    def moment(x: Value, *rest: Value) -> Value:
        import pandas as pd

        weighting = _weighting(rest[:7])
        other = rest[7] if len(rest) > 7 else None
        bias = boolean_argument(rest[8] if len(rest) > 8 else None, "bias", False)
        if other is None or isinstance(other, Nothing):
            raise CallError("other must be specified.")
        options = {} if method == "corr" else {"bias": bias}

        def kernel(column: Vector, second: Vector) -> Vector:
            first, partner = columns_of([column, second])
            own = pd.Series(numbers(partner, "other"))
            result = getattr(_weighted(first, weighting), method)(own, **options).to_numpy()
            return doubles(np.where(np.isfinite(result), result, np.nan))

        if isinstance(other, Matrix) and not isinstance(x, Matrix):
            raise CallError("other must have the form of X.")
        return lifting.sequence(kernel, [x, other])


_declare_double("ewmCov", "cov")
_declare_double("ewmCorr", "corr")
