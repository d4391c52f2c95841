"""What every kind of statement does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dolphin.script import syntax
from engine.assignment import set_index
from engine.errors import CancelledError, ScriptError, refusal
from engine.forms import as_vector, dictionary_keys, element, row_of
from engine.indexing import get_index
from engine.interpreter.classes import define_class, instance_of
from engine.interpreter.closures import FunctionScope, is_constant, make_closure
from engine.interpreter.copying import assigned
from engine.interpreter.expressions import place_of, truth
from engine.interpreter.modules import Module, include_module, use_module
from engine.interpreter.scope import Scope
from engine.operators import binary
from engine.texts import float_text
from engine.types import LITERAL, Type
from engine.values import (
    NOTHING,
    NULL,
    AnyVector,
    ArrayVector,
    Code,
    Dictionary,
    Handle,
    IndexedSeries,
    Matrix,
    Scalar,
    Set,
    Table,
    Value,
    Vector,
    integer,
    string,
    vector,
)

if TYPE_CHECKING:
    from engine.interpreter.interpreter import Interpreter


@dataclass(frozen=True, slots=True)
class Returned:
    """Control leaves the function with a value."""

    value: Value


@dataclass(frozen=True, slots=True)
class Leave:
    """Control leaves a loop, or its current round."""

    round_only: bool


Signal = Returned | Leave
BREAK, CONTINUE = Leave(False), Leave(True)
Handler = Callable[["Interpreter", Any, Scope], "Signal | None"]


def _expression(interpreter: Interpreter, node: syntax.ExpressionStatement, scope: Scope) -> None:
    interpreter.evaluate(node.value, scope)


def _assign(interpreter: Interpreter, node: syntax.Assign, scope: Scope) -> None:
    value = interpreter.evaluate(node.value, scope)
    if value is NOTHING:
        value = NULL
    if len(node.targets) == 1:
        target = node.targets[0]
        if node.operator == "=" and type(target) is syntax.Name:
            # `v = v.append!(x)` gives v itself back: nothing to copy.
            same = node.reference or scope.variables.get(target.id) is value
            if type(value) is Table and value.name is None:
                value.name = target.id
            scope.assign(target.id, value if same else assigned(node.value, value))
        else:
            assign_to(interpreter, target, node.operator, value, scope)
        return
    parts = [value] * len(node.targets) if isinstance(value, Scalar) else unpacked(value)
    if len(parts) != len(node.targets):
        raise ScriptError(f"{len(parts)} values can't be assigned to {len(node.targets)} variables.")
    for target, part in zip(node.targets, parts, strict=True):
        assign_to(interpreter, target, node.operator, assigned(node.value, part), scope)


def unpacked(value: Value) -> list[Value]:
    """The values a multiple assignment takes apart."""
    if isinstance(value, Vector | AnyVector | ArrayVector):
        return [element(value, index) for index in range(len(value))]
    if isinstance(value, Matrix):
        return [value.column(index) for index in range(value.columns)]
    if isinstance(value, Table):
        return [row_of(value, index) for index in range(value.rows)]
    raise ScriptError("Only a vector, a tuple, a matrix or a table can be assigned to several variables.")


def assign_to(interpreter: Interpreter, target: Any, operator: str, value: Value, scope: Scope) -> None:
    """Assign to a name, an element or a member; `operator` other than `=` combines with the old value."""
    if isinstance(target, syntax.Name):
        if operator == "=":
            scope.assign(target.id, value)
            return
        old = scope.lookup(target.id)
        if old is None:
            raise ScriptError(f"Cannot recognize the token {target.id}")
        _check_constant(target, scope)
        _replace(scope, target.id, old, binary(operator[:-1], old, value))
        return
    if isinstance(target, syntax.Index):
        container = container_of(interpreter, target.target, scope)
        indices = [place_of(interpreter, each, scope) for each in target.indices]
        if operator != "=":
            value = binary(operator[:-1], _old_elements(container, indices), value)
        if isinstance(container, Table) and any(map(_is_metacode, [value, *indices])):
            _set_by_metacode(interpreter, container, indices, value, scope)
        else:
            set_index(container, indices, value)
        return
    if isinstance(target, syntax.Member):
        container = container_of(interpreter, target.target, scope)
        instance = instance_of(container)
        if instance is not None:
            if operator != "=":
                value = binary(operator[:-1], instance.values.get(target.name, NOTHING), value)
            instance.set(target.name, value)
            return
        key = string(target.name)
        if operator != "=":
            value = binary(operator[:-1], get_index(container, [key]), value)
        set_index(container, [key], value)
        return
    raise ScriptError("The left side of the assignment can't be assigned to.")


def _old_elements(container: Value, indices: list[Value | None]) -> Value:
    """What a compound assignment combines with: a row or a column of a matrix as a vector."""
    old = get_index(container, indices)
    return as_vector(old) if isinstance(old, Matrix) and 1 in (old.rows, old.columns) else old


def _replace(scope: Scope, name: str, old: Value, new: Value) -> None:
    """`x += y` changes the object itself where it can, so that references to it see the change."""
    if isinstance(old, Vector) and isinstance(new, Vector) and len(old) == len(new) and old is not new:
        old.type, old.data, old.symbols, old.scale = new.type, new.data, new.symbols, new.scale
    elif isinstance(old, Matrix) and isinstance(new, Matrix):
        old.type, old.data, old.scale = new.type, new.data, new.scale
    else:
        scope.assign(name, new)


def _check_constant(target: syntax.Name, scope: Scope) -> None:
    if is_constant(scope, target.id):
        raise ScriptError(f"Constant variable [{target.id}] can't be modified.")


def _is_metacode(value: Value | None) -> bool:
    return isinstance(value, Code) or (isinstance(value, AnyVector) and any(map(_is_metacode, value.items)))


def _set_by_metacode(
    interpreter: Interpreter, table: Table, indices: list[Value | None], value: Value, scope: Scope
) -> None:
    """`t[names, <condition>] = <expression>` updates the columns."""
    from engine.sql.statements import conditions_of, set_columns

    names, *rest = indices
    if not isinstance(names, Scalar | Vector) or names.type not in LITERAL or len(rest) > 1:
        raise ScriptError("Columns are set by metacode as t[names, <condition>] = <expression>.")
    labels = [str(each) for each in as_vector(names).strings()]
    where = conditions_of(rest[0]) if rest and rest[0] is not None else ()
    set_columns(table, labels, value, where, interpreter, scope)


def container_of(interpreter: Interpreter, node: Any, scope: Scope) -> Value:
    """The object whose elements are assigned."""
    if isinstance(node, syntax.Name):
        value = scope.lookup(node.id)
        if value is None:
            raise ScriptError(f"Cannot recognize the token {node.id}")
        if not isinstance(value, Table):
            _check_constant(node, scope)
        return value
    return interpreter.evaluate(node, scope)


def _define(interpreter: Interpreter, node: syntax.FunctionDefinition, scope: Scope) -> None:
    if node.declaration:
        return
    if interpreter.module is not None and not isinstance(scope, FunctionScope):
        interpreter.module.define(interpreter, node)
        return
    if interpreter.registry.find(node.name) is not None:
        raise ScriptError(f"The built-in function [{node.name}] can't be redefined. Choose another name.")
    # A function of a script sees no variables of the session, unless it is defined within a block, such as timer's.
    nested = isinstance(scope, FunctionScope) or interpreter.block_depth > 0
    closure = make_closure(node.function, scope, nested, interpreter.session.acting)
    closure.name = node.name
    if isinstance(scope, FunctionScope):
        closure.captured[node.name] = closure
        scope.assign(node.name, closure)
    else:
        interpreter.session.functions[node.name] = closure
        interpreter.session.variables.pop(node.name, None)


def _class(interpreter: Interpreter, node: syntax.ClassDefinition, scope: Scope) -> None:
    define_class(interpreter, node, scope)


def _if(interpreter: Interpreter, node: syntax.If, scope: Scope) -> Signal | None:
    if truth(interpreter.evaluate(node.test, scope)):
        return interpreter.execute_block(node.then, scope)
    return None if node.otherwise is None else interpreter.execute_block(node.otherwise, scope)


def iterate(value: Value) -> Iterator[Value]:
    """What a for loop goes through: elements, the numbers of a pair, columns of a matrix, rows of a table."""
    if isinstance(value, Vector) and value.is_pair:
        low, high = value.data.tolist()
        if not isinstance(low, int) or not isinstance(high, int):
            raise ScriptError("A for loop goes through a pair of integers or temporal values only.")
        step = 1 if low <= high else -1
        numbers = range(low, high) if step == 1 else range(low - 1, high - 1, -1)
        for number in numbers:
            yield Scalar(value.type, number)
    elif isinstance(value, Vector | AnyVector | ArrayVector):
        for index in range(len(value)):
            yield element(value, index)
    elif isinstance(value, Matrix):
        for index in range(value.columns):
            yield value.column(index)
    elif isinstance(value, Table):
        for index in range(value.rows):
            yield row_of(value, index)
    elif isinstance(value, Dictionary):
        yield from iterate(dictionary_keys(value))
    elif isinstance(value, Set):
        yield from iterate(vector(value.type, value.listed(), value.scale))
    elif isinstance(value, IndexedSeries):
        yield from iterate(value.values)
    elif isinstance(value, Scalar):
        yield value
    else:
        raise ScriptError("A for loop needs a vector, a pair, a matrix or a table.")


def _for(interpreter: Interpreter, node: syntax.For, scope: Scope) -> Signal | None:
    names, body = node.names, node.body
    for item in iterate(interpreter.evaluate(node.values, scope)):
        interpreter.session.check()
        if len(names) == 1:
            scope.assign(names[0], item)
        else:
            for name, part in zip(names, _row_parts(item, len(names)), strict=True):
                scope.assign(name, part)
        signal = interpreter.execute_block(body, scope)
        if signal is not None:
            if isinstance(signal, Returned):
                return signal
            if not signal.round_only:
                break
    return None


def _row_parts(item: Value, count: int) -> list[Value]:
    parts = list(item.items.values()) if isinstance(item, Dictionary) else unpacked(item)
    if len(parts) != count:
        raise ScriptError(f"{len(parts)} values can't be assigned to {count} loop variables.")
    return parts


def _while(interpreter: Interpreter, node: syntax.While, scope: Scope) -> Signal | None:
    first = node.check_last
    while first or truth(interpreter.evaluate(node.test, scope)):
        first = False
        interpreter.session.check()
        signal = interpreter.execute_block(node.body, scope)
        if signal is not None:
            if isinstance(signal, Returned):
                return signal
            if not signal.round_only:
                break
    return None


def _break(_interpreter: Interpreter, _node: syntax.Break, _scope: Scope) -> Signal:
    return BREAK


def _continue(_interpreter: Interpreter, _node: syntax.Continue, _scope: Scope) -> Signal:
    return CONTINUE


def _return(interpreter: Interpreter, node: syntax.Return, scope: Scope) -> Signal:
    return Returned(NOTHING if node.value is None else interpreter.evaluate(node.value, scope))


class ThrownError(ScriptError):
    """Raised by `throw`."""


def _throw(interpreter: Interpreter, node: syntax.Throw, scope: Scope) -> None:
    from engine.console import console_text

    value = interpreter.evaluate(node.value, scope)
    if isinstance(value, Vector) and value.is_pair and value.type in LITERAL:
        value = value.scalar(1)
    text = str(value.value or "") if isinstance(value, Scalar) and value.type in LITERAL else console_text(value)
    raise ThrownError(text)


def _assert(interpreter: Interpreter, node: syntax.Assert, scope: Scope) -> None:
    from engine.console import console_text

    passed = interpreter.evaluate(node.test, scope)
    label = "" if node.label is None else f" {console_text(interpreter.evaluate(node.label, scope))}"
    if not truth(passed):
        raise ScriptError(f"Testing{label} failed")


def _try(interpreter: Interpreter, node: syntax.Try, scope: Scope) -> Signal | None:
    depth, outer = interpreter.depth, interpreter.scope
    try:
        return interpreter.execute_block(node.body, scope)
    except CancelledError:
        raise
    except ScriptError as error:
        interpreter.depth, interpreter.scope = depth, outer
        kind = "USER" if isinstance(error, ThrownError) else "SYSTEM"
        caught = vector(Type.STRING, [kind, error.message])
    except RecursionError:
        interpreter.depth, interpreter.scope = depth, outer
        caught = vector(Type.STRING, ["SYSTEM", "The recursion is too deep."])
    except OSError as error:
        interpreter.depth, interpreter.scope = depth, outer
        caught = vector(Type.STRING, ["SYSTEM", refusal(error)])
    except MemoryError:
        interpreter.depth, interpreter.scope = depth, outer
        caught = vector(Type.STRING, ["SYSTEM", "Out of memory."])
    caught.is_pair = True
    scope.assign(node.name, caught)
    return interpreter.execute_block(node.handler, scope)


def _timer(interpreter: Interpreter, node: syntax.Timer, scope: Scope) -> Signal | None:
    count = 1
    if node.count is not None:
        times = interpreter.evaluate(node.count, scope)
        if not isinstance(times, Scalar) or not isinstance(times.value, int) or times.value < 1:
            raise ScriptError("The number of repetitions of timer must be a positive integer.")
        count = times.value
    started = time.perf_counter()
    signal: Signal | None = None
    for _ in range(count):
        interpreter.session.check()
        signal = interpreter.execute(node.body, scope)
        if signal is not None:
            break
    interpreter.output(f"Time elapsed: {float_text((time.perf_counter() - started) * 1000, 3)} ms")
    return signal


def _block(interpreter: Interpreter, node: syntax.Block, scope: Scope) -> Signal | None:
    return interpreter.execute_block(node, scope)


def _transaction(interpreter: Interpreter, node: syntax.Transaction, scope: Scope) -> Signal | None:
    """All or nothing for the shared tables the block changes: they get their rows back when it fails."""
    before = [
        (table, list(table.names), [column_copy(column) for column in table.columns])
        for table in interpreter.node.shared.values()
        if isinstance(table, Table)
    ]
    try:
        return interpreter.execute_block(node.body, scope)
    except ScriptError:
        for table, names, columns in before:
            with table.lock:
                table.names, table.columns = names, columns
        raise


def column_copy(column: Any) -> Any:
    from engine.interpreter.copying import copy_value

    return copy_value(column)


def _go(_interpreter: Interpreter, _node: syntax.Go, _scope: Scope) -> None:
    return None


def _share(interpreter: Interpreter, node: syntax.Share, scope: Scope) -> None:
    share(interpreter, interpreter.evaluate(node.value, scope), node.name)


def share(interpreter: Interpreter, value: Value, name: str) -> None:
    """Make an object visible to all sessions under a name."""
    if not isinstance(value, Table | Dictionary | Handle):
        raise ScriptError("Only a table, a dictionary or an engine can be shared.")
    if isinstance(value, Table):
        value.shared_as = name
    with interpreter.node.lock:
        known = interpreter.node.shared.get(name)
        if known is not None and known is not value:
            raise ScriptError(f"The shared variable [{name}] exists already. Use undef({name!r}, SHARED) first.")
        interpreter.node.shared[name] = value
    for variable, own in list(interpreter.session.variables.items()):
        if variable == name and own is value:
            del interpreter.session.variables[variable]


def _undef(interpreter: Interpreter, node: syntax.Undef, _scope: Scope) -> None:
    session = interpreter.session
    if node.name == "all":
        session.variables.clear()
        session.functions.clear()
    elif session.variables.pop(node.name, None) is None and session.functions.pop(node.name, None) is None:
        raise ScriptError(f"The object [{node.name}] does not exist.")


def _module(interpreter: Interpreter, node: syntax.Module, _scope: Scope) -> None:
    interpreter.module = Module(node.name)


def _use(interpreter: Interpreter, node: syntax.Use, scope: Scope) -> None:
    if node.include:
        include_module(interpreter, node.name, scope)
    elif node.catalog:
        if interpreter.node.catalogs is None:
            raise ScriptError("Catalogs need a server process.")
        interpreter.session.catalog = interpreter.node.catalogs.name(node.name)
    else:
        use_module(interpreter, node.name)


def _query(interpreter: Interpreter, node: Any, scope: Scope) -> None:
    from engine.sql import execute

    execute(node, interpreter, scope)


STATEMENTS: dict[type, Handler] = {
    syntax.ExpressionStatement: _expression,
    syntax.Assign: _assign,
    syntax.Block: _block,
    syntax.FunctionDefinition: _define,
    syntax.ClassDefinition: _class,
    syntax.If: _if,
    syntax.For: _for,
    syntax.While: _while,
    syntax.Break: _break,
    syntax.Continue: _continue,
    syntax.Return: _return,
    syntax.Throw: _throw,
    syntax.Assert: _assert,
    syntax.Try: _try,
    syntax.Timer: _timer,
    syntax.Transaction: _transaction,
    syntax.Go: _go,
    syntax.Share: _share,
    syntax.Module: _module,
    syntax.Use: _use,
    syntax.Undef: _undef,
    syntax.Insert: _query,
    syntax.Update: _query,
    syntax.Delete: _query,
    syntax.CreateDatabase: _query,
    syntax.CreateTable: _query,
    syntax.Alter: _query,
    syntax.Drop: _query,
}

__all__ = ["STATEMENTS", "Returned", "Signal", "integer", "iterate", "share"]
