"""Modules and script files."""

from __future__ import annotations

import secrets

from engine.arguments import boolean_argument, is_omitted, names_argument, text_argument
from engine.context import Context
from engine.errors import CallError, ScriptError
from engine.functions.files.paths import readable
from engine.functions.registry import Registry
from engine.functions.tables.tabular import listing
from engine.session import Session
from engine.storage.access import require_user
from engine.types import Type
from engine.users import Users
from engine.values import NOTHING, Nothing, Table, Value

functions = Registry()


@functions.builtin("loadModule", "name, [moduleDir]", context=True)
def load_module(_context: Context, name: Value, _folder: Value = NOTHING) -> Nothing:
    """Refused: it is for the start script of a server."""
    raise ScriptError(
        "loadModule can only be used in the start script of a server, which the embedded engine does not have. "
        f"Write `use {text_argument(name, 'name')}`, or addFunctionView with the module's name for all sessions."
    )


@functions.builtin("loadModuleFromScript", "moduleNamespace, moduleScript, [reload=false]", context=True)
def load_module_from_script(context: Context, names: Value, scripts: Value, reload: Value = NOTHING) -> Nothing:
    """Define modules of this session by their texts, in whatever order they use each other."""
    from engine.interpreter import Interpreter
    from engine.interpreter import modules as loading

    namespaces, texts = names_argument(names, "moduleNamespace"), names_argument(scripts, "moduleScript")
    if len(namespaces) != len(texts) or not namespaces:
        raise CallError("moduleNamespace and moduleScript must have the same number of elements.")
    assert isinstance(context, Interpreter)
    given = dict(zip(namespaces, texts, strict=True))
    known = context.session.modules
    if not boolean_argument(reload, "reload", False):
        given = {name: text for name, text in given.items() if name not in known}
    for name in given:
        module = known.get(name)
        if module is None or module.text is not given[name]:
            loading.load_module(context, name, given)
    return NOTHING


@functions.builtin("getLoadedModules", "", context=True)
def get_loaded_modules(context: Context) -> Table:
    """The modules this session has loaded; those of users have no version."""
    names = list(context.session.modules)
    return listing(
        ("moduleName", Type.STRING, names),
        ("moduleVersion", Type.STRING, [""] * len(names)),
        ("isFree", Type.BOOL, [True] * len(names)),
    )


@functions.builtin("run", "scriptFile, [newSession=false], [clean=true]", context=True)
def run(context: Context, file: Value, new_session: Value = NOTHING, clean: Value = NOTHING) -> Nothing:
    """Run a script file, here or in a session of its own; `clean` forgets the variables of this session afterwards."""
    from engine.interpreter import Interpreter

    session, users = context.session, context.node.users
    require_user(session, "run script files")
    if isinstance(users, Users) and not users.may(session.acting_user, "SCRIPT_EXEC"):
        raise ScriptError(
            f"<NoPrivilege>Not granted to run script files. "
            f'An administrator can grant("{session.acting_user}", SCRIPT_EXEC).'
        )
    name = text_argument(file, "scriptFile")
    try:
        text = readable(context, name).read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError):
        raise ScriptError(f"The script file [{name}] does not exist.") from None
    except UnicodeDecodeError:
        raise ScriptError(f"The script file [{name}] is not a text in UTF-8.") from None
    if boolean_argument(new_session, "newSession", False):
        other = Session(secrets.randbelow(2**31 - 2**20) + 2**20, context.node, session.user, output=session.output)
        other.cancelled, other.deadline = session.cancelled, session.deadline
        Interpreter(other, context.registry).run(text)
        return NOTHING
    context.run(text)
    if is_omitted(clean) or boolean_argument(clean, "clean"):
        session.variables.clear()
    return NOTHING
