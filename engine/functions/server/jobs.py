"""Jobs: what runs now, and batch jobs."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence

from engine.arguments import (
    boolean_argument,
    function_argument,
    integer_argument,
    is_omitted,
    positive_argument,
    text_argument,
)
from engine.context import Context
from engine.errors import CallError, ScriptError
from engine.functions.registry import Registry
from engine.functions.tables.tabular import listing, timestamp
from engine.jobs import BatchJob, ConsoleJob, Jobs
from engine.server_node import ALIAS
from engine.session import Session
from engine.types import LITERAL, Type
from engine.values import (
    NOTHING,
    AnyVector,
    Dictionary,
    Function,
    Nothing,
    Scalar,
    Table,
    Value,
    Vector,
    boolean,
    integer,
    string,
)

functions = Registry()


def _texts(value: Value, name: str) -> list[str]:
    if isinstance(value, Vector) and value.type in LITERAL:
        return [str(text) for text in value.strings().tolist()]
    if isinstance(value, AnyVector):
        return [text for item in value.items for text in _texts(item, name)]
    return [text_argument(value, name)]


def running_job(context: Context) -> ConsoleJob | None:
    """The request this session is working on."""
    jobs: Jobs = context.node.jobs
    return next((job for job in jobs.console_jobs() if job.session is context.session), None)


@functions.builtin("getConsoleJobs", "", context=True)
def get_console_jobs(context: Context) -> Table:
    jobs = context.node.jobs.console_jobs()
    if not context.node.users.is_admin(context.session.user):
        jobs = [job for job in jobs if job.session.user == context.session.user]
    addresses = [job.address.rpartition(":") for job in jobs]
    return listing(
        ("node", Type.STRING, [ALIAS] * len(jobs)),
        ("userID", Type.STRING, [job.session.user for job in jobs]),
        ("rootJobId", Type.STRING, [job.id for job in jobs]),
        ("jobType", Type.STRING, [job.kind for job in jobs]),
        ("desc", Type.STRING, [job.description for job in jobs]),
        ("priority", Type.INT, [job.priority for job in jobs]),
        ("parallelism", Type.INT, [job.parallelism for job in jobs]),
        ("receiveTime", Type.TIMESTAMP, [timestamp(job.received) for job in jobs]),
        ("sessionId", Type.LONG, [job.session.id for job in jobs]),
        ("remoteIP", Type.STRING, [address for address, _, _ in addresses]),
        ("remotePort", Type.INT, [int(port) if port else None for _, _, port in addresses]),
        ("totalTasks", Type.INT, [1] * len(jobs)),
        ("finishedTasks", Type.INT, [0] * len(jobs)),
        ("runningTask", Type.INT, [1] * len(jobs)),
    )


@functions.builtin("cancelConsoleJob", "rootJobId", context=True)
def cancel_console_job(context: Context, ids: Value) -> Nothing:
    session = context.session
    jobs: Jobs = context.node.jobs
    jobs.cancel_console(_texts(ids, "rootJobId"), session.user, context.node.users.is_admin(session.user))
    return NOTHING


@functions.builtin("submitJob", "jobId, jobDesc, jobDef, [args...]", context=True)
def submit_job(context: Context, job_id: Value, description: Value, definition: Value, *arguments: Value) -> Scalar:
    """Runs the function in a session of its own, which knows the functions of this one."""
    return _submitted(context, job_id, description, definition, arguments)


@functions.builtin("submitJobEx", "jobId, jobDesc, priority, parallelism, jobDef, [args...]", context=True)
def submit_job_with_priority(
    context: Context,
    job_id: Value,
    description: Value,
    priority: Value,
    parallelism: Value,
    definition: Value,
    *arguments: Value,
) -> Scalar:
    """A job with a priority and a number of workers, which are shown but change nothing here."""
    return _submitted(context, job_id, description, definition, arguments, _rank(priority, parallelism))


@functions.builtin("submitJobEx2", "jobId, jobDesc, priority, parallelism, onComplete, jobDef, [args...]", context=True)
def submit_job_with_callback(
    context: Context,
    job_id: Value,
    description: Value,
    priority: Value,
    parallelism: Value,
    on_complete: Value,
    definition: Value,
    *arguments: Value,
) -> Scalar:
    """Calls `onComplete(jobId, jobDesc, success, result)` when the job has ended, well or not."""
    callback = function_argument(on_complete, "onComplete")
    rank = _rank(priority, parallelism)
    return _submitted(context, job_id, description, definition, arguments, rank, callback)


def _rank(priority: Value, parallelism: Value) -> tuple[int, int]:
    wanted = integer_argument(priority, "priority"), positive_argument(parallelism, "parallelism")
    if not 0 <= wanted[0] <= 9:
        raise CallError("priority must be an integer from 0 to 9.")
    return wanted


def _submitted(
    context: Context,
    job_id: Value,
    description: Value,
    definition: Value,
    arguments: Sequence[Value],
    rank: tuple[int, int] | None = None,
    on_complete: Function | None = None,
) -> Scalar:
    if isinstance(definition, Scalar):
        raise CallError("jobDef must be a function, not its name.")
    function = function_argument(definition, "jobDef")
    name = text_argument(job_id, "jobId")
    if not name or any(letter.isspace() for letter in name):
        raise CallError("jobId must be a string without spaces.")
    owner = context.session
    session = Session(new_session_id(), owner.node, owner.user)
    session.functions.update(owner.functions)
    job = BatchJob(name, text_argument(description, "jobDesc", ""), session)
    if rank is not None:
        job.priority, job.parallelism = rank
    running = running_job(context)
    job.address = running.address if running is not None else ""
    return string(start_batch_job(job, context.registry, lambda: function, arguments, on_complete))


def new_session_id() -> int:
    """An id that sessions of clients, which count up from 1, do not have."""
    return secrets.randbelow(2**31 - 2**20) + 2**20


def start_batch_job(
    job: BatchJob,
    registry: Registry,
    function: Callable[[], Function],
    arguments: Sequence[Value] = (),
    on_complete: Function | None = None,
) -> str:
    """Call what `function` gives in the background, in the job's session; returns the job's id.

    `on_complete` is called afterwards with the id, the description, whether it succeeded, and the result or the
    message of the error.
    """
    from engine.interpreter import Interpreter

    session = job.session
    session.output = lambda text: job.output.append(f"{_clock()} {text}")

    def work() -> Value:
        job.output.append(f"{_clock()} Start the job [{job.id}]: {job.description}")
        interpreter = Interpreter(session, registry)
        try:
            result = interpreter.call(function(), list(arguments))
        except ScriptError as error:
            completed(interpreter, False, string(str(error)))
            raise
        job.output.append(f"{_clock()} The job is done.")
        completed(interpreter, True, result)
        return result

    def completed(interpreter: Context, success: bool, result: Value) -> None:
        if on_complete is None:
            return
        try:
            interpreter.call(on_complete, [string(job.id), string(job.description), boolean(success), result])
        except ScriptError as error:
            job.output.append(f"{_clock()} onComplete failed: {error}")

    jobs: Jobs = session.node.jobs
    return jobs.submit(job, work)


def _clock() -> str:
    now = time.time()
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now)) + f".{int(now % 1 * 1e6):06d}"


def _job_table(jobs: list[BatchJob]) -> Table:
    addresses = [job.address.rpartition(":") for job in jobs]
    return listing(
        ("node", Type.STRING, [ALIAS] * len(jobs)),
        ("userID", Type.STRING, [job.session.user for job in jobs]),
        ("jobId", Type.STRING, [job.id for job in jobs]),
        ("rootJobId", Type.STRING, [job.root_id for job in jobs]),
        ("jobDesc", Type.STRING, [job.description for job in jobs]),
        ("priority", Type.INT, [job.priority for job in jobs]),
        ("parallelism", Type.INT, [job.parallelism for job in jobs]),
        ("clientIp", Type.STRING, [address for address, _, _ in addresses]),
        ("clientPort", Type.INT, [int(port) if port else None for _, _, port in addresses]),
        ("receivedTime", Type.TIMESTAMP, [timestamp(job.received) for job in jobs]),
        ("startTime", Type.TIMESTAMP, [timestamp(job.started) for job in jobs]),
        ("endTime", Type.TIMESTAMP, [timestamp(job.ended) for job in jobs]),
        ("errorMsg", Type.STRING, [job.error for job in jobs]),
    )


@functions.builtin("getJobStat", "", context=True)
def get_job_stat(context: Context) -> Dictionary:
    """How many jobs run and wait. Jobs are not broken down into tasks here, so each counts as one."""
    jobs: Jobs = context.node.jobs
    states = [job.state for job in jobs.batch_jobs()]
    running, waiting = states.count("running") + len(jobs.console_jobs()), states.count("waiting")
    counts = {
        "queuedLocalTasks": waiting,
        "runningLocalTasks": running,
        "queuedJobs": waiting,
        "runningJobs": running,
        "queuedRemoteTasks": 0,
    }
    return Dictionary(Type.STRING, Type.INT, {name: integer(count) for name, count in counts.items()}, ordered=True)


@functions.builtin("getRecentJobs", "[n]", context=True)
def get_recent_jobs(context: Context, count: Value = NOTHING) -> Table:
    jobs = context.node.jobs.batch_jobs()
    if not context.node.users.is_admin(context.session.user):
        jobs = [job for job in jobs if job.session.user == context.session.user]
    wanted = len(jobs) if is_omitted(count) else integer_argument(count, "n")
    if wanted < 0:
        raise CallError("n must be a positive integer.")
    return _job_table(jobs[len(jobs) - min(wanted, len(jobs)) :])


def _own_job(context: Context, job_id: Value) -> BatchJob:
    """A job of the user; of anybody for an administrator."""
    job: BatchJob = context.node.jobs.batch_job(text_argument(job_id, "jobId"))
    user = context.session.user
    if job.session.user != user and not context.node.users.is_admin(user):
        raise ScriptError(f"The job [{job.id}] belongs to another user; only administrators can see it.")
    return job


@functions.builtin("getJobStatus", "jobId", context=True)
def get_job_status(context: Context, job_id: Value) -> Table:
    return _job_table([_own_job(context, job_id)])


@functions.builtin("getJobReturn", "jobId, [blocking=false]", context=True)
def get_job_return(context: Context, job_id: Value, blocking: Value = NOTHING) -> Value:
    job = _own_job(context, job_id)
    while not job.done.wait(0.05):
        if not boolean_argument(blocking, "blocking", False):
            raise ScriptError(f"The job [{job.id}] is not complete yet.")
        context.check()
    if job.error is not None:
        raise ScriptError(job.error)
    return job.result


@functions.builtin("getJobMessage", "jobId", context=True)
def get_job_message(context: Context, job_id: Value) -> Scalar:
    job = _own_job(context, job_id)
    text = "\n".join(job.output)
    return Scalar(Type.BLOB, text.encode()) if len(text) > 65535 else string(text)


@functions.builtin("cancelJob", "jobId", context=True)
def cancel_job(context: Context, job_ids: Value) -> Nothing:
    """Ids that are not known are reported as output, not as an error."""
    session = context.session
    known = {job.id for job in context.node.jobs.batch_jobs()}
    for job_id in _texts(job_ids, "jobId"):
        if job_id in known:
            context.node.jobs.cancel_batch(job_id, session.user, context.node.users.is_admin(session.user))
        else:
            context.output(f"Can't find the job {job_id}.")
    return NOTHING
