"""Functions defined in scripts: what they capture, how their parameters are bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dolphin.script import syntax
from engine.errors import ScriptError
from engine.interpreter.copying import copy_value
from engine.interpreter.scope import Scope, function_scope
from engine.values import NOTHING, Closure, Value

if TYPE_CHECKING:
    from engine.interpreter.interpreter import Interpreter


class FunctionScope(Scope):
    """The variables of a running function. Parameters are read-only unless declared mutable."""

    __slots__ = ("constants",)

    def __init__(self, variables: dict[str, Value], parent: Scope | None, constants: frozenset[str]) -> None:
        super().__init__(variables, parent)
        self.constants = constants

    def assign(self, name: str, value: Value) -> None:
        if name in self.constants:
            raise ScriptError(f"Constant variable [{name}] can't be modified.")
        self.variables[name] = value


def is_constant(scope: Scope, name: str) -> bool:
    """Whether a variable is a parameter that must not be changed."""
    return isinstance(scope, FunctionScope) and name in scope.constants


def make_closure(node: syntax.Lambda, scope: Scope, captures: bool, owner: str | None = None) -> Closure:
    """A function value; with `captures` the variables its body mentions are copied from the scope.

    `owner` is whose rights the function that makes it has, if not those of its caller.
    """
    captured: dict[str, Value] = {}
    if captures:
        own = {parameter.name for parameter in node.parameters}
        for name in free_names(node):
            if name not in own and name not in captured:
                value = scope.lookup(name)
                if value is not None:
                    captured[name] = copy_value(value)
    return Closure(node.name, node.parameters, node.body, captured, node.kind == "defg", node.text, owner)


def free_names(node: syntax.Lambda) -> list[str]:
    parts: list[syntax.Node] = [node.body]
    parts.extend(parameter.default for parameter in node.parameters if parameter.default is not None)
    return [each.id for part in parts for each in syntax.walk(part) if isinstance(each, syntax.Name)]


def bind_closure(
    interpreter: Interpreter, closure: Closure, positional: Sequence[Value], named: Mapping[str, Value]
) -> Scope:
    """The scope in which the body of a function runs."""
    parameters = closure.parameters
    label = closure.name or "lambda"
    if len(positional) > len(parameters):
        raise ScriptError(f"The function [{label}] expects {len(parameters)} argument(s), but {len(positional)} given.")
    variables = dict(closure.captured)
    for name in named:
        if all(parameter.name != name for parameter in parameters):
            raise ScriptError(f"The function [{label}] has no parameter named {name}.")
    base = function_scope(interpreter.session, variables)
    for position, parameter in enumerate(parameters):
        value: Value = positional[position] if position < len(positional) else NOTHING
        if value is NOTHING:
            value = named.get(parameter.name, NOTHING)
        if value is NOTHING:
            if parameter.default is None:
                if position < len(positional):
                    variables[parameter.name] = value
                    continue
                raise ScriptError(
                    f"The function [{label}] expects {len(parameters)} argument(s), but {len(positional)} given."
                )
            value = interpreter.evaluate(parameter.default, base)
        variables[parameter.name] = value
    constants = frozenset(parameter.name for parameter in parameters if not parameter.mutable)
    return FunctionScope(variables, base.parent, constants)
