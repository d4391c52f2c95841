"""Tuples: columnar ones, flattening, and changing members in place."""

from __future__ import annotations

import numpy as np

from engine.arguments import boolean_argument
from engine.assignment import set_column, set_index
from engine.context import Context
from engine.errors import CallError
from engine.forms import as_vector, concat, form_name
from engine.functions.language.assembling import function_argument
from engine.functions.language.growing import append_to_table
from engine.functions.registry import Registry
from engine.indexing import get_index, is_uniform, positions_of
from engine.interpreter.classes import instance_of
from engine.sql.source import stored_table
from engine.types import LITERAL, Type
from engine.values import (
    NOTHING,
    AnyVector,
    ArrayVector,
    Dictionary,
    Matrix,
    Nothing,
    Scalar,
    Table,
    Value,
    Vector,
    boolean,
    elements,
    take,
)
from engine.vectors import append_array_vector, append_vector

functions = Registry()


@functions.builtin("setColumnarTuple!", "X, [on=true]")
def set_columnar_tuple(value: Value, on: Value = NOTHING) -> Value:
    """Make a tuple of rows of one type a columnar tuple, or a plain one again."""
    if not isinstance(value, AnyVector):
        raise CallError("X must be a tuple.")
    wanted = boolean_argument(on, "on", True)
    if wanted and not value.columnar and value.items and not is_uniform(AnyVector([*value.items, as_vector_of(value)])):
        raise CallError("The elements of X must have the same type.")
    value.columnar = wanted
    return value


def as_vector_of(value: AnyVector) -> Value:
    first = value.items[0]
    return as_vector(first) if isinstance(first, Scalar) else first


@functions.builtin("isColumnarTuple", "X")
def is_columnar_tuple(value: Value) -> Value:
    return boolean(isinstance(value, AnyVector) and value.columnar)


@functions.builtin("isOrderedDict", "X")
def is_ordered_dictionary(value: Value) -> Value:
    return boolean(isinstance(value, Dictionary) and value.ordered)


@functions.builtin("appendTuple!", "X, Y, [wholistic=false]")
def append_to_tuple(target: Value, added: Value, wholistic: Value = NOTHING) -> Value:
    """Append a tuple as one element, or its elements one by one."""
    if not isinstance(target, AnyVector) or not isinstance(added, AnyVector):
        raise CallError("X and Y must be tuples.")
    if boolean_argument(wholistic, "wholistic", False):
        if target.columnar:
            raise CallError("X must not be a columnar tuple.")
        target.items.append(added)
    else:
        target.items.extend(list(added.items))
    return target


@functions.builtin("flatten", "X")
def flatten(value: Value) -> Value:
    """A one-dimensional vector; of a tuple that holds tuples, only these are made vectors."""
    if isinstance(value, AnyVector):
        if any(isinstance(item, AnyVector) for item in value.items):
            return AnyVector([flatten(item) if isinstance(item, AnyVector) else item for item in value.items])
        return concat([part for item in value.items for part in _flat_parts(item)])
    if isinstance(value, ArrayVector):
        return value.flat.take(slice(int(value.offsets[0]), int(value.offsets[-1])))
    return as_vector(value)


def _flat_parts(item: Value) -> list[Value]:
    return [flatten(item)] if isinstance(item, Matrix | ArrayVector) else [item]


@functions.builtin("fill!", "obj, index, value")
def fill_places(target: Value, index: Value, value: Value) -> Value:
    """`obj[index] = value`; a tuple holds the rows and columns of a matrix, names of new columns add them."""
    if isinstance(target, Table) and isinstance(index, Scalar) and index.type in LITERAL:
        set_column(target, str(index.value), value)
    elif isinstance(target, Matrix) and isinstance(index, AnyVector):
        set_index(target, [None if isinstance(i, Nothing) else i for i in _two(index)], value)
    elif isinstance(target, Matrix) and isinstance(index, Vector) and index.type is Type.VOID:
        set_index(target, [None], value)
    else:
        set_index(target, [index], value)
    return target


def _two(index: AnyVector) -> list[Value]:
    return [*index.items, NOTHING][:2]


