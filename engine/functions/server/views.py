"""Function views: functions for all sessions, run with the rights of who added them."""

from __future__ import annotations

from dataclasses import replace

from engine.arguments import boolean_argument, text_argument
from engine.console import console_text
from engine.context import Context
from engine.errors import CallError, ScriptError
from engine.functions.registry import Builtin, Registry
from engine.functions.tables.tabular import listing, timestamp
from engine.rights import EVERYTHING, VIEW_EXEC
from engine.types import Type
from engine.users import Users
from engine.values import NOTHING, AnyVector, Closure, Nothing, Scalar, Table, Value
from engine.views import FunctionView, FunctionViews

functions = Registry()


def _require_owner(context: Context, action: str) -> FunctionViews:
    """The views, for administrators and users who may have some."""
    users: Users = context.node.users
    if users is None:
        raise ScriptError("This function needs a server process.")
    if not users.may(context.session.acting_user, "VIEW_OWNER"):
        raise ScriptError(f"<NoPrivilege>Only administrators and users with VIEW_OWNER can {action}.")
    views: FunctionViews = context.node.views
    return views


@functions.builtin("addFunctionView", "udf|moduleName", context=True)
def add_function_view(context: Context, given: Value) -> Nothing:
    """Make functions of this session, or all of a module, callable from every session that is granted VIEW_EXEC."""
    views = _require_owner(context, "add function views")
    closures = _module_functions(context, given) if isinstance(given, Scalar) else _named(given)
    views.add(closures, context.session.acting_user, context.session.functions)
    return NOTHING


def _named(given: Value) -> dict[str, Closure]:
    closures: dict[str, Closure] = {}
    for each in given.items if isinstance(given, AnyVector) else [given]:
        if isinstance(each, Builtin):
            raise CallError(f"[{each.name}] is a built-in function, which everybody can call.")
        if not isinstance(each, Closure) or not each.name:
            raise CallError("udf must be a function with a name, or a tuple of such functions.")
        closures[each.name] = each
    return closures


def _module_functions(context: Context, name: Value) -> dict[str, Closure]:
    """The functions of a module that was loaded, or that is there to be loaded."""
    from engine.interpreter import Interpreter
    from engine.interpreter.modules import load_module

    module = text_argument(name, "moduleName")
    assert isinstance(context, Interpreter)
    loaded = load_module(context, module)
    if not loaded.members:
        raise ScriptError(f"The module [{module}] has no functions.")
    return {f"{module}::{each}": closure for each, closure in loaded.members.items()}


@functions.builtin("dropFunctionView", "name, [isNamespace=false]", context=True)
def drop_function_view(context: Context, name: Value, is_namespace: Value = NOTHING) -> Nothing:
    """A view, or all of a module."""
    views = _require_owner(context, "drop function views")
    wanted = text_argument(name, "name").removeprefix("::")
    if boolean_argument(is_namespace, "isNamespace", False):
        found = views.namespace(wanted)
        if not found:
            raise ScriptError(f"There are no function views in the namespace [{wanted}].")
    else:
        found = [views.view(wanted)]
    foreign = [view.name for view in found if not _is_own(context, view)]
    if foreign:
        raise ScriptError(f"<NoPrivilege>The function view [{foreign[0]}] belongs to somebody else.")
    views.drop([view.name for view in found])
    for namespace in {view.namespace for view in found} - {""}:
        if not views.namespace(namespace):
            context.node.users.rename_object([VIEW_EXEC], f"{namespace}::{EVERYTHING}", None)
    return NOTHING


@functions.builtin("getFunctionViews", "", context=True)
def get_function_views(context: Context) -> Table:
    """All views for administrators, their own ones for others."""
    views = [view for view in _require_owner(context, "list function views").views() if _is_own(context, view)]
    return listing(
        ("name", Type.STRING, [view.name for view in views]),
        ("body", Type.STRING, [_body(context, view) for view in views]),
        ("owner", Type.STRING, [view.owner for view in views]),
        ("createTime", Type.TIMESTAMP, [timestamp(view.created) for view in views]),
    )


def _is_own(context: Context, view: FunctionView) -> bool:
    users: Users = context.node.users
    return view.owner == context.session.acting_user or users.is_admin(context.session.acting_user)


def _body(context: Context, view: FunctionView) -> str:
    closure = context.node.functions.get(view.name)
    if not isinstance(closure, Closure):
        return view.source
    return console_text(replace(closure, name=view.name.rpartition("::")[2]))
