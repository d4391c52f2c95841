"""The aggregates by name, each with its form for groups and, where there is one, a fast form for windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.aggregation import basic, moments, order, rolling
from engine.aggregation.rows import Kernel
from engine.aggregation.windows import Windows, windowed
from engine.grouping import Groups
from engine.values import Vector


@dataclass(frozen=True)
class Aggregate:
    """`data` and `options` are parameter names as documented."""

    kernel: Kernel
    data: str = "X"
    options: str = ""
    fast: Kernel | None = None
    aliases: tuple[str, ...] = ()

    @property
    def signature(self) -> str:
        return f"{self.data}, {self.options}" if self.options else self.data

    @property
    def vectors(self) -> int:
        return self.data.count(",") + 1

    def over(self, windows: Windows, *columns: Vector, **options: Any) -> Vector:
        """The aggregate in each window."""
        if self.fast is not None:
            return self.fast(windows, *columns, **options)

        def kernel(groups: Groups, *parts: Vector) -> Vector:
            return self.kernel(groups, *parts, **options)

        return windowed(kernel, windows, *columns)


VAR = moments.variance(sample=True)
VARP = moments.variance(sample=False)
STD = moments.variance(sample=True, root=True)
STDP = moments.variance(sample=False, root=True)

AGGREGATES: dict[str, Aggregate] = {
    "count": Aggregate(basic.count, fast=rolling.count),
    "sum": Aggregate(basic.total, fast=rolling.total),
    "sum2": Aggregate(basic.power_sum(2), fast=rolling.squares),
    "sum3": Aggregate(basic.power_sum(3)),
    "sum4": Aggregate(basic.power_sum(4)),
    "avg": Aggregate(basic.average, fast=rolling.average, aliases=("mean",)),
    "prod": Aggregate(basic.product),
    "first": Aggregate(basic.first, fast=rolling.first),
    "last": Aggregate(basic.last, fast=rolling.last),
    "firstNot": Aggregate(basic.first_not, options="[k]", fast=rolling.first_not),
    "lastNot": Aggregate(basic.last_not, options="[k]", fast=rolling.last_not),
    "ifirstNot": Aggregate(basic.first_not_position, fast=rolling.not_position(latest=False)),
    "ilastNot": Aggregate(basic.last_not_position, fast=rolling.not_position(latest=True)),
    "imax": Aggregate(basic.extreme_position(largest=True), fast=rolling.extreme_position(largest=True)),
    "imin": Aggregate(basic.extreme_position(largest=False), fast=rolling.extreme_position(largest=False)),
    "imaxLast": Aggregate(
        basic.extreme_position(largest=True, last=True), fast=rolling.extreme_position(largest=True, last=True)
    ),
    "iminLast": Aggregate(
        basic.extreme_position(largest=False, last=True), fast=rolling.extreme_position(largest=False, last=True)
    ),
    "atImax": Aggregate(basic.at_extreme(largest=True), "location, value"),
    "atImin": Aggregate(basic.at_extreme(largest=False), "location, value"),
    "var": Aggregate(VAR, fast=rolling.variance(sample=True)),
    "varp": Aggregate(VARP, fast=rolling.variance(sample=False)),
    "std": Aggregate(STD, fast=rolling.variance(sample=True, root=True)),
    "stdp": Aggregate(STDP, fast=rolling.variance(sample=False, root=True)),
    "sem": Aggregate(moments.standard_error),
    "skew": Aggregate(moments.skewness, options="[biased=true]", fast=rolling.shape(moments.skewness, "skew")),
    "kurtosis": Aggregate(moments.kurtosis, options="[biased=true]", fast=rolling.shape(moments.kurtosis, "kurt")),
    "med": Aggregate(order.median, fast=rolling.median, aliases=("median",)),
    "mode": Aggregate(order.mode),
    "percentile": Aggregate(order.percentile, options="percent, [interpolation]", fast=rolling.percentile),
    "quantile": Aggregate(order.quantile, options="q, [interpolation]", fast=rolling.quantile),
    "mad": Aggregate(order.absolute_deviation, options="[useMedian=false]"),
    "nunique": Aggregate(order.distinct_count, options="[ignoreNull=false]", fast=rolling.distinct_count),
    "corr": Aggregate(moments.correlation, "X, Y", fast=rolling.correlation),
    "covar": Aggregate(moments.covariance(sample=True), "X, Y", fast=rolling.covariance(sample=True)),
    "covarp": Aggregate(moments.covariance(sample=False), "X, Y", fast=rolling.covariance(sample=False)),
    "beta": Aggregate(moments.slope, "Y, X", fast=rolling.slope),
    "wavg": Aggregate(moments.weighted_average, "value, weight", fast=rolling.weighted_average),
    "wsum": Aggregate(moments.weighted_sum(), "X, Y", fast=rolling.weighted_sum()),
    "wsum2": Aggregate(moments.weighted_sum(2), "X, Y", fast=rolling.weighted_sum(2)),
    "wcovar": Aggregate(moments.weighted_covariance, "X, Y, weights"),
    "euclidean": Aggregate(moments.distance, "X, Y"),
    "cosine": Aggregate(moments.cosine, "X, Y"),
    "tanimoto": Aggregate(moments.tanimoto, "X, Y"),
    "mutualInfo": Aggregate(order.mutual_information, "X, Y", aliases=("infoGain",)),
    "maxPositiveStreak": Aggregate(basic.longest_positive_sum),
    "maxDrawdown": Aggregate(basic.drawdown, options="[ratio=true]"),
}
MAXIMUM = Aggregate(basic.maximum, fast=rolling.extreme(largest=True))
MINIMUM = Aggregate(basic.minimum, fast=rolling.extreme(largest=False))