@functions.builtin("join!", "X, Y")
def join_in_place(target: Value, added: Value) -> Value:
    """Append to a vector, tuple or matrix; a table gets rows of a table or a vector as a new column."""
    if isinstance(target, Vector):
        return append_vector(target, added)
    if isinstance(target, AnyVector):
        target.items.append(added)
        return target
    if isinstance(target, ArrayVector):
        return append_array_vector(target, added)
    if isinstance(target, Matrix):
        column = as_vector(added)
        if not target.rows or len(column) % target.rows:
            raise CallError("Y must have as many rows as X.")
        width = target.columns
        more = len(column) // target.rows
        target.data = np.asfortranarray(np.hstack([target.data, np.zeros((target.rows, more), target.data.dtype)]))
        target.column_labels = None
        set_index(target, [None, Vector(Type.INT, np.arange(width, width + more, dtype=np.int32))], column)
        return target
    if isinstance(target, Table) and isinstance(added, Table):
        if added.rows == target.rows and not set(added.names) & set(target.names):
            for name, own in zip(added.names, added.columns, strict=True):
                set_column(target, name, own)
        else:
            append_to_table(target, added)
        return target
    raise CallError(f"nothing can be joined to {form_name(target)}.")


@functions.builtin("remove!", "obj, index")
def remove(target: Value, index: Value) -> Value:
    """Take out the elements at positions, in place."""
    if not isinstance(target, Vector | AnyVector | ArrayVector):
        raise CallError("obj must be a vector or a tuple.")
    places = positions_of(index, len(target))
    if np.any((places < 0) | (places >= len(target))) or np.any(np.diff(places) <= 0):
        raise CallError("index must be positions of obj in ascending order.")
    keep = np.ones(len(target), dtype=bool)
    keep[places] = False
    kept = take(target, keep)
    if isinstance(target, Vector) and isinstance(kept, Vector):
        target.data = kept.data
    elif isinstance(target, AnyVector) and isinstance(kept, AnyVector):
        target.items = kept.items
    elif isinstance(target, ArrayVector) and isinstance(kept, ArrayVector):
        target.flat, target.offsets = kept.flat, kept.offsets
    return target


@functions.builtin("memberModify!", "obj, function, indices, [parameters]", context=True)
def modify_member(
    context: Context, target: Value, function: Value, indices: Value, parameters: Value = NOTHING
) -> Value:
    """Apply a function that changes its first argument to members of a tuple or dictionary."""
    instance = instance_of(target)
    if instance is not None:
        target = Dictionary(Type.STRING, Type.ANY, instance.values)
    if not isinstance(target, AnyVector | Dictionary):
        raise CallError("obj must be a tuple, a dictionary or an instance of a class.")
    callee = function_argument(function, "memberModify!")
    if isinstance(parameters, AnyVector):
        given = list(parameters.items)
    else:
        given = [] if isinstance(parameters, Nothing) else [parameters]
    if isinstance(indices, AnyVector):
        owner: Value = target
        for step in indices.items[:-1]:
            owner = get_index(owner, [step])
        places, owners = _places(indices.items[-1]), owner
    else:
        places, owners = _places(indices), target
    for number, place in enumerate(places):
        row = [_part(value, number, len(places)) for value in given]
        member = get_index(AnyVector(owners.items) if isinstance(owners, AnyVector) else owners, [place])
        if stored_table(member) is not None:
            raise CallError("A stored table can't be changed.")
        context.call(callee, [member, *row])
    return target


def _places(index: Value) -> list[Value]:
    return list(elements(index)) if isinstance(index, Vector) else [index]


def _part(value: Value, number: int, count: int) -> Value:
    if count > 1 and isinstance(value, Vector) and len(value) == count:
        return value.scalar(number)
    return value


def _only_in_queries(name: str) -> None:
    @functions.builtin(name, "X")
    def refuse(_value: Value) -> Value:
        raise CallError(f"{name} works in the select clause of a query with group by only.")

    refuse.__doc__ = "In a query with group by, the values of each group as one row."


for _name in ("toArray", "toTuple", "toColumnarTuple"):
    _only_in_queries(_name)
