"""Backing up stored tables and bringing them back."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from dolphin.script import syntax
from engine.arguments import boolean_argument, is_omitted, names_argument, text_argument
from engine.context import Context
from engine.embedded import Embedded
from engine.errors import CallError, ScriptError, UnsupportedError
from engine.functions.databases.partitions import chunk_id, named_partitions
from engine.functions.files.paths import readable, writable
from engine.functions.registry import Registry
from engine.functions.tables.tabular import listing, timestamp
from engine.operators.membership import like_pattern
from engine.storage.access import database_of, opened_table, require_right
from engine.storage.backups import TableBackup, backups, drop_backup, new_backup, table_backup
from engine.storage.databases import PREFIX, Database, Databases
from engine.storage.partitions import level_from
from engine.storage.table_schema import TableSchema
from engine.storage.tables import Partition, TableStore
from engine.types import Type
from engine.values import (
    NOTHING,
    Code,
    Dictionary,
    Scalar,
    Table,
    Value,
    Vector,
    integer,
    string,
    vector,
)

functions = Registry()


def _plain(key: Value) -> None:
    if not is_omitted(key) and text_argument(key, "keyPath"):
        raise UnsupportedError("An encrypted backup (keyPath)")


@functions.builtin(
    "backup",
    "backupDir, dbPath|sqlObj, [force=false], [parallel=false], [snapshot=true], [tableName], [partition], [keyPath]",
    context=True,
)
def backup(
    context: Context,
    folder: Value,
    what: Value,
    force: Value = NOTHING,
    parallel: Value = NOTHING,
    snapshot: Value = NOTHING,
    tables: Value = NOTHING,
    partition: Value = NOTHING,
    key: Value = NOTHING,
) -> Scalar:
    """Save the partitions of a database's tables, or what a query finds in those of one; returns how many.

    Partitions that are as they were saved last are left out, unless `force` is set.
    """
    _plain(key)
    boolean_argument(parallel, "parallel", False)
    everything, exactly = boolean_argument(force, "force", False), boolean_argument(snapshot, "snapshot", True)
    if isinstance(what, Code):
        if not (is_omitted(tables) and is_omitted(partition)):
            raise CallError("tableName and partition are for a backup by dbPath; a query has a where clause.")
        return integer(_save_query(context, _root(context, folder, writing=True), what, everything))
    names = names_argument(tables, "tableName")
    return integer(_save_tables(context, folder, what, names, partition, everything, exactly))


def _save_tables(
    context: Context,
    folder: Value,
    database: Value,
    names: Sequence[str] = (),
    partition: Value = NOTHING,
    force: bool = False,
    snapshot: bool = True,
) -> int:
    """Save tables of a database, all unless some are named; returns how many partitions were saved."""
    root, target = _root(context, folder, writing=True), database_of(database, context.node.databases)
    stores = [target.table(name) for name in names] if names else list(target.tables.values())
    count = sum(_save(context, root, target, store, force, partition, snapshot) for store in stores)
    if not names and is_omitted(partition) and snapshot:
        for saved in backups(root, target.url):
            if saved.table not in target.tables:
                drop_backup(saved)
    return count


@functions.builtin("backupDB", "backupDir, dbPath, [keyPath]", context=True)
def backup_database(context: Context, folder: Value, path: Value, key: Value = NOTHING) -> Scalar:
    """`backup` of all tables of a database."""
    _plain(key)
    return integer(_save_tables(context, folder, path))


@functions.builtin("backupTable", "backupDir, dbPath, tableName, [keyPath]", context=True)
def backup_table(context: Context, folder: Value, path: Value, name: Value, key: Value = NOTHING) -> Scalar:
    """`backup` of one table."""
    _plain(key)
    return integer(_save_tables(context, folder, path, [text_argument(name, "tableName")]))


def _root(context: Context, folder: Value, *, writing: bool = False) -> Path:
    name = text_argument(folder, "backupDir")
    if name.startswith("s3://"):
        raise UnsupportedError("A backup on S3")
    return writable(context, name) if writing else readable(context, name)


def _scheme(target: Database) -> dict[str, object]:
    return {"levels": target.scheme(), "engine": target.engine, "atomic": target.atomic}


def _paths(store: TableStore) -> dict[str, Partition]:
    """The partitions with rows by their path within the database."""
    return {_path(store, key): key for key in store.partition_rows()}


def _path(store: TableStore, key: Partition) -> str:
    return store.partition_path(key) if store.is_partitioned else f"/{store.name}"


def _save(
    context: Context, root: Path, target: Database, store: TableStore, force: bool, partition: Value, snapshot: bool
) -> int:
    require_right(context.session, "TABLE_READ", target.url, store.name)
    saved = new_backup(root, target.url, store.name, "copy", _scheme(target), store.schema.document())
    paths = _paths(store)
    if is_omitted(partition):
        wanted = paths
    else:
        chosen = set(named_partitions(store, partition))
        wanted = {path: key for path, key in paths.items() if key in chosen}
    count = 0
    for path, key in wanted.items():
        context.check()
        with store.lock:
            fingerprint, version = store.fingerprint(key), store.version
            before = saved.partitions.get(path)
            if not force and before is not None and before.fingerprint == fingerprint and saved.is_whole(path):
                continue
            rows = store.read_partition(key)
        saved.save(path, rows, version, fingerprint)
        count += 1
    if is_omitted(partition) and snapshot:
        saved.keep_only(paths)
    saved.store()
    return count


def _save_query(context: Context, root: Path, code: Code, force: bool) -> int:
    node = code.node
    if not isinstance(node, syntax.Select) or not isinstance(node.source, syntax.Source):
        raise CallError("sqlObj must be the code of a query of one table, such as <select * from loadTable(...)>.")
    if node.grouping or node.pivot or node.order or node.top or node.limit:
        raise CallError("sqlObj must have no top, group by, context by, pivot by, order by or limit clause.")
    opened = opened_table(context.evaluate(node.source.value))
    if opened is None:
        raise CallError("sqlObj must be a query of a table in a database.")
    store = opened.store
    target: Database = context.node.databases.get(store.database)
    require_right(context.session, "TABLE_READ", target.url, store.name)
    saved = new_backup(root, target.url, store.name, "sql", _scheme(target), store.schema.document())
    count = 0
    for path, key in _paths(store).items():
        context.check()
        with store.lock:
            fingerprint, version, rows = store.fingerprint(key), store.version, store.read_partition(key)
        source = replace(node.source, value=Embedded(rows, span=node.source.span))  # type: ignore[arg-type]
        found = context.evaluate(replace(node, source=source))
        if not isinstance(found, Table) or found.names != store.names:
            raise CallError("sqlObj must select all columns of the table.")
        before = saved.partitions.get(path)
        same = before is not None and before.fingerprint == fingerprint and before.rows == found.rows
        if found.rows and (force or not same):
            saved.save(path, found, version, fingerprint)
            count += 1
    saved.store()
    return count


# --- bringing back


@functions.builtin(
    "restore",
    "backupDir, dbPath, tableName, partition, [force=false], [outputTable], [parallel=false], [snapshot=false], "
    "[keyPath]",
    context=True,
)
def restore(
    context: Context,
    folder: Value,
    path: Value,
    name: Value,
    partition: Value,
    force: Value = NOTHING,
    output: Value = NOTHING,
    parallel: Value = NOTHING,
    snapshot: Value = NOTHING,
    key: Value = NOTHING,
) -> Vector:
    """Bring back the partitions of a table whose path is like `partition`; returns their paths."""
    _plain(key)
    boolean_argument(parallel, "parallel", False)
    saved = _saved(context, folder, path, name)
    databases: Databases = context.node.databases
    if is_omitted(output):
        store = databases.get(saved.url).table(saved.table)
    else:
        opened = opened_table(output)
        if opened is None:
            raise CallError("outputTable must be a table of a database.")
        store = opened.store
    pattern, exactly = text_argument(partition, "partition"), boolean_argument(snapshot, "snapshot", False)
    paths = _restored(context, saved, store, pattern, boolean_argument(force, "force", False), exactly)
    return vector(Type.STRING, [saved.url + each for each in paths])


def _restored(
    context: Context, saved: TableBackup, store: TableStore, pattern: str, force: bool, snapshot: bool
) -> list[str]:
    if snapshot and saved.method == "sql":
        raise ScriptError("A backup made by a query can't be restored with snapshot=true.")
    require_right(context.session, "TABLE_READ", saved.url, saved.table)
    for right in ("TABLE_INSERT", "TABLE_DELETE"):
        require_right(context.session, right, store.database, store.name)
    paths = _paths(store)
    restored = []
    for path in _like(saved, pattern):
        context.check()
        there = paths.get(path)
        same = there is not None and store.fingerprint(there) == saved.partitions[path].fingerprint
        if same and not force and saved.method == "copy":
            continue
        rows = saved.read(path)
        if saved.method == "copy":
            store.replace(rows)
        else:
            store.append(rows)
        restored.append(path)
    if snapshot and pattern == "%":
        store.remove([key for path, key in _paths(store).items() if path not in saved.partitions])
    return restored


def _like(saved: TableBackup, pattern: str) -> list[str]:
    """The saved partitions whose path, with or without the database's name before it, is like a pattern."""
    fits, name = like_pattern(pattern), "/" + saved.url.removeprefix(PREFIX)
    return [path for path in saved.partitions if fits.fullmatch(path) or fits.fullmatch(name + path)]


