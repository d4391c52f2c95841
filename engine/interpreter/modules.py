"""Modules: `use a::b` defines the functions of a file of the node's data folder, or of a script loaded as a module."""

from __future__ import annotations

from collections.abc import Mapping
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
    """The functions of a module. Inside of it their plain names mean them, built-in functions or not, and after them
    those of the modules it uses (`imported`). `text` is the script it was loaded from, if not from a file."""

    name: str
    members: dict[str, Closure] = field(default_factory=dict)
    imported: dict[str, Closure] = field(default_factory=dict)
    text: str | None = None
    _mentioned: dict[str, frozenset[str]] = field(default_factory=dict)

    def define(self, interpreter: Interpreter, node: syntax.FunctionDefinition, plain: bool = True) -> None:
        """Add a function: for scripts `module::function`, and its plain name if no built-in function has it."""
        session = interpreter.session
        closure = make_closure(node.function, shared_scope(session), False, session.acting)
        closure.name = node.name
        self.members[node.name] = closure
        self._mentioned[node.name] = mentioned = frozenset(free_names(node.function))
        closure.captured.update({name: each for name, each in self.imported.items() if name in mentioned})
        for name, member in self.members.items():
            if node.name in self._mentioned[name]:
                member.captured[node.name] = closure
            if name in mentioned:
                closure.captured[name] = member
        session.functions[f"{self.name}::{node.name}"] = closure
        if plain:
            self.name_plainly(interpreter, node.name)

    def name_in_full(self, interpreter: Interpreter) -> None:
        for name, member in self.members.items():
            interpreter.session.functions[f"{self.name}::{name}"] = member

    def name_plainly(self, interpreter: Interpreter, *names: str) -> None:
        """Let scripts call functions without the module's name."""
        for name in names:
            if interpreter.registry.find(name) is None:
                interpreter.session.functions[name] = self.members[name]


def use_module(interpreter: Interpreter, name: str) -> Module:
    """Define the functions of a module, as `name::function` and by their plain names."""
    module = load_module(interpreter, name)
    module.name_plainly(interpreter, *module.members)
    return module


def load_module(interpreter: Interpreter, name: str, scripts: Mapping[str, str] | None = None) -> Module:
    """Define the functions of a module as `name::function`.

    Its text is one of `scripts`, one that was loaded as a script before, or a file, which is read each time.
    """
    known = interpreter.session.modules.get(name)
    text = (scripts or {}).get(name)
    if text is None and known is not None and known.text is not None:
        known.name_in_full(interpreter)
        return known
    if name in interpreter.loading:
        raise ScriptError(f"The modules {' and '.join(interpreter.loading)} use each other.")
    tree = _parsed(module_path(interpreter, name), name) if text is None else _parsed_text(text, name)
    interpreter.loading.append(name)
    try:
        module = Module(name, text=text)
        for statement in tree.statements:
            if isinstance(statement, syntax.Use) and not (statement.catalog or statement.include):
                if text is None:
                    module.imported |= use_module(interpreter, statement.name).members
                else:
                    module.imported |= load_module(interpreter, statement.name, scripts).members
            elif isinstance(statement, syntax.FunctionDefinition) and not statement.declaration:
                module.define(interpreter, statement, plain=False)
            elif not isinstance(statement, syntax.Module | syntax.FunctionDefinition):
                raise ScriptError(f"The module {name} may contain only function definitions.")
    finally:
        interpreter.loading.pop()
    interpreter.session.modules[name] = module
    return module


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
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ScriptError(f"Can't find the module {name}: there is no file {path}.") from None
    return _parsed_text(text, name)


def _parsed_text(text: str, name: str) -> syntax.Script:
    try:
        return parse(text)
    except ScriptSyntaxError as error:
        raise ScriptError(f"{name}: {error}") from error
