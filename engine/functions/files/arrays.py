"""NumPy's files: arrays as vectors and matrices."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from engine.arguments import text_argument
from engine.context import Context
from engine.errors import CallError, ScriptError, UnsupportedError
from engine.functions.files.paths import readable, writable
from engine.functions.registry import Registry
from engine.limits import check_allocation
from engine.storage.files import whole_file
from engine.types import FLOATING, NUMERIC, Type
from engine.values import NOTHING, AnyVector, Array, Dictionary, Matrix, Nothing, Value, Vector, vector

functions = Registry()

_TYPES = {
    "?": Type.BOOL, "b": Type.CHAR, "h": Type.SHORT, "i": Type.INT, "l": Type.LONG, "q": Type.LONG, "f": Type.FLOAT,
    "d": Type.DOUBLE,
}  # fmt: skip


@functions.builtin("loadNpy", "fileName", context=True)
def load_npy(context: Context, filename: Value) -> Value:
    """The array of an .npy file as a vector or matrix."""
    array = _loaded(_existing(context, filename), mapped=True)
    if not isinstance(array, np.ndarray) or array.ndim not in (1, 2) or array.dtype.kind not in "bif":
        raise UnsupportedError("An .npy file that holds anything but numbers in one or two dimensions")
    check_allocation(array.nbytes, Type.CHAR, context.node)
    return _value(array)


@functions.builtin("loadNpz", "fileName", context=True)
def load_npz(context: Context, filename: Value) -> Dictionary:
    """The arrays of an .npz file by name: vectors, matrices, and tuples of matrices for three dimensions."""
    path = _existing(context, filename)
    arrays = _loaded(path)
    if isinstance(arrays, np.ndarray):
        raise CallError("fileName must be an .npz file.")
    with arrays:
        check_allocation(sum(member.file_size for member in arrays.zip.infolist()), Type.CHAR, context.node)
        try:
            items: dict[Any, Value] = {name: _value(arrays[name]) for name in arrays.files}
        except (ValueError, EOFError, OSError, zlib.error, zipfile.BadZipFile):
            raise ScriptError(f"The file [{path.name}] is broken.") from None
    return Dictionary(Type.STRING, Type.ANY, items)


@functions.builtin("saveAsNpy", "obj, fileName", context=True)
def save_npy(context: Context, value: Value, filename: Value) -> Nothing:
    """A numeric vector or matrix as an .npy file; NULL becomes -inf, that of integers stays the smallest integer."""
    if not isinstance(value, Vector | Matrix) or value.type not in NUMERIC:
        raise CallError("obj must be a numeric vector or matrix.")
    data = np.array(value.data)
    if value.type in FLOATING:
        data[np.isnan(data)] = -np.inf
    elif value.type is Type.BOOL:
        if (data < 0).any():
            raise CallError("obj must have no NULL, as a Boolean array can't hold it.")
        data = data.astype(np.bool_)
    name = text_argument(filename, "fileName")
    try:
        with whole_file(writable(context, name), binary=True) as file:
            np.save(file, data, allow_pickle=False)
    except OSError as error:
        raise ScriptError(f"Failed to write the file [{name}]: {error.strerror}.") from None
    return NOTHING


def _existing(context: Context, filename: Value) -> Path:
    name = text_argument(filename, "fileName")
    path = readable(context, name)
    if not path.is_file():
        raise ScriptError(f"The file [{name}] does not exist.")
    return path


def _loaded(path: Path, *, mapped: bool = False) -> Any:
    try:
        return np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (ValueError, EOFError, OSError, zipfile.BadZipFile):
        raise ScriptError(f"The file [{path.name}] holds no NumPy arrays, or is broken.") from None


def _value(array: Array) -> Value:
    if array.dtype.kind in "US" and array.ndim == 1:
        return vector(Type.STRING, np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array.tolist())
    type_ = _TYPES.get(array.dtype.char)
    if type_ is None or not 1 <= array.ndim <= 3:
        raise UnsupportedError(f"An array of {array.dtype} in {array.ndim} dimensions")
    native = np.asarray(array, dtype=np.int8 if type_ is Type.BOOL else array.dtype.newbyteorder("="))
    if native.ndim == 1:
        return Vector(type_, native.copy())
    if native.ndim == 2:
        return Matrix(type_, native.copy())
    return AnyVector([Matrix(type_, part.copy()) for part in native])
