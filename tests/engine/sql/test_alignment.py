from __future__ import annotations

import numpy as np
import pytest

from engine.errors import CallError
from engine.functions.tables.alignment import merge
from engine.types import Type
from engine.values import IndexedSeries, Matrix, Vector, string, vector
from tests.engine.sql.conftest import plain


def series(labels: list[int], values: list[int]) -> IndexedSeries:
    return IndexedSeries(vector(Type.DATE, labels), vector(Type.INT, values))


def indexed(labels: list[int], values: list[float], name: str) -> Matrix:
    data = np.array(values).reshape(-1, 1)
    return Matrix(Type.DOUBLE, data, vector(Type.DATE, labels), vector(Type.STRING, [name]), indexed=True)


@pytest.mark.parametrize(
    ("how", "labels", "left", "right"),
    [
        ("inner", [1, 3], [10, 30], [50, 60]),
        ("left", [1, 2, 3], [10, 20, 30], [50, None, 60]),
        ("right", [1, 3, 5], [10, 30, None], [50, 60, 70]),
        ("outer", [1, 2, 3, 5], [10, 20, 30, None], [50, None, 60, 70]),
        ("asof", [1, 2, 3], [10, 20, 30], [50, 50, 60]),
    ],
)
def test_series_are_merged_by_label(how: str, labels: list[int], left: list[int], right: list[int]) -> None:
    merged = merge(series([1, 2, 3], [10, 20, 30]), series([1, 3, 5], [50, 60, 70]), string(how))
    assert isinstance(merged.row_labels, Vector)
    assert merged.row_labels.data.tolist() == labels
    assert plain(merged) == [left, right]


def test_matrices_keep_their_column_labels() -> None:
    merged = merge(indexed([1, 4], [0.5, 1.5], "x"), indexed([2, 4], [2.5, 3.5], "y"), string("asof"))
    assert isinstance(merged.column_labels, Vector)
    assert list(merged.column_labels.data) == ["x", "y"]
    assert plain(merged) == [[0.5, 1.5], [None, 3.5]]


def test_other_values_are_refused() -> None:
    with pytest.raises(CallError, match="indexed"):
        merge(vector(Type.INT, [1]), vector(Type.INT, [1]))
