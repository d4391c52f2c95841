"""Groups of users, and what users and groups may do with databases and tables."""

from __future__ import annotations

from collections.abc import Sequence

from engine.arguments import boolean_argument, is_omitted, names_argument, text_argument
from engine.context import Context
from engine.errors import CallError, ScriptError
from engine.functions.registry import Registry
from engine.functions.server.accounts import require_admin
from engine.functions.tables.tabular import listing
from engine.rights import (
    CATALOG_RIGHTS,
    DATABASE_RIGHTS,
    EVERYTHING,
    GLOBAL_RIGHTS,
    RIGHTS,
    TABLE_RIGHTS,
    VIEW_EXEC,
    Rights,
    single_rights,
)
from engine.storage.access import database_of, has_right
from engine.storage.databases import PREFIX
from engine.types import Type
from engine.users import Users
from engine.values import NOTHING, Closure, Nothing, Table, Value, Vector, string, vector
from engine.views import FunctionViews

functions = Registry()

_OWNERS_GRANT = (*TABLE_RIGHTS, *DATABASE_RIGHTS[:6])


def _objects(context: Context, access: str, value: Value) -> list[str]:
    """What a right is about; everything unless said."""
    if is_omitted(value):
        return [EVERYTHING]
    if isinstance(value, Closure):
        value = string(value.name or "")
    names = names_argument(value, "objs")
    rights = single_rights(access)
    if rights[0] == VIEW_EXEC:
        return [_view(context, name) for name in names]
    if rights[0] in GLOBAL_RIGHTS and names != [EVERYTHING]:
        raise CallError(f"{access} is a right on everything: leave objs out.")
    if rights[0] in CATALOG_RIGHTS:
        return [name if name == EVERYTHING else context.node.catalogs.name(name) for name in names]
    return [name if name == EVERYTHING else _path(context, name) for name in names]


def _view(context: Context, name: str) -> str:
    """A function view, or `module::*`. Both must be there."""
    name = name.removeprefix("::")
    namespace, _, rest = name.rpartition("::")
    if namespace and rest == EVERYTHING:
        if not context.node.views.namespace(namespace):
            raise ScriptError(f"There are no function views in the namespace [{namespace}].")
    elif name != EVERYTHING:
        context.node.views.view(name)
    return name


def _path(context: Context, name: str) -> str:
    """The path of a database or a table, which may be written `catalog.schema` or `catalog.schema.table`."""
    if name.startswith(PREFIX):
        return name.rstrip("/")
    parts = name.split(".")
    if len(parts) not in (2, 3):
        raise CallError(
            "objs must be dfs:// paths of databases or tables, catalog.schema, catalog.schema.table, or *, "
            f"not [{name}]."
        )
    return "/".join([context.node.catalogs.database(parts[0], parts[1]), *parts[2:]])


def _change(context: Context, what: str, who: Value, right: Value, objects: Value) -> Nothing:
    """Grant, deny or revoke, by an administrator or, in their databases, by owners."""
    name, access = text_argument(who, "userId"), text_argument(right, "accessType")
    named, rights = _objects(context, access, objects), single_rights(access)
    users: Users = context.node.users
    if not users.is_admin(context.session.user):
        if access == VIEW_EXEC:
            owned = all(_owns_view(context, each) for each in named)
        else:
            owned = all(_owns(context, each) for each in named) and set(rights) <= set(_OWNERS_GRANT)
        if not owned:
            owner = "owners of the function view" if access == VIEW_EXEC else "owners of the database"
            raise ScriptError(f"Only administrators and {owner} can {what} {access}.")
    if access == "DB_OWNER" and what == "deny" and named != [EVERYTHING]:
        raise CallError("DB_OWNER can only be denied globally, without objs.")
    if name in users.names() and users.is_admin(name):
        raise ScriptError(f"The user [{name}] is an administrator and has all rights.")
    with users.changed_rights(name) as held:
        if what != "revoke" and rights[0] in CATALOG_RIGHTS[:4]:
            _cover(context, held.denied if what == "grant" else held.allowed, rights, named)
        {"grant": held.grant, "deny": held.deny, "revoke": held.revoke}[what](access, named)
    return NOTHING


