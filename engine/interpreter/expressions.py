"""The value of every kind of expression."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from dolphin.script import syntax
from engine.embedded import Embedded
from engine.errors import ScriptError
from engine.forms import concat, tuple_to_vector
from engine.functions.registry import Builtin
from engine.indexing import get_index, member
from engine.interpreter.classes import call_method, instance_of
from engine.interpreter.closures import bind_closure, is_constant, make_closure
from engine.interpreter.constants import ARRAY_VECTOR_OFFSET, CONSTANTS
from engine.interpreter.quotes import expand_macros
from engine.interpreter.scope import Scope
from engine.operators import OPERATOR_NAMES, binary, unary
from engine.operators.building import sequence
from engine.types import DECIMAL, INTEGRAL, LITERAL, Type
from engine.values import (
    NOTHING,
    AnyVector,
    ArrayVector,
    Closure,
    Code,
    Dictionary,
    Function,
    Handle,
    Matrix,
    Partial,
    Pattern,
    Scalar,
    Set,
    Table,
    Value,
    Vector,
    string,
    vector,
)

if TYPE_CHECKING:
    from engine.interpreter.interpreter import Interpreter

Handler = Callable[["Interpreter", Any, Scope], Value]
FUNCTIONS = (Builtin, Closure, Partial, Pattern)
_WANT_NAMES = frozenset(("groupby", "stat", "toJson"))
"""Functions whose results show what their arguments were written as."""

_DATA = (Vector, AnyVector, ArrayVector, Matrix, Dictionary, Table)


def _literal(interpreter: Interpreter, node: syntax.Literal, _scope: Scope) -> Value:
    known = interpreter.literals.get(id(node))
    if known is not None and known[0] is node:
        return known[1]
    value = literal_value(node)
    interpreter.literals[id(node)] = (node, value)
    return value


def literal_value(node: syntax.Literal) -> Scalar:
    type_ = Type[node.type]
    if type_ is Type.STRING and node.value is None:
        return string("")
    if type_ is Type.FLOAT and node.value is not None:
        with np.errstate(over="ignore"):
            return Scalar(type_, float(np.float32(node.value)))
    return Scalar(type_, node.value)


def _name(interpreter: Interpreter, node: syntax.Name, scope: Scope) -> Value:
    value = scope.lookup(node.id)
    return interpreter.named(node.id) if value is None else value


def _column_name(_interpreter: Interpreter, node: syntax.ColumnName, scope: Scope) -> Value:
    value = scope.lookup(node.text)
    if value is None:
        raise ScriptError(f"Unrecognized column name [{node.text}].")
    return value


def _macro(_interpreter: Interpreter, node: syntax.Macro, _scope: Scope) -> Value:
    raise ScriptError(f"The macro _${node.id} can only be used in quoted code.")


def _vector(interpreter: Interpreter, node: syntax.VectorLiteral, scope: Scope) -> Value:
    items = node.items
    if not items:
        return AnyVector([])
    if all(type(item) is syntax.Literal for item in items):
        first = items[0].type  # type: ignore[union-attr]
        if first != "VOID" and all(item.type == first for item in items):  # type: ignore[union-attr]
            type_ = Type[first]
            return vector(type_, ["" if i.value is None and type_ in LITERAL else i.value for i in items])  # type: ignore[union-attr]
    values = [interpreter.evaluate(item, scope) for item in items]
    if len(values) == 1 and _is_bare(items[0]):
        return values[0]
    return vector_of(values)


def _is_bare(node: Any) -> bool:
    """Whether an item of a vector is itself written without brackets: `[1 2 3]` is `1 2 3`."""
    return isinstance(node, syntax.VectorLiteral) and bool(node.items) and node.span.start == node.items[0].span.start


def vector_of(values: list[Value]) -> Value:
    """What `[a, b, …]` makes of its items: a vector of scalars, an array vector of vectors, else a tuple."""
    if all(isinstance(value, Scalar) for value in values):
        kinds = {value.type for value in values if isinstance(value, Scalar)} - {Type.VOID}
        scales = {value.scale for value in values if isinstance(value, Scalar) and value.type in DECIMAL}
        if len(scales) > 1 or (kinds & set(DECIMAL) and len(kinds) > 1):
            return AnyVector(values)
        return tuple_to_vector(values)
    return AnyVector(values)


def _tuple(interpreter: Interpreter, node: syntax.TupleLiteral, scope: Scope) -> Value:
    return AnyVector([interpreter.evaluate(item, scope) for item in node.items])


def _dictionary(interpreter: Interpreter, node: syntax.DictLiteral, scope: Scope) -> Value:
    items: dict[Any, Value] = {}
    key_type = Type.STRING
    for key_node, value_node in node.items:
        key = interpreter.evaluate(key_node, scope)
        if not isinstance(key, Scalar):
            raise ScriptError("A dictionary key must be a scalar.")
        key_type = key.type
        items[key.value] = interpreter.evaluate(value_node, scope)
    return Dictionary(key_type, Type.ANY, items, ordered=True)


def _unary(interpreter: Interpreter, node: syntax.Unary, scope: Scope) -> Value:
    return unary(node.operator, interpreter.evaluate(node.operand, scope))


def _binary(interpreter: Interpreter, node: syntax.Binary, scope: Scope) -> Value:
    # Straight to the handlers, not through evaluate: here `scope` is the current one already.
    left = EXPRESSIONS[type(node.left)](interpreter, node.left, scope)
    right = EXPRESSIONS[type(node.right)](interpreter, node.right, scope)
    if node.operator == "..":
        return sequence(left, right, interpreter.node)
    each_at = interpreter.registry.find("eachAt") if node.operator == "@" else None
    if each_at is not None:
        return interpreter.call(each_at, [left, right])
    if type(left) is Vector or type(right) is Vector:
        interpreter.session.check()
    return binary(node.operator, left, right)


def _ternary(interpreter: Interpreter, node: syntax.Ternary, scope: Scope) -> Value:
    test = interpreter.evaluate(node.test, scope)
    if isinstance(test, Scalar):
        return interpreter.evaluate(node.then if truth(test) else node.otherwise, scope)
    chosen = interpreter.registry.find("iif")
    if chosen is None:
        raise ScriptError("Cannot recognize the token iif")
    return interpreter.call(
        chosen, [test, interpreter.evaluate(node.then, scope), interpreter.evaluate(node.otherwise, scope)]
    )


def truth(value: Value) -> bool:
    """The value of a condition; NULL is false."""
    if not isinstance(value, Scalar):
        if isinstance(value, Vector) and len(value) == 1 and not value.is_pair:
            return truth(value.scalar(0))
        form = "vector" if isinstance(value, Vector | AnyVector | ArrayVector) else type(value).__name__.lower()
        raise ScriptError(f"The {form} can't be converted to bool scalar.")
    if value.type in LITERAL:
        raise ScriptError("A STRING can't be converted to bool scalar.")
    return bool(value.value)


def place_of(interpreter: Interpreter, node: syntax.Expression | None, scope: Scope) -> Value | None:
    """An index; None for one left out, which may be written `:`."""
    whole = node is None or (isinstance(node, syntax.OperatorFunction) and node.operator == ":")
    return None if whole or node is None else interpreter.evaluate(node, scope)


def _index(interpreter: Interpreter, node: syntax.Index, scope: Scope) -> Value:
    if not node.indices and isinstance(node.target, syntax.Name | syntax.Call):
        return _array_vector_type(interpreter, node, scope)
    target = interpreter.evaluate(node.target, scope)
    indices = [place_of(interpreter, each, scope) for each in node.indices]
    if len(indices) == 1 and isinstance(indices[0], Closure) and isinstance(target, _DATA):
        indices = [_chosen(interpreter, indices[0], target)]
    if isinstance(target, Handle):
        return _handle_index(interpreter, target, indices)
    if isinstance(target, FUNCTIONS):
        return interpreter.call(target, [each for each in indices if each is not None])
    return get_index(target, indices)


def _chosen(interpreter: Interpreter, condition: Closure, target: Value) -> Value:
    """What a condition written as an index chooses: of a matrix the columns for which it holds."""
    if not isinstance(target, Matrix):
        return interpreter.call(condition, [target])
    held = [interpreter.call(condition, [target.column(index)]) for index in range(target.columns)]
    if not all(isinstance(each, Scalar) and each.type is Type.BOOL for each in held):
        raise ScriptError("A condition on the columns of a matrix must be a Boolean scalar.")
    return tuple_to_vector(held)


def _handle_index(interpreter: Interpreter, target: Handle, indices: list[Value | None]) -> Value:
    columns = interpreter.registry.find("at")
    if columns is None or len(indices) != 1 or indices[0] is None:
        raise ScriptError(f"{target.text} can't be indexed.")
    return interpreter.call(columns, [target, indices[0]])


def _array_vector_type(interpreter: Interpreter, node: syntax.Index, scope: Scope) -> Value:
    base = interpreter.evaluate(node.target, scope)
    if not isinstance(base, Scalar) or base.type not in INTEGRAL:
        raise ScriptError("An index is missing.")
    return Scalar(Type.INT, int(base.value) + ARRAY_VECTOR_OFFSET, base.scale)


def _member(interpreter: Interpreter, node: syntax.Member, scope: Scope) -> Value:
    if isinstance(node.target, syntax.Name):
        qualified = scope.lookup(f"{node.target.id}.{node.name}")
        if qualified is not None:
            return qualified
    if interpreter.node.catalogs is not None:
        named = catalog_table(interpreter, node, scope)
        if named is not None:
            return named
    target = interpreter.evaluate(node.target, scope)
    instance = instance_of(target)
    if instance is not None:
        if node.name not in instance.values:
            raise ScriptError(f"The class [{instance.type.name}] has no attribute [{node.name}].")
        return instance.values[node.name]
    found = member(target, node.name)
    if found is not None:
        return found
    if isinstance(target, Handle):
        load = interpreter.registry.find("loadTable")
        if load is not None and node.name in getattr(target.target, "tables", ()):
            return interpreter.call(load, [target, string(node.name)])
        column = interpreter.registry.find("at")
        if column is not None:
            return interpreter.call(column, [target, string(node.name)])
    function = interpreter.function(node.name)
    if function is not None:
        return interpreter.call(function, [target])
    raise ScriptError(f"The object has no member [{node.name}].")


def catalog_table(interpreter: Interpreter, node: syntax.Member, scope: Scope) -> Value | None:
    """The stored table `catalog.schema.table`, or `schema.table` of the current catalog. Variables come first."""
    names = _dotted(node)
    if len(names) not in (2, 3) or scope.lookup(names[0]) is not None:
        return None
    catalog, schema = names[:2] if len(names) == 3 else (interpreter.session.catalog, names[0])
    url = interpreter.node.catalogs.url(catalog, schema) if catalog is not None else None
    load = interpreter.registry.find("loadTable")
    if url is None or load is None:
        return None
    return interpreter.call(load, [string(url), string(names[-1])])


def _dotted(node: Any) -> list[str]:
    """The names of `a.b.c`; none for other expressions."""
    names: list[str] = []
    while isinstance(node, syntax.Member):
        names.insert(0, node.name)
        node = node.target
    return [node.id, *names] if isinstance(node, syntax.Name) else []


def _operator_function(interpreter: Interpreter, node: syntax.OperatorFunction, _scope: Scope) -> Value:
    name = OPERATOR_NAMES.get(node.operator)
    found = interpreter.registry.find(name) if name else None
    if found is None:
        raise ScriptError(f"The operator {node.operator} can't be used as a function.")
    return found


def _adverb(interpreter: Interpreter, node: syntax.Adverb, scope: Scope) -> Value:
    return Pattern(function_value(interpreter, node.function, scope), node.letter)


def function_value(interpreter: Interpreter, node: Any, scope: Scope) -> Function:
    value = interpreter.evaluate(node, scope)
    if isinstance(value, FUNCTIONS):
        return value
    if isinstance(node, syntax.Name):
        function = interpreter.function(node.id)
        if function is not None:
            return function
    raise ScriptError("A function is expected.")


def _lambda(interpreter: Interpreter, node: syntax.Lambda, scope: Scope) -> Value:
    return make_closure(node, scope, True, interpreter.session.acting)


def _quote(_interpreter: Interpreter, node: syntax.Quote, scope: Scope) -> Value:
    return Code(expand_macros(node.body, scope))


def _case(interpreter: Interpreter, node: syntax.Case, scope: Scope) -> Value:
    subject = None if node.subject is None else interpreter.evaluate(node.subject, scope)
    pending: list[tuple[Value, Any]] = []
    for test_node, value_node in node.branches:
        test = interpreter.evaluate(test_node, scope)
        if subject is not None:
            test = binary("==", subject, test)
        if not pending and isinstance(test, Scalar):
            if truth(test):
                return interpreter.evaluate(value_node, scope)
            continue
        pending.append((test, value_node))
    result: Value = Scalar(Type.VOID, None)
    if node.otherwise is not None:
        result = interpreter.evaluate(node.otherwise, scope)
    chosen = interpreter.registry.find("iif")
    for test, value_node in reversed(pending):
        if chosen is None:
            raise ScriptError("Cannot recognize the token iif")
        result = interpreter.call(chosen, [test, interpreter.evaluate(value_node, scope), result])
    return result


def _query(interpreter: Interpreter, node: Any, scope: Scope) -> Value:
    from engine.sql import execute

    return execute(node, interpreter, scope)


# --- calls -----------------------------------------------------------------------------------


def _call(interpreter: Interpreter, node: syntax.Call, scope: Scope) -> Value:
    if node.style == "partial":
        return _partial(interpreter, node, scope)
    if node.style == "method":
        return _method(interpreter, node, scope)
    target = node.function
    if type(target) is syntax.Name:
        found: Value | None = scope.lookup(target.id)
        if found is None or not isinstance(found, FUNCTIONS):
            function = interpreter.function(target.id)
            if function is not None:
                found = function
            elif found is None:
                return _call_constant(interpreter, node, target.id, scope)
        if isinstance(found, Builtin) and found.name in interpreter.named_calls:
            return _call_named(interpreter, node, scope)
    else:
        found = interpreter.evaluate(target, scope)
    positional, named = arguments_of(interpreter, node.arguments, scope)
    if isinstance(target, syntax.Adverb) and node.style == "space" and target.letter == "T" and len(positional) == 2:
        positional.reverse()
    base = found.function if isinstance(found, Pattern) else found
    if isinstance(base, Builtin) and (base.name in _WANT_NAMES or isinstance(found, Pattern)):
        interpreter.argument_names = names_of_arguments(node, isinstance(found, Pattern))
        try:
            return apply(interpreter, found, positional, named, node, scope)
        finally:
            interpreter.argument_names = {}
    return apply(interpreter, found, positional, named, node, scope)


def names_of_arguments(node: syntax.Call, pattern: bool) -> dict[int, str]:
    """What the arguments of a call are written as, by position; the function of a pattern counts as the first."""
    names: dict[int, str] = {}
    for position, argument in enumerate(node.arguments, 1 if pattern else 0):
        value = argument.value
        items = value.items if isinstance(value, syntax.TupleLiteral | syntax.VectorLiteral) else (value,)
        names[position] = ",".join(item.id if isinstance(item, syntax.Name) else "" for item in items)
    return names


def _call_named(interpreter: Interpreter, node: syntax.Call, scope: Scope) -> Value:
    from engine.sql import call_named

    return call_named(node, interpreter, scope)


def _call_constant(interpreter: Interpreter, node: syntax.Call, name: str, scope: Scope) -> Value:
    constant = CONSTANTS.get(name)
    if isinstance(constant, Scalar) and constant.value in DECIMAL and len(node.arguments) == 1:
        argument = node.arguments[0].value
        digits = None if argument is None else interpreter.evaluate(argument, scope)
        if isinstance(digits, Scalar) and isinstance(digits.value, int):
            return Scalar(Type.INT, constant.value, digits.value)
    raise interpreter.unknown(name)


def arguments_of(
    interpreter: Interpreter, nodes: tuple[syntax.Argument, ...], scope: Scope
) -> tuple[list[Value], dict[str, Value]]:
    positional: list[Value] = []
    named: dict[str, Value] = {}
    for argument in nodes:
        value = NOTHING if argument.value is None else interpreter.evaluate(argument.value, scope)
        if argument.name is None:
            positional.append(value)
        else:
            named[argument.name] = value
    return positional, named


def apply(
    interpreter: Interpreter,
    function: Value,
    positional: list[Value],
    named: dict[str, Value],
    node: syntax.Call,
    scope: Scope,
) -> Value:
    """Call a value with evaluated arguments; what is no function is indexed."""
    if isinstance(function, Builtin):
        if function.name.endswith("!"):
            _check_mutable(function, node, scope)
        return interpreter.call(function, positional, named)
    if isinstance(function, Closure):
        return _call_closure(interpreter, function, positional, named, node, scope)
    if isinstance(function, FUNCTIONS):
        return interpreter.call(function, positional, named)
    if isinstance(function, AnyVector) and function.items and all(isinstance(f, FUNCTIONS) for f in function.items):
        each = interpreter.registry.find("each")
        if each is not None and not (len(positional) == 1 and _is_place(positional[0])):
            # Each of the functions gets all of the arguments.
            shared = [AnyVector([argument] * len(function)) for argument in positional]
            return interpreter.call(each, [function, *shared], named)
    if isinstance(function, _DATA) and not named:
        return get_index(function, [None if value is NOTHING else value for value in positional])
    if isinstance(function, Code):
        raise ScriptError("Code can't be called. Use eval.")
    raise ScriptError("The object is not a function.")


def _is_place(value: Value) -> bool:
    return isinstance(value, Scalar) and value.type in INTEGRAL


def _check_mutable(function: Builtin, node: syntax.Call, scope: Scope) -> None:
    if node.arguments and isinstance(node.arguments[0].value, syntax.Name):
        name = node.arguments[0].value.id
        if is_constant(scope, name) and isinstance(scope.lookup(name), Vector | Dictionary | Set | Matrix | AnyVector):
            raise ScriptError(
                f"Constant variable [{name}] can't be modified by {function.name}. Declare the parameter mutable."
            )


def _call_closure(
    interpreter: Interpreter,
    closure: Closure,
    positional: list[Value],
    named: dict[str, Value],
    node: syntax.Call,
    scope: Scope,
) -> Value:
    interpreter.check()
    inner = bind_closure(interpreter, closure, positional, named)
    result = interpreter.run_closure(closure, inner)
    for parameter, argument in zip(closure.parameters, node.arguments, strict=False):
        if parameter.mutable and argument.name is None and isinstance(argument.value, syntax.Name):
            changed = inner.variables[parameter.name]
            if changed is not scope.lookup(argument.value.id):
                scope.assign(argument.value.id, changed)
    return result


def _partial(interpreter: Interpreter, node: syntax.Call, scope: Scope) -> Value:
    function = function_value(interpreter, node.function, scope)
    positional, named = arguments_of(interpreter, node.arguments, scope)
    if named:
        parameters = [parameter.name for parameter in getattr(function, "parameters", ())]
        for name, value in named.items():
            if name not in parameters:
                raise ScriptError(f"The function has no parameter named {name}.")
            place = parameters.index(name)
            positional.extend([NOTHING] * (place + 1 - len(positional)))
            positional[place] = value
    return Partial(function, tuple(positional))


def _method(interpreter: Interpreter, node: syntax.Call, scope: Scope) -> Value:
    assert isinstance(node.function, syntax.Name)
    name = node.function.id
    first = node.arguments[0].value
    if type(first) is syntax.Name and scope.lookup(first.id) is None and interpreter.function(first.id) is None:
        joined = f"{first.id}::{name}"
        if interpreter.registry.find(joined) is not None or joined in interpreter.session.functions:
            positional, named = arguments_of(interpreter, node.arguments[1:], scope)
            function = interpreter.function(joined)
            return apply(interpreter, function or NOTHING, positional, named, node, scope)
    positional, named = arguments_of(interpreter, node.arguments, scope)
    owner = positional[0]
    if isinstance(owner, Handle) and instance_of(owner) is not None and name in owner.target.type.methods:
        return call_method(interpreter, owner, name, positional[1:], named)
    if isinstance(owner, Dictionary):
        own = owner.items.get(name)
        if isinstance(own, FUNCTIONS):
            takes_model = isinstance(own, Builtin) and own.parameters and own.parameters[0].name == "model"
            return interpreter.call(own, positional if takes_model else positional[1:], named)
    function = interpreter.function(name)
    if function is None:
        variable = scope.lookup(name)
        if isinstance(variable, FUNCTIONS):
            function = variable
    if function is None and isinstance(owner, Handle):
        function = interpreter.registry.find(f"{owner.kind}::{name}")
    if function is None:
        raise interpreter.unknown(name)
    return apply(interpreter, function, positional, named, node, scope)


def _over(_interpreter: Interpreter, _node: syntax.Over, _scope: Scope) -> Value:
    raise ScriptError("over can only be used in the select clause of a query.")


def _select_item(interpreter: Interpreter, node: syntax.SelectItem, scope: Scope) -> Value:
    if node.value is None:
        raise ScriptError("* can only be used in the select clause of a query.")
    return interpreter.evaluate(node.value, scope)


def _embedded(_interpreter: Interpreter, node: Embedded, _scope: Scope) -> Value:
    return node.value


EXPRESSIONS: dict[type, Handler] = {
    syntax.Literal: _literal,
    syntax.Name: _name,
    syntax.ColumnName: _column_name,
    syntax.Macro: _macro,
    syntax.VectorLiteral: _vector,
    syntax.TupleLiteral: _tuple,
    syntax.DictLiteral: _dictionary,
    syntax.Unary: _unary,
    syntax.Binary: _binary,
    syntax.Ternary: _ternary,
    syntax.Index: _index,
    syntax.Member: _member,
    syntax.Call: _call,
    syntax.OperatorFunction: _operator_function,
    syntax.Adverb: _adverb,
    syntax.Lambda: _lambda,
    syntax.Quote: _quote,
    syntax.Case: _case,
    syntax.Quantifier: _query,
    syntax.Select: _query,
    syntax.SetOperation: _query,
    syntax.With: _query,
    syntax.Over: _over,
    syntax.SelectItem: _select_item,
    Embedded: _embedded,
}

__all__ = ["EXPRESSIONS", "concat", "function_value", "literal_value", "truth", "vector_of"]
