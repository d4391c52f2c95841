"""Principal components of the columns of data sources or tables."""

from __future__ import annotations

import numpy as np

from engine.aggregation.basic import doubles
from engine.arguments import boolean_argument, choice_argument, is_omitted, positive_argument
from engine.cast import to_float
from engine.context import Context
from engine.errors import CallError, UnsupportedError
from engine.forms import as_vector
from engine.functions.databases.data_sources import DataSource
from engine.functions.registry import Registry
from engine.sql.resolve import frame_of_value
from engine.types import FLOATING, INTEGRAL, Type
from engine.values import AnyVector, Array, Dictionary, Handle, Matrix, Value, Vector

functions = Registry()


@functions.builtin(
    "pca", "X, [colNames], [k], [normalize=false], [maxIter], [svdSolver='auto'], [randomState]", context=True
)
def pca(
    context: Context,
    x: Value,
    names: Value | None = None,
    count: Value | None = None,
    normalize: Value | None = None,
    iterations: Value | None = None,
    solver: Value | None = None,
    seed: Value | None = None,
) -> Dictionary:
    """Coefficients of principal components (a row each), the shares of variance they explain, singular values."""
    del iterations, seed  # They steer the randomized solver only.
    if choice_argument(solver, "svdSolver", ("full", "randomized", "auto"), "auto") == "randomized":
        raise UnsupportedError("The randomized solver of pca")
    data = _numbers(context, x, names)
    if len(data) < 2:
        raise CallError("X must have at least two rows without NULLs.")
    centered = data - data.mean(axis=0)
    if boolean_argument(normalize, "normalize", False):
        spread = centered.std(axis=0, ddof=1)
        if not np.all(spread > 0):
            raise CallError("a constant column can't be normalized.")
        centered = centered / spread
    _, singular, rows = np.linalg.svd(centered, full_matrices=False)
    kept = positive_argument(count, "k", data.shape[1])
    if kept > len(singular):
        raise CallError(f"k must not be greater than {len(singular)}.")
    total = float((singular**2).sum())
    shares = singular**2 / total if total else np.zeros_like(singular)
    components = Matrix(Type.DOUBLE, np.asfortranarray(rows[:kept]))
    parts: dict[object, Value] = {
        "components": components,
        "explainedVarianceRatio": doubles(shares[:kept]),
        "singularValues": doubles(singular[:kept]),
    }
    return Dictionary(Type.STRING, Type.ANY, parts, ordered=True)


def _numbers(context: Context, x: Value, names: Value | None) -> Array:
    """The rows without NULLs of the chosen columns."""
    sources = x.items if isinstance(x, AnyVector) else [x]
    blocks = []
    for source in sources:
        if isinstance(source, Handle) and isinstance(source.target, DataSource):
            source = source.target.read(context)
        table = frame_of_value(source, None).table()
        chosen = table.names if is_omitted(names) else as_vector(names).strings().tolist()  # type: ignore[arg-type]
        columns = [table.column(str(name)) for name in chosen]
        if not columns or not all(isinstance(c, Vector) and c.type in (*INTEGRAL, *FLOATING) for c in columns):
            raise CallError("the columns must be there and be numeric.")
        blocks.append(np.column_stack([to_float(column) for column in columns if isinstance(column, Vector)]))
    data = np.vstack(blocks)
    return np.asarray(data[~np.isnan(data).any(axis=1)])
