"""Functions defined in scripts, called for all groups of a query at once.

The statements of the body are evaluated over whole columns, one after the other. Where that might not give what a
call for each group gives, `UnsuitableError` is raised, and the function is called group by group.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dolphin.script import syntax
from dolphin.script.effect_table import ADMIN, DESTROY, MUTATORS, REMOVERS, SESSION, SHARING, SPECIAL, WRITE
from engine.calls import call_grouped
from engine.errors import CancelledError, ScriptError
from engine.functions.registry import Builtin, Kind
from engine.grouping import ContiguousGroups, Groups
from engine.interpreter.closures import bind_closure
from engine.interpreter.scope import Scope
from engine.sql.evaluation import Executor, GroupEvaluator, Level, Result, UnsuitableError, restored
from engine.sql.frame import Field, Frame
from engine.types import Type
from engine.values import NOTHING, Array, Closure, Function, Scalar, Vector, nulls

MAX_DEPTH = 16
"""Functions that call each other more deeply are called group by group."""
STATEMENTS = (syntax.Assign, syntax.Return, syntax.If)
NOT_PURE = ADMIN | DESTROY | WRITE | SESSION | MUTATORS | REMOVERS | SHARING | SPECIAL | {"print"}
UNSEEN = (syntax.Select, syntax.SetOperation, syntax.With, syntax.Quote)


def inlined(
    evaluator: GroupEvaluator, closure: Closure, names: Sequence[str | None], results: Sequence[Result]
) -> list[Result]:
    """What the function returns: one result, or several if it returns a tuple. `names` are those of the arguments."""
    if evaluator.depth >= MAX_DEPTH or not _suitable(closure):
        raise UnsuitableError
    try:
        return _Call(evaluator, closure).run(names, results)
    except CancelledError:
        raise
    except ScriptError:
        # Perhaps it fails for one group only, or only so; the call for each group will tell.
        raise UnsuitableError from None


def of_windows(executor: Executor, function: Function, columns: Sequence[Vector], sizes: Array) -> Vector | None:
    """A function of each run of rows, `sizes` rows one after the other; None where it is to be called for each."""
    groups = ContiguousGroups(sizes)
    if isinstance(function, Builtin) and function.kind is Kind.AGGREGATE and function.grouped is not None:
        result = call_grouped(function, groups, columns)
        return result if isinstance(result, Vector) else None
    if not isinstance(function, Closure):
        return None
    evaluator = GroupEvaluator(executor, Scope({}), Frame([], groups.rows), groups)
    try:
        found = inlined(evaluator, function, [None] * len(columns), [Result(each, Level.ROWS) for each in columns])
    except UnsuitableError:
        return None
    value = found[0].value
    return value if len(found) == 1 and found[0].level is Level.GROUPS and isinstance(value, Vector) else None


def _suitable(closure: Closure) -> bool:
    """Whether the body only names values and returns one; names that differ by case alone would be confused."""
    statements = closure.body.statements if isinstance(closure.body, syntax.Block) else ()
    last = statements[-1] if statements and isinstance(statements[-1], syntax.ExpressionStatement) else None
    if not all(_plain(statement) or statement is last for statement in _flat(statements)):
        return False
    parts = list(syntax.walk(closure.body))
    names = {each.id for each in parts if isinstance(each, syntax.Name)}
    own = {parameter.name for parameter in closure.parameters}
    for statement in _flat(statements):
        if isinstance(statement, syntax.Assign):
            own.update(target.id for target in statement.targets if isinstance(target, syntax.Name))
    functions = {
        each.function.id for each in parts if isinstance(each, syntax.Call) and isinstance(each.function, syntax.Name)
    }
    called = {name.rpartition("::")[2] for name in functions | (names - own)}
    if any(isinstance(each, UNSEEN) for each in parts) or not called.isdisjoint(NOT_PURE):
        return False
    if any(name.startswith("rand") for name in called):
        return False
    names |= own
    return len({name.lower() for name in names}) == len(names)


def _flat(statements: Iterable[Any]) -> Iterable[Any]:
    for statement in statements:
        yield statement
        if isinstance(statement, syntax.If):
            yield from _flat(statement.then.statements)
            if statement.otherwise is not None:
                yield from _flat(statement.otherwise.statements)


def _plain(statement: Any) -> bool:
    if isinstance(statement, syntax.Assign):
        named = all(isinstance(target, syntax.Name) for target in statement.targets)
        return named and statement.operator == "=" and not statement.reference
    return isinstance(statement, STATEMENTS)


class _Call:
    """One call: its variables, by what they have one of."""

    def __init__(self, caller: GroupEvaluator, closure: Closure) -> None:
        self.caller = caller
        self.closure = closure
        groups = caller.groups
        self.groups: Groups = groups if groups.contiguous else ContiguousGroups(groups.sizes)
        self.fields: dict[str, Field] = {}
        self.singles: dict[str, Result] = {}
        self.constants: frozenset[str] = frozenset()

    def run(self, given: Sequence[str | None], results: Sequence[Result]) -> list[Result]:
        positional, named = [], {}
        for key, result in zip(given, results, strict=True):
            if key is None:
                positional.append(result)
            else:
                named[key] = result
        scope = bind_closure(
            self.caller.executor,  # type: ignore[arg-type]
            self.closure,
            [each.value for each in positional],
            {name: each.value for name, each in named.items()},
        )
        self.scope: Scope = scope
        self.constants = getattr(scope, "constants", frozenset())
        names = [parameter.name for parameter in self.closure.parameters]
        for name, result in (*zip(names, positional, strict=False), *named.items()):
            if result.value is not NOTHING:
                self._bind(name, result, arranged=False)
        body = self.closure.body
        found = self._block(body.statements) if isinstance(body, syntax.Block) else self._returned(body)
        if found is None:
            raise UnsuitableError
        return [self._restored(result) for result in found]

    def _bind(self, name: str, result: Result, *, arranged: bool = True) -> None:
        value = result.value
        self.fields.pop(name, None)
        self.singles.pop(name, None)
        if result.level is Level.CONSTANT:
            self.scope.variables[name] = value
            return
        if not isinstance(value, Vector):
            raise UnsuitableError
        self.scope.variables.pop(name, None)
        if result.level is Level.GROUPS:
            self.singles[name] = result
            # Its place in the frame only says that the name stands for something that depends on rows.
            self.fields[name] = Field(name, lambda: nulls(Type.BOOL, self.groups.rows))
            return
        column = value if arranged else value.with_data(self.caller.groups.arrange(value.data))
        self.fields[name] = Field(name, column)

    def _evaluator(self) -> GroupEvaluator:
        frame = Frame(list(self.fields.values()), self.groups.rows)
        caller = self.caller
        return GroupEvaluator(caller.executor, self.scope, frame, self.groups, self.singles, caller.depth + 1)

    def _block(self, statements: Sequence[Any]) -> list[Result] | None:
        """Run statements up to a return; None if there was none. The last expression of a function is its value."""
        last: list[Result] | None = None
        for statement in statements:
            last = None
            if isinstance(statement, syntax.Assign):
                self._assign(statement)
            elif isinstance(statement, syntax.If):
                found = self._branch(statement)
                if found is not None:
                    return found
            elif isinstance(statement, syntax.Return):
                if statement.value is None:
                    raise UnsuitableError
                return self._returned(statement.value)
            else:
                last = self._returned(statement.value)
        return last

    def _branch(self, statement: syntax.If) -> list[Result] | None:
        test = self._evaluator().evaluate(statement.test)
        if test.level is not Level.CONSTANT or not isinstance(test.value, Scalar) or test.value.is_null:
            raise UnsuitableError
        chosen = statement.then if test.value.value else statement.otherwise
        return None if chosen is None else self._block(chosen.statements)

    def _assign(self, statement: syntax.Assign) -> None:
        names = [target.id for target in statement.targets if isinstance(target, syntax.Name)]
        if not self.constants.isdisjoint(names):
            raise UnsuitableError
        evaluator = self._evaluator()
        if len(names) == 1:
            self._bind(names[0], evaluator.evaluate(statement.value))
            return
        members = evaluator.members(statement.value)
        if members is None or len(members) != len(names):
            raise UnsuitableError
        for name, member in zip(names, members, strict=True):
            self._bind(name, member)

    def _returned(self, node: syntax.Expression) -> list[Result]:
        evaluator = self._evaluator()
        return evaluator.members(node) or [evaluator.evaluate(node)]

    def _restored(self, result: Result) -> Result:
        if result.level is Level.ROWS and isinstance(result.value, Vector):
            return Result(restored(result.value, self.caller.groups), Level.ROWS, collected=True)
        if result.level is Level.GROUPS and isinstance(result.value, Vector):
            return result
        if result.level is Level.CONSTANT and isinstance(result.value, Scalar):
            return result
        raise UnsuitableError
