"""What the server is doing, and the limits that can be changed while it runs."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil

from engine.arguments import float_argument, integer_argument, is_omitted, text_argument
from engine.context import Context
from engine.errors import CallError, ScriptError, UnsupportedError
from engine.functions.registry import Registry
from engine.functions.server.accounts import require_admin
from engine.functions.server.system import memory_in_use, served, set_log_level, set_mem_limit_of_query_result
from engine.functions.tables.tabular import listing, timestamp
from engine.jobs import ConsoleJob
from engine.types import Type
from engine.values import NOTHING, NULL, Dictionary, Nothing, Scalar, Table, Value, Vector, boolean, string, vector

functions = Registry()

_MOST_CONNECTIONS = 2**16


@functions.builtin("getConnections", "", context=True)
def get_connections(context: Context) -> Table:
    """The clients that are connected now."""
    node = served(context)
    with node.lock:
        clients = [session for session in node.sessions.values() if session.address]
    return listing(
        ("server", Type.STRING, [f"{node.host}:{node.port}"] * len(clients)),
        ("client", Type.STRING, [session.address for session in clients]),
        ("startTime", Type.TIMESTAMP, [timestamp(session.started) for session in clients]),
    )


def _others(context: Context) -> list[ConsoleJob]:
    """The requests that run beside this one: all for administrators, their own for others."""
    user, users = context.session.user, context.node.users
    return [
        job
        for job in context.node.jobs.console_jobs()
        if job.session is not context.session and (users.is_admin(user) or job.session.user == user)
    ]


@functions.builtin("getRunningQueries", "", context=True)
def get_running_queries(context: Context) -> Table:
    """The requests of other sessions that run now."""
    jobs = _others(context)
    return listing(
        ("userID", Type.STRING, [job.session.user for job in jobs]),
        ("sessionID", Type.LONG, [job.session.id for job in jobs]),
        ("jobID", Type.STRING, [job.id for job in jobs]),
        ("rootID", Type.STRING, [job.id for job in jobs]),
        ("level", Type.INT, [0] * len(jobs)),
        ("startTime", Type.NANOTIMESTAMP, [(timestamp(job.received) or 0) * 1_000_000 for job in jobs]),
        ("endTime", Type.NANOTIMESTAMP, [None] * len(jobs)),
        ("jobDesc", Type.STRING, [job.description for job in jobs]),
        ("errorMsg", Type.STRING, [""] * len(jobs)),
        ("remoteIP", Type.STRING, [job.address.rpartition(":")[0] for job in jobs]),
    )


@functions.builtin("getQueryStatus", "", context=True)
def get_query_status(context: Context) -> Table:
    """The requests of other sessions that run now, each as one task."""
    jobs, now = _others(context), time.time()
    return listing(
        ("id", Type.LONG, list(range(1, len(jobs) + 1))),
        ("sessionId", Type.LONG, [job.session.id for job in jobs]),
        ("userId", Type.STRING, [job.session.user for job in jobs]),
        ("query", Type.STRING, [job.description for job in jobs]),
        ("startTime", Type.TIMESTAMP, [timestamp(job.received) for job in jobs]),
        ("elapsedTimeInMs", Type.LONG, [int((now - job.received) * 1000) for job in jobs]),
        ("memoryUsage", Type.LONG, [job.memory for job in jobs]),
        ("totalTaskCount", Type.INT, [1] * len(jobs)),
        ("completedTaskCount", Type.INT, [0] * len(jobs)),
        ("percentComplete", Type.DOUBLE, [0.0] * len(jobs)),
    )


@functions.builtin("getCompletedQueries", "[top=10]", context=True)
def get_completed_queries(_context: Context, _top: Value = NOTHING) -> Table:
    """Refused: queries that have ended are not recorded."""
    raise ScriptError(
        "getCompletedQueries needs performance monitoring (perfMonitoring), which the embedded engine does not have. "
        "getRunningQueries() lists what runs now, getRecentJobs() the batch jobs that have ended."
    )


@functions.builtin("getTransactionStatus", "", context=True)
def get_transaction_status(context: Context) -> Table:
    """Always empty: a change of a table is complete when its statement ends, and is not there before."""
    require_admin(context, "see transactions")
    return listing(
        ("tid", Type.LONG, []),
        ("startTime", Type.TIMESTAMP, []),
        ("type", Type.STRING, []),
        ("status", Type.STRING, []),
        ("partitionCount", Type.INT, []),
        ("endTime", Type.TIMESTAMP, []),
        ("elapsedTime", Type.LONG, []),
    )


@functions.builtin("getLoadedPlugins", "")
def get_loaded_plugins() -> Table:
    """Always empty: plugins can't be loaded."""
    return listing(
        ("plugin", Type.STRING, []),
        ("version", Type.STRING, []),
        ("user", Type.STRING, []),
        ("time", Type.TIMESTAMP, []),
    )


