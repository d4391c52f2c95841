"""Classes of a script: attributes with types, methods, instances that are shared by reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dolphin.script import syntax
from engine.cast import cast
from engine.errors import ScriptError, UnsupportedError
from engine.functions.registry import Builtin, Kind, parse_parameters
from engine.interpreter.closures import FunctionScope, bind_closure, make_closure
from engine.interpreter.scope import Scope
from engine.types import Type
from engine.values import NOTHING, NULL, AnyVector, Closure, Handle, Nothing, Scalar, Value, vector

if TYPE_CHECKING:
    from engine.interpreter.interpreter import Interpreter


@dataclass(eq=False)
class ClassType:
    """`attributes` are types as written, by name; base classes are merged in."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    methods: dict[str, Closure] = field(default_factory=dict)

    def construct(self, interpreter: Interpreter, *arguments: Value) -> Value:
        """A new instance; the method with the name of the class sets it up."""
        instance = Instance(self, {name: _initial(type_) for name, type_ in self.attributes.items()})
        handle = Handle("instance", self.name, instance)
        if self.name in self.methods:
            given = list(arguments)
            while given and isinstance(given[-1], Nothing):
                given.pop()
            call_method(interpreter, handle, self.name, given, {})
        elif arguments:
            raise ScriptError(f"The class [{self.name}] has no constructor with arguments.")
        return handle


@dataclass(eq=False)
class Instance:
    type: ClassType
    values: dict[str, Value]

    def set(self, name: str, value: Value) -> None:
        """Assign to an attribute; scalars are converted to its type."""
        if name not in self.values:
            raise ScriptError(f"The class [{self.type.name}] has no attribute [{name}].")
        self.values[name] = _converted(value, self.type.attributes[name])


class MethodScope(FunctionScope):
    """Inside of a method the attributes and the other methods are meant by their names."""

    __slots__ = ("handle", "interpreter")

    def __init__(self, inner: FunctionScope, handle: Handle, interpreter: Interpreter) -> None:
        super().__init__(inner.variables, inner.parent, inner.constants)
        self.handle = handle
        self.interpreter = interpreter

    def lookup(self, name: str) -> Value | None:
        if name in self.variables:
            return self.variables[name]
        instance: Instance = self.handle.target
        if name in instance.values:
            return instance.values[name]
        if name == "self":
            return self.handle
        if name in instance.type.methods:
            return bound_method(self.handle, name)
        return super().lookup(name)

    def assign(self, name: str, value: Value) -> None:
        if name in self.handle.target.values and name not in self.constants:
            self.handle.target.set(name, value)
        else:
            super().assign(name, value)


def instance_of(value: Value) -> Instance | None:
    return value.target if isinstance(value, Handle) and isinstance(value.target, Instance) else None


def define_class(interpreter: Interpreter, node: syntax.ClassDefinition, scope: Scope) -> None:
    if interpreter.registry.find(node.name) is not None:
        raise ScriptError(f"The built-in function [{node.name}] can't be redefined. Choose another name.")
    made = ClassType(node.name)
    if node.base is not None:
        base = class_named(interpreter.session.functions.get(node.base))
        if base is None:
            raise ScriptError(f"The class [{node.base}] is not defined.")
        made.attributes.update(base.attributes)
        made.methods.update(base.methods)
    for part in node.body.statements:
        if isinstance(part, syntax.Attribute):
            made.attributes[part.name] = part.type
        elif isinstance(part, syntax.FunctionDefinition):
            if not part.declaration:
                closure = make_closure(part.function, scope, False, interpreter.session.acting)
                closure.name = part.name
                made.methods[part.name] = closure
        else:
            raise UnsupportedError(f"A {type(part).__name__} in the body of a class")
    constructor = made.methods.get(node.name)
    names = [] if constructor is None else [parameter.name for parameter in constructor.parameters]
    signature = ", ".join(f"[{name}]" for name in names)
    interpreter.session.functions[node.name] = Builtin(
        node.name,
        f"{node.name}({', '.join(names)})",
        Kind.OTHER,
        made.construct,
        parse_parameters(signature),
        wants_context=True,
    )


def class_named(function: Any) -> ClassType | None:
    """The class behind a constructor."""
    owner = getattr(getattr(function, "implementation", None), "__self__", None)
    return owner if isinstance(owner, ClassType) else None


def call_method(
    interpreter: Interpreter, handle: Handle, name: str, positional: Sequence[Value], named: Mapping[str, Value]
) -> Value:
    method = handle.target.type.methods.get(name)
    if method is None:
        raise ScriptError(f"The class [{handle.target.type.name}] has no method [{name}].")
    inner = bind_closure(interpreter, method, positional, named)
    assert isinstance(inner, FunctionScope)
    return interpreter.run_closure(method, MethodScope(inner, handle, interpreter))


def bound_method(handle: Handle, name: str) -> Builtin:
    """A method of an instance as a function."""

    def call(interpreter: Interpreter, *arguments: Value) -> Value:
        return call_method(interpreter, handle, name, arguments, {})

    return Builtin(name, f"{name}(args...)", Kind.OTHER, call, parse_parameters("args..."), wants_context=True)


def _initial(written: str) -> Value:
    name, _, form = written.upper().partition(" ")
    if name not in Type.__members__ or Type[name] is Type.ANY:
        return NULL
    if form == "VECTOR":
        return vector(Type[name], [])
    return NULL if form else Scalar(Type.STRING if Type[name] is Type.SYMBOL else Type[name], None)


def _converted(value: Value, written: str) -> Value:
    name, _, form = written.upper().partition(" ")
    if value is NOTHING:
        raise ScriptError("An attribute needs a value.")
    if name not in Type.__members__ or Type[name] is Type.ANY:
        return value
    if form == "VECTOR" and isinstance(value, AnyVector) and not value.items:
        return vector(Type[name], [])
    if form or not isinstance(value, Scalar):
        return value
    return cast(value, Type[name], value.scale)