@functions.builtin("restoreDB", "backupDir, dbPath, [newDBPath], [keyPath]", context=True)
def restore_database(
    context: Context, folder: Value, path: Value, new_path: Value = NOTHING, key: Value = NOTHING
) -> Table:
    """Bring back all tables of a database, in it or in another one, which is created if it is not there."""
    _plain(key)
    url = text_argument(path, "dbPath").rstrip("/")
    target = text_argument(new_path, "newDBPath", url).rstrip("/")
    return _restored_tables(context, _copies(_root(context, folder), url), target, None)


@functions.builtin("restoreTable", "backupDir, dbPath, tableName, [newDBPath], [newTableName], [keyPath]", context=True)
def restore_table(
    context: Context,
    folder: Value,
    path: Value,
    name: Value,
    new_path: Value = NOTHING,
    new_name: Value = NOTHING,
    key: Value = NOTHING,
) -> Table:
    """Bring back a table, under its name or another one."""
    _plain(key)
    url, table = text_argument(path, "dbPath").rstrip("/"), text_argument(name, "tableName")
    saved = [each for each in _copies(_root(context, folder), url) if each.table == table]
    if not saved:
        raise ScriptError(f"There is no backup of the table [{table}] of the database [{url}].")
    target = text_argument(new_path, "newDBPath", url).rstrip("/")
    return _restored_tables(context, saved, target, text_argument(new_name, "newTableName", table))


