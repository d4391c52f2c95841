"""Matrix decompositions, inverses and products."""

from __future__ import annotations

import numpy as np

from engine.aggregation.rows import numbers
from engine.arguments import (
    boolean_argument,
    choice_argument,
    integer_argument,
    is_omitted,
    optional_float,
    text_argument,
)
from engine.errors import CallError, UnsupportedError
from engine.forms import as_vector
from engine.functions.registry import Registry
from engine.operators import binary
from engine.types import INTEGRAL, Type
from engine.values import AnyVector, Array, Dictionary, Matrix, Scalar, Value, Vector, double, integer, vector

functions = Registry()


def dense(value: Value, name: str = "X") -> Array:
    """A matrix as float64 with NULLs as 0; a vector is one column."""
    if isinstance(value, Matrix):
        return np.nan_to_num(numbers(as_vector(value), name).reshape(value.data.shape, order="F"))
    if isinstance(value, Vector):
        return np.nan_to_num(numbers(value, name)).reshape(-1, 1)
    raise CallError(f"{name} must be a matrix.")


def square(value: Value, name: str = "X") -> Array:
    data = dense(value, name)
    if data.shape[0] != data.shape[1]:
        raise CallError(f"{name} must be a square matrix.")
    return data


def matrix(data: Array) -> Matrix:
    return Matrix(Type.DOUBLE, np.asfortranarray(data, dtype=np.float64))


def column(data: Array) -> Vector:
    return Vector(Type.DOUBLE, np.ascontiguousarray(data, dtype=np.float64))


def matrix_multiply(x: Value, y: Value) -> Value:
    """The product of matrices; a vector is a row at the left, a column at the right."""
    if isinstance(x, Scalar) or isinstance(y, Scalar):
        return binary("*", x, y)
    left, right = dense(x), dense(y, "Y")
    if isinstance(x, Vector):
        left = left.T
    if left.shape[1] != right.shape[0]:
        raise CallError("the columns of X must equal the rows of Y.")
    whole = all(isinstance(v, Vector | Matrix) and v.type in (Type.BOOL, *INTEGRAL) for v in (x, y))
    product = left @ right
    if isinstance(x, Vector) and isinstance(y, Vector):
        return integer(round(float(product[0, 0])), Type.LONG) if whole else double(float(product[0, 0]))
    if whole:
        return Matrix(Type.LONG, np.asfortranarray(np.rint(product).astype(np.int64)))
    return matrix(product)


@functions.builtin("inverse", "X", aliases=("inv",))
def inverse(x: Value) -> Matrix:
    data = square(x)
    try:
        return matrix(np.linalg.inv(data))
    except np.linalg.LinAlgError:
        raise CallError("the matrix is singular.") from None


@functions.builtin("pinverse", "X")
def pseudo_inverse(x: Value) -> Matrix:
    return matrix(np.linalg.pinv(dense(x)))


@functions.builtin("det", "X")
def determinant(x: Value) -> Scalar:
    return double(float(np.linalg.det(square(x))))


@functions.builtin("matrixRank", "A, [tol]")
def matrix_rank(a: Value, tolerance: Value | None = None) -> Scalar:
    return integer(int(np.linalg.matrix_rank(dense(a), optional_float(tolerance, "tol"))))


@functions.builtin("solve", "X, Y")
def solve(x: Value, y: Value) -> Value:
    data, goal = square(x), dense(y, "Y")
    try:
        result = np.linalg.solve(data, goal)
    except np.linalg.LinAlgError:
        raise CallError("the matrix is singular.") from None
    return column(result[:, 0]) if isinstance(y, Vector) else matrix(result)


@functions.builtin("cholesky", "obj, [lower=true]")
def cholesky(x: Value, lower: Value | None = None) -> Matrix:
    try:
        factor = np.linalg.cholesky(square(x, "obj"))
    except np.linalg.LinAlgError:
        raise CallError("obj must be a positive definite matrix.") from None
    return matrix(factor if boolean_argument(lower, "lower", True) else factor.T)


@functions.builtin("eig", "A")
def eigen(a: Value) -> Dictionary:
    """Eigenvalues and eigenvectors of the symmetric matrix whose lower half is given."""
    values, vectors = np.linalg.eigh(square(a, "A"))
    return Dictionary(Type.STRING, Type.ANY, {"values": column(values), "vectors": matrix(vectors)}, ordered=True)


@functions.builtin("svd", "obj, [fullMatrices=true], [computeUV=true]")
def singular_values(x: Value, full: Value | None = None, vectors: Value | None = None) -> Value:
    data = dense(x, "obj")
    if not boolean_argument(vectors, "computeUV", True):
        return column(np.linalg.svd(data, compute_uv=False))
    u, s, v = np.linalg.svd(data, full_matrices=boolean_argument(full, "fullMatrices", True))
    return AnyVector([matrix(u), column(s), matrix(v)])


@functions.builtin("schur", "obj, [sort]")
def schur(x: Value, sort: Value | None = None) -> AnyVector:
    """T and Z with obj = Z T Z'; with `sort` also how many eigenvalues were moved to the front."""
    from scipy import linalg

    order = None if is_omitted(sort) else choice_argument(sort, "sort", ("lhp", "rhp", "iuc", "ouc"))
    try:
        t, z, *count = linalg.schur(square(x, "obj"), sort=order)
    except np.linalg.LinAlgError:
        raise CallError("the decomposition does not converge.") from None
    return AnyVector([matrix(t), matrix(z), *(integer(each) for each in count)])


