"""`use a::b`: functions from the module files of the node's data folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dolphin.script import ScriptSyntaxError, parse, syntax
from engine.errors import ScriptError
from engine.interpreter.closures import make_closure
from engine.interpreter.scope import Scope, shared_scope

if TYPE_CHECKING:
    from engine.interpreter.interpreter import Interpreter


def use_module(interpreter: Interpreter, name: str) -> None:
    """Define the functions of a module, as `name::function` and by their plain names."""
    if name in interpreter.loading:
        raise ScriptError(f"The modules {' and '.join(interpreter.loading)} use each other.")
    tree = _parsed(module_path(interpreter, name), name)
    interpreter.loading.append(name)
    try:
        scope = shared_scope(interpreter.session)
        for statement in tree.statements:
            if isinstance(statement, syntax.Use):
                use_module(interpreter, statement.name)
            elif isinstance(statement, syntax.FunctionDefinition) and not statement.declaration:
                closure = make_closure(statement.function, scope, captures=False)
                closure.name = statement.name
                interpreter.session.functions[statement.name] = closure
                interpreter.session.functions[f"{name}::{statement.name}"] = closure
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