def _copies(root: Path, url: str) -> list[TableBackup]:
    """The backups of a database's tables that were made by copying."""
    found = list(backups(root, url))
    if not found:
        raise ScriptError(f"There is no backup of the database [{url}] in [{root}].")
    if any(saved.method != "copy" for saved in found):
        raise ScriptError("Only a backup made by copying (dbPath) can be restored this way; use migrate or restore.")
    return found


def _restored_tables(context: Context, saved: Sequence[TableBackup], url: str, name: str | None) -> Table:
    made = []
    for each in saved:
        store = _target(context, each, url, name or each.table)
        _restored(context, each, store, "%", False, True)
        made.append(store)
    return listing(
        ("dbName", Type.STRING, [store.database for store in made]),
        ("tableName", Type.STRING, [store.name for store in made]),
    )


def _target(context: Context, saved: TableBackup, url: str, name: str) -> TableStore:
    """The table a backup is restored to, created with its database where it is missing."""
    session, databases = context.session, context.node.databases
    levels = [level_from(level) for level in saved.scheme["levels"]]
    if not databases.exists(url):
        require_right(session, "DB_MANAGE", url)
    engine, atomic = saved.scheme["engine"], saved.scheme["atomic"]
    target: Database = databases.create(url, levels, engine, atomic, session.acting_user)
    if name in target.tables:
        return target.table(name)
    require_right(session, "DBOBJ_CREATE", target.url)
    schema = TableSchema.from_document(saved.schema)
    schema.owner, schema.next_id = session.acting_user, 0
    return target.create_table(name, schema)


@functions.builtin(
    "migrate", "backupDir, [backupDBPath], [backupTableName], [newDBPath], [newTableName], [keyPath]", context=True
)
def migrate(
    context: Context,
    folder: Value,
    path: Value = NOTHING,
    name: Value = NOTHING,
    new_path: Value = NOTHING,
    new_name: Value = NOTHING,
    key: Value = NOTHING,
) -> Table:
    """Bring back tables that are not there any more, or under new names; a row for each tells whether it worked."""
    _plain(key)
    url = None if is_omitted(path) else text_argument(path, "backupDBPath").rstrip("/")
    wanted = text_argument(name, "backupTableName", "")
    found = [each for each in backups(_root(context, folder), url) if wanted in ("", each.table)]
    if not found:
        raise ScriptError("There is no such backup in the folder.")
    if not wanted and not (is_omitted(new_path) and is_omitted(new_name)):
        raise CallError("newDBPath and newTableName require backupTableName.")
    errors = []
    for saved in found:
        target = text_argument(new_path, "newDBPath", saved.url).rstrip("/")
        errors.append(_migrated(context, saved, target, text_argument(new_name, "newTableName", saved.table)))
    return listing(
        ("dbName", Type.STRING, [saved.url for saved in found]),
        ("tableName", Type.STRING, [saved.table for saved in found]),
        ("success", Type.BOOL, [not error for error in errors]),
        ("errorMsg", Type.STRING, errors),
    )


