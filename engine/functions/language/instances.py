"""What instances of a script's classes are made of."""

from __future__ import annotations

from engine.errors import CallError
from engine.functions.registry import Registry
from engine.interpreter.classes import ClassType, class_named, instance_of
from engine.types import Type
from engine.values import Dictionary, Table, Value, vector

functions = Registry()


def _class(value: Value) -> ClassType:
    instance = instance_of(value)
    found = instance.type if instance is not None else class_named(value)
    if found is None:
        raise CallError("obj must be a class or an instance of one.")
    return found


@functions.builtin("attributeNames", "obj")
def attribute_names(value: Value) -> Value:
    """The names of the attributes of an instance."""
    return vector(Type.STRING, list(_class(value).attributes))


@functions.builtin("attributeTypes", "obj")
def attribute_types(value: Value) -> Value:
    """The attributes of a class or an instance, with their types."""
    attributes = _class(value).attributes
    names, types = (vector(Type.STRING, list(part)) for part in (attributes, attributes.values()))
    return Table(["attr", "type"], [names, types])


@functions.builtin("attributeValues", "obj")
def attribute_values(value: Value) -> Value:
    """The attributes of an instance and their values."""
    instance = instance_of(value)
    if instance is None:
        raise CallError("obj must be an instance of a class.")
    return Dictionary(Type.STRING, Type.ANY, dict(instance.values), ordered=True)