@functions.builtin("qr", "obj, [mode='full'], [pivoting=false]")
def qr(x: Value, mode: Value | None = None, pivoting: Value | None = None) -> AnyVector:
    from scipy import linalg

    kind = choice_argument(mode, "mode", ("full", "r", "economic", "raw"), "full")
    pivots = boolean_argument(pivoting, "pivoting", False)
    first, *rest = linalg.qr(dense(x, "obj"), mode=kind, pivoting=pivots)
    tail: list[Value] = [vector(Type.INT, rest.pop())] if pivots else []
    if kind == "raw":
        packed, tau = first
        return AnyVector([matrix(packed), column(tau), matrix(rest[0]), *tail])
    return AnyVector([matrix(first), *(matrix(each) for each in rest), *tail])


@functions.builtin("lu", "obj, [permute=false]")
def lu(x: Value, permute: Value | None = None) -> AnyVector:
    """P, L and U with obj = P L U; with `permute` P L and U."""
    from scipy import linalg

    parts = linalg.lu(dense(x, "obj"), permute_l=boolean_argument(permute, "permute", False))
    return AnyVector([matrix(each) for each in parts])


@functions.builtin("eye", "X")
def identity(x: Value) -> Matrix:
    size = integer_argument(x, "X")
    if size <= 0:
        raise CallError("X must be a positive integer.")
    return Matrix(Type.BOOL, np.asfortranarray(np.eye(size, dtype=np.int8)))


@functions.builtin("diag", "X")
def diagonal(x: Value) -> Value:
    if isinstance(x, Matrix):
        return Vector(x.type, np.diagonal(x.data).copy(), None, x.scale)
    own = as_vector(x)
    return Matrix(own.type, np.asfortranarray(np.diag(own.data)), scale=own.scale)


@functions.builtin("vectorNorm", "x, [ord], [axis], [keepDims]")
def vector_norm(x: Value, order: Value | None = None, axis: Value | None = None, keep: Value | None = None) -> Value:
    data = dense(x, "x")
    if isinstance(x, Vector):
        data = data[:, 0]
    if isinstance(order, Scalar) and not is_omitted(order) and order.type in (Type.STRING, Type.SYMBOL):
        name = text_argument(order, "ord")
        kind: object = {"inf": np.inf, "-inf": -np.inf, "nuc": "nuc", "fro": "fro"}.get(name, name)
        if kind == name and name not in ("nuc", "fro"):
            raise CallError("ord must be a number, 'inf', '-inf', 'nuc' or 'fro'.")
    else:
        kind = optional_float(order, "ord")
    along = None if is_omitted(axis) else tuple(int(i) for i in as_vector(axis).data)  # type: ignore[arg-type]
    if along is not None and len(along) == 1:
        along = along[0]  # type: ignore[assignment]
    if isinstance(x, Matrix) and np.ndim(along) == 1 and kind in (np.inf, -np.inf):  # type: ignore[arg-type]
        raise UnsupportedError(f"vectorNorm of a matrix with ord='{kind}' along both axes")
    try:
        result = np.linalg.norm(data, kind, along, boolean_argument(keep, "keepDims", False))  # type: ignore[call-overload]
    except (ValueError, np.exceptions.AxisError) as error:
        raise CallError(str(error)) from None
    result = np.asarray(result)
    whole = isinstance(x, Vector | Matrix) and x.type in (Type.BOOL, *INTEGRAL) and kind in (1.0, np.inf, -np.inf, 0.0)
    type_ = Type.LONG if whole else Type.DOUBLE
    if result.ndim == 2:
        return matrix(result)
    if result.ndim == 1 and not (isinstance(x, Vector) and result.size == 1):
        return vector(type_, result)
    number = float(result.ravel()[0])
    return integer(round(number), Type.LONG) if whole else double(number)


def _moment_matrix(x: Value, *, correlation: bool) -> Matrix:
    data = dense(x)
    if not isinstance(x, Matrix):
        raise CallError("X must be a matrix.")
    centered = data - data.mean(axis=0)
    moments = centered.T @ centered / max(len(data) - 1, 1)
    if correlation:
        spread = np.sqrt(np.diagonal(moments))
        with np.errstate(invalid="ignore", divide="ignore"):
            moments = moments / np.outer(spread, spread)
    result = matrix(moments)
    result.row_labels = result.column_labels = x.column_labels
    return result


@functions.builtin("corrMatrix", "X")
def correlation_matrix(x: Value) -> Matrix:
    return _moment_matrix(x, correlation=True)


@functions.builtin("covarMatrix", "X")
def covariance_matrix(x: Value) -> Matrix:
    return _moment_matrix(x, correlation=False)


@functions.builtin("gramSchmidt", "X, [normalize=false]")
def gram_schmidt(x: Value, normalize: Value | None = None) -> Matrix:
    data = dense(x).copy()
    for index in range(data.shape[1]):
        for earlier in range(index):
            against = data[:, earlier]
            data[:, index] -= (against @ data[:, index]) / (against @ against) * against
    if boolean_argument(normalize, "normalize", False):
        data /= np.sqrt((data**2).sum(axis=0))
    return matrix(data)


@functions.builtin("mahalanobis", "X, Y, Z")
def mahalanobis(x: Value, y: Value, z: Value) -> Scalar:
    difference = dense(x)[:, 0] - dense(y)[:, 0]
    return double(float(np.sqrt(difference @ dense(z, "Z") @ difference)))