def _migrated(context: Context, saved: TableBackup, url: str, name: str) -> str:
    """The message of what went wrong, or an empty string."""
    databases: Databases = context.node.databases
    if databases.exists(url) and name in databases.get(url).tables:
        return f"The table [{name}] of the database [{url}] already exists. Drop it first."
    try:
        _restored(context, saved, _target(context, saved, url, name), "%", True, False)
    except ScriptError as error:
        return str(error)
    return ""


# --- what there is


def _chunk(saved: TableBackup, path: str) -> bytes:
    return chunk_id("/" + saved.url.removeprefix(PREFIX) + path, saved.table)


@functions.builtin("getBackupList", "backupDir, dbPath, tableName", context=True)
def get_backup_list(context: Context, folder: Value, path: Value, name: Value) -> Table:
    """The saved partitions of a table."""
    saved = _saved(context, folder, path, name)
    parts = saved.partitions
    return listing(
        ("chunkID", Type.STRING, [_uuid(_chunk(saved, each)) for each in parts]),
        ("chunkPath", Type.STRING, [saved.url + each for each in parts]),
        ("cid", Type.LONG, [part.version for part in parts.values()]),
        ("rows", Type.LONG, [part.rows for part in parts.values()]),
        ("updateTime", Type.TIMESTAMP, [timestamp(part.saved) for part in parts.values()]),
    )


def _uuid(raw: bytes) -> str:
    return str(uuid.UUID(bytes=raw[::-1]))


def _saved(context: Context, folder: Value, path: Value, name: Value) -> TableBackup:
    saved = table_backup(
        _root(context, folder), text_argument(path, "dbPath").rstrip("/"), text_argument(name, "tableName")
    )
    require_right(context.session, "TABLE_READ", saved.url, saved.table)
    return saved


def _saved_path(saved: TableBackup, partition: Value) -> str:
    path = text_argument(partition, "partition")
    if path not in saved.partitions:
        raise ScriptError(f"The partition [{path}] of the table [{saved.table}] is not in the backup.")
    return path


@functions.builtin("getBackupMeta", "backupDir, dbPath, partition, tableName", context=True)
def get_backup_meta(context: Context, folder: Value, path: Value, partition: Value, name: Value) -> Dictionary:
    """What is known of a saved partition."""
    from engine.functions.databases.schema import definitions

    saved = _saved(context, folder, path, name)
    chosen = _saved_path(saved, partition)
    part = saved.partitions[chosen]
    entries: dict[str, Value] = {
        "schema": definitions(TableSchema.from_document(saved.schema).columns),
        "dfsPath": string(saved.url + chosen),
        "rows": integer(part.rows, Type.LONG),
        "chunkID": string(_uuid(_chunk(saved, chosen))),
        "cid": integer(part.version, Type.LONG),
    }
    return Dictionary(Type.STRING, Type.ANY, dict(entries), ordered=True)


@functions.builtin("loadBackup", "backupDir, dbPath, partition, tableName", context=True)
def load_backup(context: Context, folder: Value, path: Value, partition: Value, name: Value) -> Table:
    """The rows of a partition that was saved by a query."""
    saved = _saved(context, folder, path, name)
    if saved.method != "sql":
        raise ScriptError("Only partitions saved by a query (sqlObj) can be loaded; restore the others.")
    return saved.read(_saved_path(saved, partition))


@functions.builtin("checkBackup", "backupDir, dbPath, [tableName], [partition]", context=True)
def check_backup(
    context: Context, folder: Value, path: Value, name: Value = NOTHING, partition: Value = NOTHING
) -> Table:
    """The saved partitions whose files are missing or damaged."""
    url, wanted = text_argument(path, "dbPath").rstrip("/"), text_argument(name, "tableName", "")
    pattern = text_argument(partition, "partition", "%")
    rows = list(_damaged(context, _root(context, folder), url, wanted, pattern))
    return listing(
        ("dbName", Type.STRING, [saved.url for saved, _ in rows]),
        ("tableName", Type.STRING, [saved.table for saved, _ in rows]),
        ("chunkPath", Type.STRING, ["/" + saved.url.removeprefix(PREFIX) + path for saved, path in rows]),
        ("chunkID", Type.STRING, [_uuid(_chunk(saved, path)) for saved, path in rows]),
        ("partitionPath", Type.STRING, [path for _, path in rows]),
    )


def _damaged(context: Context, root: Path, url: str, name: str, pattern: str) -> Iterator[tuple[TableBackup, str]]:
    for saved in backups(root, url):
        if name in ("", saved.table):
            for path in _like(saved, pattern):
                context.check()
                if not saved.is_whole(path):
                    yield saved, path