def _cover(context: Context, states: dict[str, list[str]], rights: Sequence[str], catalogs: Sequence[str]) -> None:
    """What is said about a catalog takes the place of the opposite that was said about its databases and tables."""
    listed = context.node.catalogs.names() if EVERYTHING in catalogs else catalogs
    urls = tuple(url for name in listed for url in context.node.catalogs.schemas(name).values())
    for right in rights:
        for narrower in (right.replace("CATALOG", "DB"), right.replace("CATALOG", "TABLE")):
            kept = [
                name
                for name in states.get(narrower, ())
                if not any(name == url or name.startswith(f"{url}/") for url in urls)
            ]
            if kept:
                states[narrower] = kept
            else:
                states.pop(narrower, None)


def _owns_view(context: Context, name: str) -> bool:
    views: FunctionViews = context.node.views
    namespace, _, rest = name.rpartition("::")
    found = views.namespace(namespace) if rest == EVERYTHING else [views.view(name)]
    return bool(found) and all(view.owner == context.session.acting_user for view in found)


def _owns(context: Context, name: str) -> bool:
    databases = context.node.databases
    url = next((each for each in (name, name.rpartition("/")[0]) if databases.exists(each)), "")
    return bool(url) and (
        databases.get(url).owner == context.session.user or has_right(context.session, "DB_OWNER", url)
    )


@functions.builtin("grant", "userId|groupId, accessType, [objs]", context=True)
def grant(context: Context, who: Value, right: Value, objects: Value = NOTHING) -> Nothing:
    return _change(context, "grant", who, right, objects)


@functions.builtin("deny", "userId|groupId, accessType, [objs]", context=True)
def deny(context: Context, who: Value, right: Value, objects: Value = NOTHING) -> Nothing:
    return _change(context, "deny", who, right, objects)


@functions.builtin("revoke", "userId|groupId, accessType, [objs]", context=True)
def revoke(context: Context, who: Value, right: Value, objects: Value = NOTHING) -> Nothing:
    return _change(context, "revoke", who, right, objects)


# --- groups


@functions.builtin("createGroup", "groupId, [userIds]", context=True)
def create_group(context: Context, group: Value, members: Value = NOTHING) -> Nothing:
    users = require_admin(context, "create groups")
    users.create_group(text_argument(group, "groupId"), names_argument(members, "userIds"))
    return NOTHING


@functions.builtin("deleteGroup", "groupName", context=True)
def delete_group(context: Context, group: Value) -> Nothing:
    require_admin(context, "delete groups").delete_group(text_argument(group, "groupName"))
    return NOTHING


@functions.builtin("addGroupMember", "userIds, groupIds", context=True)
def add_group_member(context: Context, members: Value, groups: Value) -> Nothing:
    users = require_admin(context, "change groups")
    users.join(names_argument(members, "userIds"), names_argument(groups, "groupIds"))
    return NOTHING


@functions.builtin("deleteGroupMember", "userIds, groupIds", context=True)
def delete_group_member(context: Context, members: Value, groups: Value) -> Nothing:
    users = require_admin(context, "change groups")
    users.leave(names_argument(members, "userIds"), names_argument(groups, "groupIds"))
    return NOTHING


@functions.builtin("getGroupList", "", context=True)
def get_group_list(context: Context) -> Vector:
    return vector(Type.STRING, require_admin(context, "list groups").groups())


@functions.builtin("getUsersByGroupId", "groupId", context=True)
def get_users_by_group(context: Context, group: Value) -> Vector:
    users = require_admin(context, "list the members of groups")
    return vector(Type.STRING, users.members(text_argument(group, "groupId")))


@functions.builtin("getGroupsByUserId", "userId", context=True)
def get_groups_by_user(context: Context, user: Value) -> Vector:
    users = require_admin(context, "list the groups of users")
    return vector(Type.STRING, users.account(text_argument(user, "userId")).groups)


