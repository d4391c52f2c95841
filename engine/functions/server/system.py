"""The server itself: version, node, memory, sessions."""

from __future__ import annotations

import logging
import os
import platform
from pathlib import Path

import psutil

from engine.arguments import (
    boolean_argument,
    choice_argument,
    float_argument,
    function_argument,
    is_omitted,
    text_argument,
)
from engine.console import console_text
from engine.context import Context
from engine.errors import CallError, ScriptError, UnsupportedError
from engine.functions.registry import Registry
from engine.functions.server.accounts import require_admin
from engine.functions.tables.tabular import listing
from engine.node import Node
from engine.server_node import ALIAS, VERSION, ServerNode
from engine.types import INTEGRAL, Type
from engine.values import (
    NOTHING,
    AnyVector,
    ArrayVector,
    Column,
    Dictionary,
    Matrix,
    Nothing,
    Scalar,
    Table,
    Value,
    Vector,
    boolean,
    double,
    integer,
    repeat,
    string,
    vector,
)

functions = Registry()
logger = logging.getLogger("engine")

_OBJECT_BYTES = 56


def served(context: Context) -> ServerNode:
    node = context.node
    if not isinstance(node, ServerNode):
        raise ScriptError("This function needs a server process.")
    return node


@functions.builtin("version", "")
def version() -> Scalar:
    return string(f"{VERSION} {platform.system().upper()} {platform.machine()}")


