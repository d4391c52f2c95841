"""Users and logging in."""

from __future__ import annotations

from engine.arguments import boolean_argument, is_omitted, names_argument, text_argument
from engine.context import Context
from engine.errors import ScriptError, UnsupportedError
from engine.functions.registry import Registry
from engine.functions.server.jobs import running_job
from engine.functions.tables.tabular import listing, timestamp
from engine.types import Type
from engine.users import GUEST, WRONG_LOGIN, Users
from engine.values import NOTHING, AnyVector, Nothing, Scalar, Table, Value, Vector, boolean, string, vector

functions = Registry()


def require_admin(context: Context, action: str) -> Users:
    """The users, for an administrator only."""
    users: Users = context.node.users
    if not users.is_admin(context.session.user):
        raise ScriptError(f"Only administrators can {action}.")
    return users


@functions.builtin("login", "userId, password, [encrypted=false]", context=True)
def login(context: Context, user: Value, password: Value, encrypted: Value = NOTHING) -> Scalar:
    if boolean_argument(encrypted, "encrypted", False):
        raise UnsupportedError("An encrypted password")
    name = text_argument(user, "userId")
    if not context.node.users.verify(name, text_argument(password, "password")):
        raise ScriptError(WRONG_LOGIN)
    context.session.user = name
    return boolean(True)


@functions.builtin("logout", "[userId], [sessionOnly=true]", context=True)
def logout(context: Context, user: Value = NOTHING, session_only: Value = NOTHING) -> Nothing:
    own = context.session.user
    name = own if is_omitted(user) else text_argument(user, "userId")
    if name != own:
        require_admin(context, "log out other users")
    everywhere = name != own or not boolean_argument(session_only, "sessionOnly", True)
    if not everywhere:
        context.session.user = GUEST
        return NOTHING
    with context.node.lock:
        for session in context.node.sessions.values():
            if session.user == name:
                session.user = GUEST
    return NOTHING


@functions.builtin("getCurrentSessionAndUser", "", context=True)
def get_current_session_and_user(context: Context) -> AnyVector:
    job = running_job(context)
    host, _, port = (job.address if job is not None else "").rpartition(":")
    session = context.session
    remote: list[Value] = [string(host), Scalar(Type.INT, int(port) if port else None)]
    return AnyVector([Scalar(Type.LONG, session.id), string(session.user), *remote])


def _logged_in(context: Context) -> list[str]:
    with context.node.lock:
        return sorted({session.user for session in context.node.sessions.values()} - {GUEST})


@functions.builtin("isLoggedIn", "userId", context=True)
def is_logged_in(context: Context, user: Value) -> Scalar:
    return boolean(text_argument(user, "userId") in _logged_in(context))


@functions.builtin("getAuthenticatedUsers", "", context=True)
def get_authenticated_users(context: Context) -> Vector:
    """The users that are logged in now."""
    require_admin(context, "list the users that are logged in")
    return vector(Type.STRING, _logged_in(context))


@functions.builtin("createUser", "userId, password, [groupIds], [isAdmin=false], [authMode]", context=True)
def create_user(
    context: Context,
    user: Value,
    password: Value,
    groups: Value = NOTHING,
    is_admin: Value = NOTHING,
    mode: Value = NOTHING,
) -> Nothing:
    users = require_admin(context, "create users")
    if text_argument(mode, "authMode", "sha256") != "sha256":
        raise UnsupportedError("This authMode")
    name, joined = text_argument(user, "userId"), names_argument(groups, "groupIds")
    for group in joined:
        users.group(group)
    users.create(name, text_argument(password, "password"), boolean_argument(is_admin, "isAdmin", False))
    users.join([name], joined)
    return NOTHING


@functions.builtin("deleteUser", "userId", context=True)
def delete_user(context: Context, user: Value) -> Nothing:
    users = require_admin(context, "delete users")
    name = text_argument(user, "userId")
    users.delete(name)
    with context.node.lock:
        for session in context.node.sessions.values():
            if session.user == name:
                session.user = GUEST
    return NOTHING


@functions.builtin("changePwd", "oldPwd, newPwd", context=True)
def change_password(context: Context, old: Value, new: Value) -> Nothing:
    users: Users = context.node.users
    name = context.session.user
    if name == GUEST:
        raise ScriptError("Log in first: a guest has no password.")
    if not users.verify(name, text_argument(old, "oldPwd")):
        raise ScriptError("The old password is incorrect.")
    users.set_password(name, text_argument(new, "newPwd"))
    return NOTHING


@functions.builtin("resetPwd", "userId, newPwd", context=True)
def reset_password(context: Context, user: Value, password: Value) -> Nothing:
    users = require_admin(context, "reset passwords")
    users.set_password(text_argument(user, "userId"), text_argument(password, "newPwd"))
    return NOTHING


@functions.builtin("getUserList", "", context=True)
def get_user_list(context: Context) -> Vector:
    users = require_admin(context, "list users")
    return vector(Type.STRING, [name for name in users.names() if not users.is_admin(name)])


@functions.builtin("lockUser", "userId", context=True)
def lock_user(context: Context, user: Value) -> Nothing:
    """Let a user log in no more, until unlockUser."""
    require_admin(context, "lock users").lock(text_argument(user, "userId"))
    return NOTHING


@functions.builtin("unlockUser", "userId", context=True)
def unlock_user(context: Context, user: Value) -> Nothing:
    require_admin(context, "unlock users").unlock(text_argument(user, "userId"))
    return NOTHING


@functions.builtin("getUserLockedStatus", "", context=True)
def get_user_locked_status(context: Context) -> Table:
    """The users an administrator has locked, wherever they come from (`*`) and until they are unlocked."""
    users = require_admin(context, "see which users are locked")
    locked = [(name, users.account(name).locked) for name in users.names()]
    rows = [(name, since) for name, since in locked if since is not None]
    return listing(
        ("user", Type.STRING, [name for name, _ in rows]),
        ("IP", Type.STRING, ["*"] * len(rows)),
        ("lockTime", Type.TIMESTAMP, [timestamp(since) for _, since in rows]),
        ("unlockTime", Type.TIMESTAMP, [None] * len(rows)),
    )