# --- who may do what


@functions.builtin("getUserAccess", "[userIds], [finalAccess=false]", context=True)
def get_user_access(context: Context, names: Value = NOTHING, final: Value = NOTHING) -> Table:
    """One row per user: the state of every right on everything, and the objects it is allowed and denied on."""
    with_groups = boolean_argument(final, "finalAccess", False)
    users: Users = context.node.users
    wanted = names_argument(names, "userIds") or [context.session.user]
    if wanted != [context.session.user]:
        require_admin(context, "see the rights of other users")
    accounts = [users.account(name) for name in wanted]
    held = [
        [each.rights, *(users.group(group) for group in each.groups)] if with_groups else [each.rights]
        for each in accounts
    ]
    return listing(
        ("userId", Type.STRING, wanted),
        ("groups", Type.STRING, [",".join(each.groups) for each in accounts]),
        ("isAdmin", Type.BOOL, [each.is_admin for each in accounts]),
        *_states(held, [each.is_admin for each in accounts]),
    )


@functions.builtin("getGroupAccess", "groupIds", context=True)
def get_group_access(context: Context, groups: Value) -> Table:
    users = require_admin(context, "see the rights of groups")
    names = names_argument(groups, "groupIds")
    return listing(
        ("groupName", Type.STRING, names),
        ("users", Type.STRING, [",".join(users.members(name)) for name in names]),
        *_states([[users.group(name)] for name in names], [False] * len(names)),
    )


def _states(held: Sequence[Sequence[Rights]], all_rights: Sequence[bool]) -> list[tuple[str, Type, list[str]]]:
    columns = []
    for right in RIGHTS:
        states = [
            "allow" if everything else _merged([each.state(right) for each in rights])
            for rights, everything in zip(held, all_rights, strict=True)
        ]
        columns.append((right, Type.STRING, states))
    for right in RIGHTS:
        for state in ("allowed", "denied"):
            named = [
                sorted({name for each in rights for name in getattr(each, state).get(right, ()) if name != EVERYTHING})
                for rights in held
            ]
            columns.append((f"{right}_{state}", Type.STRING, [",".join(names) for names in named]))
    return columns


def _merged(states: Sequence[str]) -> str:
    return next((state for state in ("deny", "allow") if state in states), "none")


@functions.builtin("getTableAccess", "dbUrl, table", context=True)
def get_table_access(context: Context, url: Value, table: Value) -> Table:
    target = database_of(url, context.node.databases)
    store = target.table(text_argument(table, "table"))
    return _access(context, target.url, f"{target.url}/{store.name}", TABLE_RIGHTS)


@functions.builtin("getDBAccess", "dbUrl", context=True)
def get_database_access(context: Context, url: Value) -> Table:
    target = database_of(url, context.node.databases)
    return _access(context, target.url, target.url, DATABASE_RIGHTS[:7])


def _access(context: Context, database: str, name: str, rights: Sequence[str]) -> Table:
    """Users and groups with their own rights on an object: ALLOW, DENY or NONE."""
    users: Users = context.node.users
    if not users.is_admin(context.session.user) and not _owns(context, database):
        raise ScriptError(f"Only administrators and owners can see who has rights on [{database}].")
    people = [(each, "user", users.account(each).rights) for each in users.names() if not users.is_admin(each)]
    rows = [*people, *((each, "group", users.group(each)) for each in users.groups())]

    def state(held: Rights, right: str) -> str:
        for word, states in (("DENY", held.denied), ("ALLOW", held.allowed)):
            if {EVERYTHING, name} & set(states.get(right, ())):
                return word
        return "NONE"

    return listing(
        ("name", Type.STRING, [each for each, _, _ in rows]),
        ("type", Type.STRING, [kind for _, kind, _ in rows]),
        *((right, Type.STRING, [state(held, right) for _, _, held in rows]) for right in rights),
    )
