"""Jobs at given times: daily, on days of the week or of the month."""

from __future__ import annotations

from datetime import date, timedelta
from typing import cast

from engine.arguments import choice_argument, function_argument, integer_argument, is_omitted, text_argument
from engine.context import Context
from engine.errors import CallError, ScriptError
from engine.functions.registry import Registry
from engine.functions.server.jobs import new_session_id, start_batch_job
from engine.functions.tables.tabular import listing
from engine.jobs import BatchJob
from engine.node import Node
from engine.operators.membership import like_pattern
from engine.schedule import Frequency, Schedule, ScheduledJob
from engine.session import Session
from engine.storage.access import require_user
from engine.stored_functions import function_document, stored_function
from engine.types import INTEGRAL, Type
from engine.values import NOTHING, Function, Nothing, Scalar, Table, Value, Vector, string

functions = Registry()

_SHORTEST_INTERVAL = 5
_MINUTES = 24 * 60


@functions.builtin(
    "scheduleJob",
    "jobId, jobDesc, jobFunc, scheduleTime, startDate, endDate, frequency, [days], [onComplete], [priority=4], "
    "[parallelism=2]",
    context=True,
)
def schedule_job(
    context: Context,
    job_id: Value,
    description: Value,
    job_function: Value,
    times: Value,
    start: Value,
    end: Value,
    frequency: Value,
    days: Value = NOTHING,
    on_complete: Value = NOTHING,
    priority: Value = NOTHING,
    parallelism: Value = NOTHING,
) -> Scalar:
    """Call a function without parameters at minutes of days, with the rights of who schedules it."""
    session = context.session
    require_user(session, "schedule jobs")
    schedule = _schedule(context)
    name = text_argument(job_id, "jobId")
    if not name or any(letter.isspace() for letter in name):
        raise CallError("jobId must be a string without spaces.")
    kind = cast(Frequency, choice_argument(frequency, "frequency", ("D", "W", "M")))
    function = function_document(function_argument(job_function, "jobFunc"), session.functions)
    callback = None
    if not is_omitted(on_complete):
        callback = function_document(function_argument(on_complete, "onComplete"), session.functions)
    first, last = _date(start, "startDate"), _date(end, "endDate")
    if last < first:
        raise CallError("endDate must not be before startDate.")
    job = ScheduledJob(
        schedule.free_id(name),
        text_argument(description, "jobDesc", ""),
        session.user,
        function,
        _minutes(times),
        first.isoformat(),
        last.isoformat(),
        kind,
        _days(days, kind),
        callback,
        _from_0_to_8(priority, "priority", 4),
        _from_0_to_8(parallelism, "parallelism", 2),
    )
    schedule.add(job)
    return string(job.id)


def _schedule(context: Context) -> Schedule:
    schedule = context.node.schedule
    if not isinstance(schedule, Schedule):
        raise ScriptError("This function needs a server process.")
    return schedule


def _from_0_to_8(value: Value, name: str, default: int) -> int:
    number = integer_argument(value, name, default)
    if not 0 <= number <= 8:
        raise CallError(f"{name} must be an integer from 0 to 8.")
    return number


def _date(value: Value, name: str) -> date:
    if not isinstance(value, Scalar) or value.type is not Type.DATE or value.value is None:
        raise CallError(f"{name} must be a DATE scalar.")
    return date(1970, 1, 1) + timedelta(days=int(value.value))


def _integers(value: Value) -> list[int]:
    if isinstance(value, Vector) and not value.nulls().any():
        return [int(each) for each in value.data.tolist()]
    return [int(value.value)] if isinstance(value, Scalar) and value.value is not None else []


def _minutes(value: Value) -> list[int]:
    minutes = _integers(value) if isinstance(value, Vector | Scalar) and value.type is Type.MINUTE else []
    if not minutes:
        raise CallError("scheduleTime must be a MINUTE scalar or vector, such as 17:30m.")
    ordered = sorted(minutes)
    intervals = [later - earlier for earlier, later in zip(ordered, [*ordered[1:], ordered[0] + _MINUTES], strict=True)]
    if min(intervals) < _SHORTEST_INTERVAL:
        raise CallError(f"scheduleTime must have at least {_SHORTEST_INTERVAL} minutes from one time to the next.")
    return minutes


def _days(value: Value, frequency: Frequency) -> list[int]:
    if frequency == "D":
        return []
    days = _integers(value) if isinstance(value, Vector | Scalar) and value.type in INTEGRAL else []
    low, high = (0, 6) if frequency == "W" else (1, 31)
    if not days or not all(low <= day <= high for day in days):
        what = "the week: 0 (Sunday) to 6" if frequency == "W" else "the month: 1 to 31"
        raise CallError(f"days must be days of {what}.")
    return days


@functions.builtin("getScheduledJobs", "[jobIdPattern]", context=True)
def get_scheduled_jobs(context: Context, pattern: Value = NOTHING) -> Table:
    """One row for each time of the day; all jobs for administrators, their own ones for others."""
    jobs = [job for job in _schedule(context).jobs() if _is_own(context, job)]
    if not is_omitted(pattern):
        fits = like_pattern(text_argument(pattern, "jobIdPattern"))
        jobs = [job for job in jobs if fits.fullmatch(job.id)]
    rows = [(job, minute) for job in jobs for minute in job.minutes]
    epoch = date(1970, 1, 1)
    return listing(
        ("userId", Type.STRING, [job.user for job, _ in rows]),
        ("jobId", Type.STRING, [job.id for job, _ in rows]),
        ("jobDesc", Type.STRING, [job.description for job, _ in rows]),
        ("startDate", Type.DATE, [(date.fromisoformat(job.start) - epoch).days for job, _ in rows]),
        ("endDate", Type.DATE, [(date.fromisoformat(job.end) - epoch).days for job, _ in rows]),
        ("frequency", Type.CHAR, [ord(job.frequency) for job, _ in rows]),
        ("scheduleTime", Type.MINUTE, [minute for _, minute in rows]),
        ("days", Type.STRING, [",".join(map(str, job.days)) for job, _ in rows]),
    )


@functions.builtin("deleteScheduledJob", "jobId", context=True)
def delete_scheduled_job(context: Context, job_id: Value) -> Nothing:
    """Run a scheduled job no more. Administrators may delete those of others."""
    schedule = _schedule(context)
    job = schedule.job(text_argument(job_id, "jobId"))
    if not _is_own(context, job):
        raise ScriptError("Only administrators can delete the scheduled jobs of other users.")
    schedule.delete(job.id)
    return NOTHING


def _is_own(context: Context, job: ScheduledJob) -> bool:
    user = context.session.user
    return job.user == user or bool(context.node.users.is_admin(user))


def run_scheduled_job(node: Node, registry: Registry, scheduled: ScheduledJob) -> str:
    """Start a scheduled job as a batch job of the user who made it; returns the batch job's id."""
    job = BatchJob(scheduled.id, scheduled.description, Session(new_session_id(), node, scheduled.user))
    job.priority, job.parallelism = scheduled.priority, scheduled.parallelism
    job.record = None if node.job_records is None else node.job_records.save
    views = node.functions
    callback = None if scheduled.on_complete is None else stored_function(scheduled.on_complete, registry, views)

    def function() -> Function:
        node.users.account(scheduled.user)
        return stored_function(scheduled.function, registry, views)

    return start_batch_job(job, registry, function, (), callback)
