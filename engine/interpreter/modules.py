"""`use a::b`: functions from the module files of the node's data folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dolphin.script import ScriptSyntaxError, parse, syntax
from engine.errors import ScriptError
from engine.interpreter.closures import free_names, make_closure
from engine.interpreter.scope import Scope, shared_scope

if TYPE_CHECKING:
    from engine.interpreter.interpreter import Interpreter
    from engine.values import Closure


@dataclass(eq=False)
class Module:
    """The functions of a module. Inside of it their plain names mean them, built-in functions or not."""

    name: str
    members: dict[str, Closure] = field(default_factory=dict)
    _mentioned: dict[str, frozenset[str]] = field(default_factory=dict)

    def define(self, interpreter: Interpreter, node: syntax.FunctionDefinition) -> None:
        """Add a function: for scripts `module::function`, and its plain name if no built-in function has it."""
        closure = make_closure(node.function, shared_scope(interpreter.session), captures=False)
        closure.name = node.name
        self.members[node.name] = closure
        self._mentioned[node.name] = frozenset(free_names(node.function))
        for name, member in self.members.items():
            if node.name in self._mentioned[name]:
                member.captured[node.name] = closure
            if name in self._mentioned[node.name]:
                closure.captured[name] = member
        functions = interpreter.session.functions
        functions[f"{self.name}::{node.name}"] = closure
        if interpreter.registry.find(node.name) is None:
            functions[node.name] = closure


def use_module(interpreter: Interpreter, name: str) -> None:
    """Define the functions of a module, as `name::function` and by their plain names."""
    if name in interpreter.loading:
        raise ScriptError(f"The modules {' and '.join(interpreter.loading)} use each other.")
    tree = _parsed(module_path(interpreter, name), name)
    interpreter.loading.append(name)
    try:
        module = Module(name)
        for statement in tree.statements:
            if isinstance(statement, syntax.Use):
                use_module(interpreter, statement.name)
            elif isinstance(statement, syntax.FunctionDefinition) and not statement.declaration:
                module.define(interpreter, statement)
            elif not isinstance(statement, syntax.Module | syntax.FunctionDefinition):
                raise ScriptError(f"The module {name} may contain only function definitions.")
    finally:
        interpreter.loading.pop()


def include_module(interpreter: Interpreter, name: str, scope: Scope) -> None:
    """Run a script file of the modules folder in place."""
    root = (interpreter.node.data / "modules").resolve()
    path = (root / name.strip("\"'")).resolve()
    if not path.is_relative_to(root):
        raise ScriptError(f"The file {name} is outside the modules folder.")
    interpreter.run_tree(_parsed(path, name), scope)


def module_path(interpreter: Interpreter, name: str) -> Path:
    root = interpreter.node.data / "modules"
    return root.joinpath(*name.split("::")).with_suffix(".dos")


def _parsed(path: Path, name: str) -> syntax.Script:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ScriptError(f"Can't find the module {name}: there is no file {path}.") from None
    except ScriptSyntaxError as error:
        raise ScriptError(f"{name}: {error}") from error