@functions.builtin("license", "[fileName], [pubKeyFile], [read=false]", context=True)
def license_(context: Context, file: Value = NOTHING, key: Value = NOTHING, read: Value = NOTHING) -> Dictionary:
    """The embedded engine needs no licence; the keys are those clients look at."""
    if not all(is_omitted(argument) for argument in (file, key, read)):
        raise UnsupportedError("Reading a licence file")
    node = served(context)
    entries: dict[str, Value] = {
        "authorization": string("embedded"),
        "licenseType": integer(0),
        "maxMemoryPerNode": integer(node.memory_limit // 2**30),
        "maxCoresPerNode": integer(os.cpu_count() or 1),
        "clientName": string("embedded engine"),
        "expiration": Scalar(Type.DATE, None),
        "maxNodes": integer(1),
        "version": string(VERSION),
    }
    return Dictionary(Type.STRING, Type.ANY, dict(entries), ordered=True)


@functions.builtin("getRequiredAPIVersion", "")
def get_required_api_version() -> Nothing:
    return NOTHING


@functions.builtin("isNodeInitialized", "")
def is_node_initialized() -> Scalar:
    return boolean(True)


@functions.builtin("getNodeAlias", "")
def get_node_alias() -> Scalar:
    return string(ALIAS)


@functions.builtin("getControllerAlias", "")
def get_controller_alias() -> Scalar:
    return string(ALIAS)


@functions.builtin("getNodeType", "")
def get_node_type() -> Scalar:
    """3: standalone."""
    return integer(3)


@functions.builtin("getNodeHost", "", context=True)
def get_node_host(context: Context) -> Scalar:
    return string(served(context).host)


@functions.builtin("getNodePort", "", context=True)
def get_node_port(context: Context) -> Scalar:
    return integer(served(context).port)


@functions.builtin("getHomeDir", "", context=True)
def get_home_dir(context: Context) -> Scalar:
    return string(str(context.node.data / "files"))


@functions.builtin("getOS", "")
def get_os() -> Scalar:
    return string(platform.system().lower())


@functions.builtin("getOSBit", "")
def get_os_bit() -> Scalar:
    return integer(64)


@functions.builtin("getEnv", "name, [default]", context=True)
def get_env(_context: Context, _name: Value, _default: Value = NOTHING) -> Value:
    raise UnsupportedError("Reading the environment of the server process (getEnv)")


@functions.builtin("shell", "cmd", context=True)
def shell(_context: Context, _command: Value) -> Value:
    raise UnsupportedError("Running operating system commands (shell)")


@functions.builtin("clearAllCache", "")
def clear_all_cache() -> Nothing:
    """There are no caches to clear: stored data is read through the operating system's."""
    return NOTHING


@functions.builtin("clearCachedModules", "")
def clear_cached_modules() -> Nothing:
    """No modules are kept: `use` reads the file each time."""
    return NOTHING


@functions.builtin("flushOLAPCache", "", aliases=("purgeCacheEngine",))
def flush_olap_cache() -> Nothing:
    """Every write is on disk when it returns."""
    return NOTHING


@functions.builtin("flushTSDBCache", "")
def flush_tsdb_cache() -> Nothing:
    return NOTHING


@functions.builtin("mem", "[freeUnusedBlocks=false]")
def mem(free: Value = NOTHING) -> Dictionary:
    boolean_argument(free, "freeUnusedBlocks", False)
    return memory_in_use()


def memory_in_use() -> Dictionary:
    """The bytes the process has taken from the system, and those of them that it does not use."""
    information = psutil.Process().memory_info()
    entries = {"freeBytes": max(0, information.vms - information.rss), "allocatedBytes": information.rss}
    return Dictionary(
        Type.STRING, Type.LONG, {key: Scalar(Type.LONG, size) for key, size in entries.items()}, ordered=True
    )


@functions.builtin("getMemLimitOfQueryResult", "", context=True)
def get_mem_limit_of_query_result(context: Context) -> Scalar:
    return double(float(served(context).result_limit))


@functions.builtin("setMemLimitOfQueryResult", "memLimit", context=True)
def set_mem_limit_of_query_result(context: Context, limit: Value) -> Nothing:
    """In gigabytes, until the server ends."""
    require_admin(context, "set the limit of query results")
    gigabytes = float_argument(limit, "memLimit")
    node = served(context)
    if not 0 < gigabytes * 2**30 <= node.memory_limit:
        raise CallError(f"memLimit must be between 0 and {node.memory_limit / 2**30:g} (GB).")
    node.result_limit = int(gigabytes * 2**30)
    return NOTHING


@functions.builtin("getOLAPCacheEngineSize", "")
def get_olap_cache_engine_size() -> Scalar:
    """Always 0: writes go to disk at once."""
    return Scalar(Type.LONG, 0)


@functions.builtin("getTSDBCacheEngineSize", "")
def get_tsdb_cache_engine_size() -> Scalar:
    return Scalar(Type.LONG, 0)


@functions.builtin("getSystemCpuUsage", "")
def get_system_cpu_usage() -> Scalar:
    return double(psutil.cpu_percent(interval=None))


@functions.builtin("getSystemLoadAvg", "")
def get_system_load_average() -> Scalar:
    return double(os.getloadavg()[0])


@functions.builtin("getClusterPerf", "[includeMaster=false]", context=True)
def get_cluster_perf(context: Context, include_master: Value = NOTHING) -> Table:
    boolean_argument(include_master, "includeMaster", False)
    return _node_row(served(context))


def _node_row(node: ServerNode) -> Table:
    process = psutil.Process()
    used = process.memory_info().rss
    disk = psutil.disk_usage(str(node.data))
    cores = os.cpu_count() or 1
    jobs = len(node.jobs.console_jobs())
    text, whole, long, real = Type.STRING, Type.INT, Type.LONG, Type.DOUBLE
    row: list[tuple[str, Type, object]] = [
        ("host", text, node.host),
        ("port", whole, node.port),
        ("site", text, f"{node.host}:{node.port}:{ALIAS}"),
        ("mode", whole, 0),
        ("state", whole, 1),
        ("maxConnections", whole, node.connection_limit),
        ("maxMemSize", real, node.memory_limit / 2**30),
        ("workerNum", whole, cores),
        ("executorNum", whole, max(1, cores - 1)),
        ("connectionNum", whole, len(node.sessions)),
        ("name", text, ALIAS),
        ("memoryUsed", long, used),
        ("memoryAlloc", long, used),
        ("cpuUsage", real, psutil.cpu_percent(interval=None)),
        ("avgLoad", real, os.getloadavg()[0]),
        ("runningJobs", whole, jobs),
        ("queuedJobs", whole, 0),
        ("runningTasks", whole, jobs),
        ("queuedTasks", whole, 0),
        ("diskCapacity", long, disk.total),
        ("diskFreeSpace", long, disk.free),
        ("diskFreeSpaceRatio", real, disk.free / disk.total),
        ("publicName", text, ""),
    ]
    return listing(*((name, type_, [value]) for name, type_, value in row))


@functions.builtin("getPerf", "", context=True)
def get_perf(context: Context) -> Table:
    return _node_row(served(context))


@functions.builtin("rpc", "nodeAlias, func, [args...]", context=True)
def rpc(context: Context, alias: Value, function: Value, *arguments: Value) -> Value:
    """This engine is one node, so the call is made here."""
    name = text_argument(alias, "nodeAlias")
    if name != ALIAS:
        raise ScriptError(f"The node [{name}] does not exist. This engine is the single node [{ALIAS}].")
    if isinstance(function, Scalar) and function.type is Type.STRING:
        return context.call(function_argument(context.run(str(function.value)), "func"), arguments)
    return context.call(function_argument(function, "func"), arguments)


@functions.builtin("pnodeRun", "function, [nodes], [addNodeAlias=true]", context=True)
def pnode_run(context: Context, function: Value, nodes: Value = NOTHING, add_alias: Value = NOTHING) -> Value:
    if not is_omitted(nodes):
        aliases = nodes.strings().tolist() if isinstance(nodes, Vector) else [text_argument(nodes, "nodes")]
        if any(name != ALIAS for name in aliases):
            raise ScriptError(f"This engine is the single node [{ALIAS}].")
    result = context.call(function_argument(function, "function"), [])
    if not boolean_argument(add_alias, "addNodeAlias", True):
        return result
    if isinstance(result, Table):
        return Table([*result.names, "node"], [*result.columns, repeat(string(ALIAS), result.rows)])
    if isinstance(result, Scalar) and result.type is not Type.VOID:
        return Table(["Node", "Value"], [vector(Type.STRING, [ALIAS]), repeat(result, 1)])
    return result


def size_in_bytes(value: Value | Column) -> int:
    """About how much memory a value takes."""
    if isinstance(value, Table):
        return sum(map(size_in_bytes, value.columns))
    if isinstance(value, (Vector, Matrix)):
        per_object = _OBJECT_BYTES * value.data.size if value.data.dtype.kind == "O" else 0
        return int(value.data.nbytes) + per_object
    if isinstance(value, ArrayVector):
        return size_in_bytes(value.flat) + int(value.offsets.nbytes)
    if isinstance(value, AnyVector):
        return sum(map(size_in_bytes, value.items))
    if isinstance(value, Dictionary):
        return sum(map(size_in_bytes, value.items.values())) + _OBJECT_BYTES * len(value)
    return _OBJECT_BYTES


def _session_rows(node: Node) -> list[tuple[int, str, int]]:
    with node.lock:
        sessions = list(node.sessions.values())
    return [(each.id, each.user, sum(map(size_in_bytes, list(each.variables.values())))) for each in sessions]


@functions.builtin("getSessionMemoryStat", "", context=True)
def get_session_memory_stat(context: Context) -> Table:
    require_admin(context, "see the sessions of all users")
    rows = _session_rows(context.node)
    with context.node.lock:
        shared = sum(map(size_in_bytes, context.node.shared.values()))
    return listing(
        ("userId", Type.STRING, ["__SharedTable__", *(user for _, user, _ in rows)]),
        ("sessionId", Type.LONG, [None, *(session for session, _, _ in rows)]),
        ("memSize", Type.LONG, [shared, *(size for _, _, size in rows)]),
    )


@functions.builtin("closeSessions", "sessionId", context=True)
def close_sessions(context: Context, sessions: Value) -> Nothing:
    """Cancels what the sessions run and forgets their variables."""
    require_admin(context, "close sessions")
    if not isinstance(sessions, Vector | Scalar):
        raise CallError("sessionId must be a LONG scalar or vector.")
    ids = sessions.data.tolist() if isinstance(sessions, Vector) else [sessions.value or 0]
    with context.node.lock:
        for number in ids:
            session = context.node.sessions.get(number)
            if session is not None and session is not context.session:
                session.cancelled.set()
                session.variables.clear()
    return NOTHING


@functions.builtin("getConfig", "[key]", context=True)
def get_config(context: Context, key: Value = NOTHING) -> Value:
    node = served(context)
    settings = {
        "mode": "single",
        "localSite": f"{node.host}:{node.port}:{ALIAS}",
        "home": str(Path(node.data)),
        "maxMemSize": f"{node.memory_limit / 2**30:g}",
        "maxConnections": str(node.connection_limit),
    }
    if is_omitted(key):
        return Dictionary(
            Type.STRING, Type.STRING, {name: string(text) for name, text in settings.items()}, ordered=True
        )
    found = settings.get(text_argument(key, "key"))
    return Scalar(Type.STRING, found)


@functions.builtin("getWorkDir", "")
def get_work_dir() -> Scalar:
    """The folder the engine's process works in."""
    return string(str(Path.cwd()))


@functions.builtin("matchedRowCount", "", context=True)
def matched_row_count(context: Context) -> Scalar:
    """How many rows the last insert into, update or delete of the session met."""
    return integer(context.session.matched_rows)


@functions.builtin("writeLog", "X1, [X2...]", context=True)
def write_log(context: Context, *lines: Value) -> Nothing:
    """Lines for the engine's log."""
    if context.session.user == "guest":
        raise CallError("only a logged-in user may write to the log.")
    for line in lines:
        logger.info("%s: %s", context.session.user, text_argument(line, "X1"))
    return NOTHING


_LEVELS = {"DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARNING": logging.WARNING, "ERROR": logging.ERROR}


@functions.builtin("writeLogLevel", "level, X1, [X2...]", context=True)
def write_log_with_level(context: Context, level: Value, *lines: Value) -> Nothing:
    """Lines for the engine's log, if it takes those of the level."""
    require_admin(context, "write to the log with a level")
    wanted = _level(level, "level")
    if not lines:
        raise CallError("X1 is missing.")
    for line in lines:
        logger.log(wanted, "%s: %s", context.session.user, console_text(line))
    return NOTHING


@functions.builtin("setLogLevel", "logLevel", context=True)
def set_log_level(context: Context, level: Value) -> Nothing:
    """Until the server ends."""
    require_admin(context, "set the level of the log")
    logger.setLevel(_level(level, "logLevel"))
    return NOTHING


def _level(value: Value, name: str) -> int:
    if isinstance(value, Scalar) and value.type in INTEGRAL and value.value in range(len(_LEVELS)):
        return list(_LEVELS.values())[int(value.value)]
    return _LEVELS[choice_argument(value, name, tuple(_LEVELS))]
