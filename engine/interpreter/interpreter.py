"""The interpreter of one session: runs texts, evaluates trees, calls functions."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dolphin.script import ScriptSyntaxError, parse, syntax
from engine.calendars import calendars_in_use
from engine.calls import call_builtin
from engine.errors import INTERNAL, ScriptError, refusal
from engine.functions.registry import Builtin
from engine.interpreter.adverbs import ADVERB_FUNCTIONS
from engine.interpreter.closures import bind_closure
from engine.interpreter.constants import CONSTANTS, unknown_name
from engine.interpreter.expressions import EXPRESSIONS
from engine.interpreter.scope import Scope, session_scope
from engine.interpreter.stack import MAX_DEPTH, allow_deep_recursion
from engine.interpreter.statements import STATEMENTS, Returned, Signal
from engine.values import NOTHING, Closure, Function, Partial, Pattern, Value

if TYPE_CHECKING:
    from engine.functions.registry import Registry
    from engine.interpreter.modules import Module
    from engine.session import Session

_LOG = logging.getLogger(__name__)


def _named_calls() -> frozenset[str]:
    from engine.sql import NAMED_CALLS

    return NAMED_CALLS


_SHORT = 1 << 12
"""Longer scripts are not kept: hardly anybody runs them again and again."""
_parsed = lru_cache(maxsize=128)(parse)


class Interpreter:
    """Runs scripts in a session; the `Context` of the functions they call. Not for several threads at once."""

    def __init__(self, session: Session, registry: Registry) -> None:
        self.session = session
        self.node = session.node
        self.registry = registry
        self.scope = session_scope(session)
        self.depth = 0
        self.block_depth = 0
        self.inside = False
        self.loading: list[str] = []
        self.module: Module | None = None
        self.argument_names: dict[int, str] = {}
        self.named_calls = _named_calls()
        self.literals: dict[int, tuple[syntax.Literal, Value]] = {}
        allow_deep_recursion()

    def run(self, text: str) -> Value:
        """Run a script; the value of its last statement, NOTHING if that has none. Raises only ScriptError."""
        try:
            tree = _parsed(text) if len(text) <= _SHORT else parse(text)
        except ScriptSyntaxError as error:
            raise ScriptError(str(error)) from error
        except RecursionError:
            raise ScriptError("The script is nested too deeply.") from None
        self.module = None
        return self.run_tree(tree, session_scope(self.session))

    def run_tree(self, tree: syntax.Script | syntax.Block, scope: Scope) -> Value:
        """Run statements in a scope; the value of the last one."""
        with self._door(scope):
            return self._run_statements(tree.statements, scope)

    @contextmanager
    def _door(self, scope: Scope) -> Iterator[None]:
        """What leaves here is a ScriptError, and the interpreter is as it was."""
        outer, depth, inside = self.scope, self.depth, self.inside
        self.scope, self.inside = scope, True
        try:
            with calendars_in_use(self.node.calendars):
                yield
        except ScriptError:
            raise
        except RecursionError:
            raise ScriptError("The recursion is too deep.") from None
        except MemoryError:
            raise ScriptError("Out of memory.") from None
        except OSError as error:
            raise ScriptError(refusal(error)) from error
        except Exception as error:
            _LOG.exception("A script made the engine fail")
            raise ScriptError(INTERNAL) from error
        finally:
            self.scope, self.depth, self.inside = outer, depth, inside

    def _run_statements(self, statements: Sequence[Any], scope: Scope) -> Value:
        result: Value = NOTHING
        for statement in statements:
            if type(statement) is syntax.ExpressionStatement:
                result = self._statement_value(statement, scope)
            else:
                signal = self.execute(statement, scope)
                result = NOTHING
                if isinstance(signal, Returned):
                    return signal.value
        return result

    def _statement_value(self, statement: syntax.ExpressionStatement, scope: Scope) -> Value:
        self.session.check()
        try:
            return self.evaluate(statement.value, scope)
        except ScriptError as error:
            if error.line is None:
                error.line = statement.span.line
            raise

    def execute(self, statement: Any, scope: Scope) -> Signal | None:
        """Run one statement; a signal when control leaves the block."""
        self.session.check()
        try:
            return STATEMENTS[type(statement)](self, statement, scope)
        except ScriptError as error:
            if error.line is None:
                error.line = statement.span.line
            raise

    def execute_block(self, block: syntax.Block, scope: Scope) -> Signal | None:
        self.block_depth += 1
        try:
            for statement in block.statements:
                signal = self.execute(statement, scope)
                if signal is not None:
                    return signal
            return None
        finally:
            self.block_depth -= 1

    def evaluate(self, node: Any, scope: Scope | None = None) -> Value:
        """The value of an expression, in the current scope unless another is given."""
        if scope is None or scope is self.scope:
            handler = EXPRESSIONS.get(type(node))
            if handler is None:
                return self._evaluate_statement(node, self.scope)
            return handler(self, node, self.scope)
        outer = self.scope
        self.scope = scope
        try:
            handler = EXPRESSIONS.get(type(node))
            if handler is None:
                return self._evaluate_statement(node, scope)
            return handler(self, node, scope)
        finally:
            self.scope = outer

    def _evaluate_statement(self, node: Any, scope: Scope) -> Value:
        if type(node) is syntax.ExpressionStatement:
            return self.evaluate(node.value, scope)
        if type(node) in (syntax.Script, syntax.Block):
            return self._run_statements(node.statements, scope)
        if type(node) not in STATEMENTS:
            raise ScriptError(f"This part of the script can't be evaluated: {type(node).__name__}.")
        signal = self.execute(node, scope)
        return signal.value if isinstance(signal, Returned) else NOTHING

    def function(self, name: str) -> Function | None:
        """A function by name: of the session, of the node, built in; `::name` is the built-in one first."""
        if name.startswith("::"):
            return self.registry.find(name[2:]) or self.function(name[2:])
        session = self.session
        # What a function view calls is not for the session of its caller to define.
        found: Function | None = session.functions.get(name) if session.acting is None else None
        if found is None:
            found = self.node.functions.get(name)
        if found is None:
            found = self.registry.find(name)
        if found is None and "::" in name:
            found = self.function(name.rpartition("::")[2])
        return found

    def named(self, name: str) -> Value:
        """What a name means that is no variable."""
        function = self.function(name)
        if function is not None:
            return function
        constant = CONSTANTS.get(name)
        if constant is None:
            raise self.unknown(name)
        return constant

    def unknown(self, name: str) -> ScriptError:
        """The error for a name that is neither a variable nor a function."""
        return unknown_name(name, [*self.scope.names(), *self.session.functions])

    def call(self, function: Function, arguments: Sequence[Value], named: Mapping[str, Value] | None = None) -> Value:
        """Call any function value. Raises only ScriptError when called from outside a running script."""
        if not self.inside:
            with self._door(self.scope):
                return self.call(function, arguments, named)
        self.session.check()
        if isinstance(function, Builtin):
            return call_builtin(self, function, arguments, dict(named) if named else None)
        if isinstance(function, Closure):
            return self._call_closure(function, arguments, named or {})
        if isinstance(function, Partial):
            remaining = list(arguments)
            filled = [
                (remaining.pop(0) if remaining else NOTHING) if value is NOTHING else value
                for value in function.arguments
            ]
            while filled and filled[-1] is NOTHING:
                filled.pop()
            return self.call(function.function, [*filled, *remaining], named)
        if isinstance(function, Pattern):
            template = self.registry.find(ADVERB_FUNCTIONS[function.letter])
            if template is None:
                raise ScriptError(f"The function pattern :{function.letter} is unknown.")
            return self._call_pattern(template, function, arguments)
        raise ScriptError("The object is not a function.")

    def _call_pattern(self, template: Builtin, pattern: Pattern, arguments: Sequence[Value]) -> Value:
        if pattern.letter in "PA" and len(arguments) == 2:
            arguments = [arguments[1], arguments[0]]
        return call_builtin(self, template, [pattern.function, *arguments])

    def _call_closure(self, closure: Closure, arguments: Sequence[Value], named: Mapping[str, Value]) -> Value:
        return self.run_closure(closure, bind_closure(self, closure, arguments, named))

    def run_closure(self, closure: Closure, scope: Scope) -> Value:
        """Run the body of a function whose parameters are bound in `scope`."""
        if self.depth >= MAX_DEPTH:
            raise ScriptError(f"The recursion is too deep: more than {MAX_DEPTH} calls inside one another.")
        session = self.session
        if closure.is_view:
            from engine.views import require_view

            require_view(session, closure.name or "")
        outer, acting = self.scope, session.acting
        self.scope, session.acting = scope, closure.owner
        self.depth += 1
        try:
            if isinstance(closure.body, syntax.Block):
                return self._run_body(closure.body, scope)
            return self.evaluate(closure.body, scope)
        finally:
            self.depth -= 1
            self.scope, session.acting = outer, acting

    def _run_body(self, body: syntax.Block, scope: Scope) -> Value:
        last: Value = NOTHING
        for statement in body.statements:
            if type(statement) is syntax.ExpressionStatement:
                last = self._statement_value(statement, scope)
            else:
                signal = self.execute(statement, scope)
                if isinstance(signal, Returned):
                    return signal.value
                last = NOTHING
        return last

    def output(self, text: str) -> None:
        self.session.output(text)

    def check(self) -> None:
        self.session.check()
