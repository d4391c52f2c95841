"""Families of functions that the rules speak of."""

from __future__ import annotations

import re

from dolphin.script.builtin_names import BUILTIN_NAMES

_AGGREGATES = """
    atImax atImin avg beta corr count covar first imax imin kurtosis last max mean med min mode nunique percentile
    quantile rms sem size skew std stdp sum sum2 sum3 sum4 var varp wavg wsum firstNot lastNot maxDrawdown distinct
"""
_SEQUENCES = """
    deltas ratios prev next move percentChange ffill bfill iterate ema wma sma trima dema tema ewmMean ewmStd ewmVar
    ewmCorr ewmCov cumrank rank denseRank prevState nextState rowNo isDuplicated lag lead kama wilder gema
    linearTimeTrend talib moving tmoving rolling topRange lowRange trueRange isPeak isValley
"""
_STATISTICS = "avg|sum|sum2|max|min|std|stdp|var|varp|count|corr|covar|beta|rank|prod|med|first|last"
_MORE_STATISTICS = "percentile|skew|kurtosis|imax|imin|mad|wavg|wsum|nunique|mode"
_FAMILIES = re.compile(rf"(?:cum|tm|m)(?:{_STATISTICS}|{_MORE_STATISTICS})\w*")

AGGREGATES = frozenset(_AGGREGATES.split())
SEQUENCES = frozenset(_SEQUENCES.split())
COMPARISONS = frozenset({"==", "<", "<=", ">", ">=", "in", "between"})
INTEGER_TYPES = frozenset({"INT", "LONG", "SHORT", "CHAR"})
INTEGER_RESULTS = frozenset({"sum", "max", "min", "first", "last", "abs", "cumsum", "prev", "next"})


def is_sequence_function(name: str) -> bool:
    """Whether a value of the function depends on the rows before or after."""
    return name in SEQUENCES or (name in BUILTIN_NAMES and _FAMILIES.fullmatch(name) is not None)