@functions.builtin("getMemoryStat", "")
def get_memory_stat() -> Dictionary:
    """The bytes the process has taken from the system, and those of them that it does not use."""
    return memory_in_use()


@functions.builtin("getExecDir", "")
def get_exec_dir() -> Scalar:
    """The folder of the program that runs the engine, which is Python."""
    return string(str(Path(sys.executable).parent))


@functions.builtin("isClientAuth", "")
def is_client_auth() -> Scalar:
    """False: guests may run scripts, without rights on data."""
    return boolean(False)


@functions.builtin("getLicenseExpiration", "")
def get_license_expiration() -> Scalar:
    """Refused: there is no licence."""
    raise ScriptError("The embedded engine needs no licence, so there is none that expires.")


@functions.builtin("getSessionExpiredTime", "")
def get_session_expired_time() -> Value:
    """NULL: sessions last as long as their connection."""
    return NULL


@functions.builtin("setSessionExpiredTime", "expire", context=True)
def set_session_expired_time(context: Context, _expire: Value) -> Nothing:
    """Refused: sessions last as long as their connection."""
    require_admin(context, "set how long sessions last")
    raise UnsupportedError("Sessions that end after a time (strictSecurityPolicy)")


# --- limits


@functions.builtin("setMaxConnections", "newValue", context=True)
def set_max_connections(context: Context, limit: Value) -> Nothing:
    """More than before, until the server ends."""
    require_admin(context, "set the number of connections")
    node, wanted = served(context), integer_argument(limit, "newValue")
    if not node.connection_limit < wanted < _MOST_CONNECTIONS:
        raise CallError(f"newValue must be greater than {node.connection_limit} and less than {_MOST_CONNECTIONS}.")
    node.connection_limit = wanted
    return NOTHING


@functions.builtin("setMaxMemSize", "memSizeGB, [emergencyMemSizeGB]", context=True)
def set_max_mem_size(context: Context, size: Value, emergency: Value = NOTHING) -> Nothing:
    """In gigabytes, until the server ends."""
    require_admin(context, "set the limit of memory")
    if not is_omitted(emergency):
        raise UnsupportedError("Memory set aside for emergencies (emergencyMemSizeGB)")
    node, wanted = served(context), int(float_argument(size, "memSizeGB") * 2**30)
    most = psutil.virtual_memory().total
    if not 0 < wanted <= most:
        raise CallError(f"memSizeGB must be greater than 0 and at most {most / 2**30:.1f}, the memory of this machine.")
    node.memory_limit = wanted
    node.result_limit = min(node.result_limit, wanted)
    return NOTHING


_SETTERS = {
    "logLevel": set_log_level,
    "maxConnections": set_max_connections,
    "maxMemSize": set_max_mem_size,
    "memLimitOfQueryResult": set_mem_limit_of_query_result,
}


@functions.builtin("getDynamicConfig", "")
def get_dynamic_config() -> Vector:
    """The settings that setDynamicConfig changes."""
    return vector(Type.STRING, list(_SETTERS))


@functions.builtin("setDynamicConfig", "configName, configValue", context=True)
def set_dynamic_config(context: Context, name: Value, value: Value) -> Nothing:
    """Change a setting until the server ends."""
    wanted = text_argument(name, "configName")
    setter = next((each for key, each in _SETTERS.items() if key.lower() == wanted.lower()), None)
    if setter is None:
        raise CallError(f"configName must be one of {', '.join(_SETTERS)}; the embedded engine has no other settings.")
    setter(context, value)
    return NOTHING
