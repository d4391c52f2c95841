"""Catalogs and their schemas: databases by names of their own."""

from __future__ import annotations

from engine.arguments import text_argument
from engine.context import Context
from engine.errors import ScriptError
from engine.functions.registry import Registry
from engine.functions.tables.tabular import listing
from engine.rights import CATALOG_RIGHTS
from engine.storage.access import database_of, require_catalog, require_right
from engine.storage.catalogs import Catalogs
from engine.types import Type
from engine.values import NOTHING, Nothing, Scalar, Table, Value, Vector, boolean, string, vector

functions = Registry()


@functions.builtin("createCatalog", "catalog", context=True)
def create_catalog(context: Context, catalog: Value) -> Nothing:
    """Make a catalog, a namespace for databases."""
    require_catalog(context.session, "")
    _catalogs(context).create(text_argument(catalog, "catalog"))
    return NOTHING


@functions.builtin("dropCatalog", "catalog", context=True)
def drop_catalog(context: Context, catalog: Value) -> Nothing:
    """Forget a catalog and its schemas; the databases stay."""
    name = _managed(context, catalog)
    _catalogs(context).drop(name)
    context.node.users.rename_object(CATALOG_RIGHTS, name, None)
    return NOTHING


@functions.builtin("renameCatalog", "oldCatalog, newCatalog", context=True)
def rename_catalog(context: Context, catalog: Value, new_name: Value) -> Nothing:
    """Rights on the catalog and sessions that use it go with it."""
    name, wanted = _managed(context, catalog, "oldCatalog"), text_argument(new_name, "newCatalog")
    _catalogs(context).rename(name, wanted)
    context.node.users.rename_object(CATALOG_RIGHTS, name, wanted)
    with context.node.lock:
        for session in context.node.sessions.values():
            if session.catalog == name:
                session.catalog = wanted
    return NOTHING


@functions.builtin("existsCatalog", "catalog", context=True)
def exists_catalog(context: Context, catalog: Value) -> Scalar:
    """Whether there is a catalog of that name, in whatever case."""
    return boolean(_catalogs(context).exists(text_argument(catalog, "catalog")))


@functions.builtin("getAllCatalogs", "", context=True)
def get_all_catalogs(context: Context) -> Vector:
    """The names of all catalogs."""
    return vector(Type.STRING, _catalogs(context).names())


@functions.builtin("getCurrentCatalog", "", context=True)
def get_current_catalog(context: Context) -> Scalar:
    """The catalog of names that say none; empty if there is none."""
    return string(context.session.catalog or "")


@functions.builtin("setDefaultCatalog", "catalog", context=True)
def set_default_catalog(context: Context, catalog: Value) -> Nothing:
    """For this session; none if the name is empty."""
    name = text_argument(catalog, "catalog")
    context.session.catalog = _catalogs(context).name(name) if name else None
    return NOTHING


@functions.builtin("createSchema", "catalog, dbUrl, schema", context=True)
def create_schema(context: Context, catalog: Value, url: Value, schema: Value) -> Nothing:
    """Add a database to a catalog under a name; who does has to manage both."""
    name, target = _managed(context, catalog), database_of(url, context.node.databases)
    require_right(context.session, "DB_MANAGE", target.url)
    _catalogs(context).add(name, text_argument(schema, "schema"), target.url)
    return NOTHING


@functions.builtin("dropSchema", "catalog, schema", context=True)
def drop_schema(context: Context, catalog: Value, schema: Value) -> Nothing:
    """Take a database out of a catalog; it stays. `drop database catalog.schema` drops it."""
    _catalogs(context).remove(_managed(context, catalog), text_argument(schema, "schema"))
    return NOTHING


@functions.builtin("renameSchema", "catalog, oldSchema, newSchema", context=True)
def rename_schema(context: Context, catalog: Value, schema: Value, new_name: Value) -> Nothing:
    """Give a database another name in its catalog; its path stays."""
    names = text_argument(schema, "oldSchema"), text_argument(new_name, "newSchema")
    _catalogs(context).rename_schema(_managed(context, catalog), *names)
    return NOTHING


@functions.builtin("getSchemaByCatalog", "catalog", context=True)
def get_schema_by_catalog(context: Context, catalog: Value) -> Table:
    """The schemas of a catalog and the paths of their databases."""
    schemas = _catalogs(context).schemas(text_argument(catalog, "catalog"))
    return listing(("schema", Type.STRING, list(schemas)), ("dbUrl", Type.STRING, list(schemas.values())))


def _catalogs(context: Context) -> Catalogs:
    catalogs = context.node.catalogs
    if not isinstance(catalogs, Catalogs):
        raise ScriptError("This function needs a server process.")
    return catalogs


def _managed(context: Context, catalog: Value, parameter: str = "catalog") -> str:
    """The name of a catalog the user may change."""
    name = _catalogs(context).name(text_argument(catalog, parameter))
    require_catalog(context.session, name)
    return name
