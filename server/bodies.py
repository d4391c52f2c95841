"""What clients send. Unknown fields are ignored, as the SDKs of different ages send different ones."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

import orjson
from fastapi import Path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from server.ids import uuid_or_none

StreamMode: TypeAlias = Literal[
    "values", "messages", "messages-tuple", "tasks", "checkpoints", "updates", "events", "debug", "custom"
]
MultitaskStrategy: TypeAlias = Literal["reject", "rollback", "interrupt", "enqueue"]
Durability: TypeAlias = Literal["sync", "async", "exit"]
ThreadStatus: TypeAlias = Literal["idle", "busy", "interrupted", "error"]
RunStatus: TypeAlias = Literal["pending", "running", "error", "success", "timeout", "interrupted"]
SortOrder: TypeAlias = Literal["asc", "desc"]
JsonObject: TypeAlias = dict[str, Any]


def _uuid_text(value: object) -> object:
    if isinstance(value, str) and (found := uuid_or_none(value)) is not None:
        return found
    raise ValueError("must be a UUID")


def _unwrapped(value: object) -> object:
    """A checkpoint that came as a config, as some clients send it."""
    if isinstance(value, dict) and isinstance(value.get("configurable"), dict):
        return value["configurable"]
    return value


def _minutes(value: object) -> object:
    return {"ttl": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


def listed(values: object) -> object:
    """A list in a query: its items one by one, or all of them as the JSON that the JavaScript client sends."""
    if not isinstance(values, list):
        return values
    found: list[object] = []
    for value in values:
        try:
            whole = orjson.loads(value) if isinstance(value, str) and value.startswith("[") else value
        except orjson.JSONDecodeError:
            whole = value
        found.extend(whole if isinstance(whole, list) else [whole])
    return found


UuidText = Annotated[str, BeforeValidator(_uuid_text), Field(json_schema_extra={"format": "uuid"})]
Listed = BeforeValidator(listed)
UuidPath = Annotated[str, Path(json_schema_extra={"format": "uuid"})]
Limit = Annotated[int, Field(ge=1, le=1000)]
Offset = Annotated[int, Field(ge=0, le=2**62)]
Names: TypeAlias = Literal["*"] | list[str]
AssistantField: TypeAlias = Literal[
    "assistant_id", "graph_id", "name", "description", "config", "context", "created_at", "updated_at", "metadata",
    "version",
]  # fmt: skip
ThreadField: TypeAlias = Literal[
    "thread_id", "created_at", "updated_at", "state_updated_at", "metadata", "config", "context", "status", "values",
    "interrupts", "error", "title", "ttl",
]  # fmt: skip
RunField: TypeAlias = Literal[
    "run_id", "thread_id", "assistant_id", "created_at", "updated_at", "status", "metadata", "kwargs",
    "multitask_strategy", "cancel_reason",
]  # fmt: skip
CronField: TypeAlias = Literal[
    "cron_id", "assistant_id", "thread_id", "end_time", "schedule", "timezone", "created_at", "updated_at", "user_id",
    "payload", "next_run_date", "metadata", "now", "on_run_completed", "enabled",
]  # fmt: skip


class Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Page(Body):
    """Which part of what was found."""

    limit: Limit = 10
    offset: Offset = 0


class AssistantCreate(Body):
    graph_id: str
    assistant_id: UuidText | None = None
    config: JsonObject = Field(default_factory=dict)
    context: JsonObject = Field(default_factory=dict)
    metadata: JsonObject = Field(default_factory=dict)
    if_exists: Literal["raise", "do_nothing"] = "raise"
    name: str | None = None
    description: str | None = None


class AssistantPatch(Body):
    graph_id: str | None = None
    config: JsonObject | None = None
    context: JsonObject | None = None
    metadata: JsonObject | None = None
    name: str | None = None
    description: str | None = None


class AssistantVersion(Body):
    version: int = Field(ge=1, le=2**31 - 1)


class AssistantCount(Body):
    metadata: JsonObject | None = None
    graph_id: str | None = None
    name: str | None = None


class AssistantSearch(AssistantCount, Page):
    sort_by: Literal["assistant_id", "created_at", "updated_at", "name", "graph_id"] | None = None
    sort_order: SortOrder | None = None
    select: list[AssistantField] | None = None


class AssistantVersions(Page):
    metadata: JsonObject | None = None


class TimeToLive(Body):
    """`ttl` in minutes."""

    strategy: Literal["delete", "keep_latest"] = "delete"
    ttl: float = Field(gt=0, le=5_256_000)


Expiry = Annotated[TimeToLive, BeforeValidator(_minutes)]


class Send(Body):
    node: str
    input: Any = None


class RunCommand(Body):
    """What is null is not given."""

    update: Any = None
    resume: Any = None
    goto: Send | str | list[Send | str] | None = None

    @property
    def has_resume(self) -> bool:
        return self.resume is not None

    def given(self) -> JsonObject | None:
        """What is stored of it; None for a command to do nothing."""
        return self.model_dump(exclude_none=True) or None


class SuperstepUpdate(Body):
    values: Any = None
    command: RunCommand | None = None
    as_node: str


class Superstep(Body):
    updates: list[SuperstepUpdate]


class ThreadCreate(Body):
    thread_id: UuidText | None = None
    metadata: JsonObject = Field(default_factory=dict)
    if_exists: Literal["raise", "do_nothing"] = "raise"
    ttl: Expiry | None = None
    supersteps: list[Superstep] | None = None


class ThreadPatch(Body):
    metadata: JsonObject | None = None
    ttl: Expiry | None = None


class ThreadCount(Body):
    metadata: JsonObject | None = None
    values: JsonObject | None = None
    status: ThreadStatus | None = None


class ThreadSearch(ThreadCount, Page):
    ids: list[UuidText] | None = None
    sort_by: Literal["thread_id", "status", "created_at", "updated_at", "state_updated_at"] | None = None
    sort_order: SortOrder | None = None
    select: list[ThreadField] | None = None
    extract: dict[str, str] | None = Field(default=None, max_length=10)


class ThreadPrune(Body):
    thread_ids: list[UuidText] = Field(max_length=1000)
    strategy: Literal["delete", "keep_latest"] = "delete"


class Checkpoint(Body):
    thread_id: str | None = None
    checkpoint_ns: str | None = None
    checkpoint_id: UuidText | None = None
    checkpoint_map: JsonObject | None = None


CheckpointPlace = Annotated[Checkpoint, BeforeValidator(_unwrapped)]


class StateUpdate(Body):
    values: JsonObject | list[Any] | None = None
    checkpoint: CheckpointPlace | None = None
    checkpoint_id: UuidText | None = None
    as_node: str | None = None


class StateAtCheckpoint(Body):
    checkpoint: CheckpointPlace
    subgraphs: bool = False
    select: list[str] | None = None


class HistorySearch(Body):
    limit: Limit = 10
    before: CheckpointPlace | UuidText | None = None
    metadata: JsonObject | None = None
    checkpoint: CheckpointPlace | None = None
    select: list[str] | None = None


class RunOptions(Body):
    """How a run is made, now or on a schedule."""

    input: Any = None
    metadata: JsonObject | None = None
    config: JsonObject | None = None
    context: JsonObject | None = None
    webhook: str | None = Field(default=None, max_length=65_536)
    interrupt_before: Names | None = None
    interrupt_after: Names | None = None
    durability: Durability | None = None


class RunCreate(RunOptions):
    assistant_id: str
    command: RunCommand | None = None
    checkpoint: CheckpointPlace | None = None
    checkpoint_id: UuidText | None = None
    stream_mode: list[StreamMode] | StreamMode = "values"
    stream_subgraphs: bool = False
    stream_resumable: bool = False
    feedback_keys: list[str] | None = None
    multitask_strategy: MultitaskStrategy = "enqueue"
    if_not_exists: Literal["create", "reject"] = "reject"
    on_disconnect: Literal["cancel", "continue"] = "continue"
    on_completion: Literal["delete", "keep"] = "delete"
    after_seconds: float | None = Field(default=None, ge=0, le=31_536_000, allow_inf_nan=False)
    checkpoint_during: bool | None = None
    strict_resume: bool = False

    @property
    def stream_modes(self) -> list[StreamMode]:
        return self.stream_mode if isinstance(self.stream_mode, list) else [self.stream_mode]


class RunsCancel(Body):
    status: Literal["pending", "running", "all"] | None = None
    thread_id: UuidText | None = None
    run_ids: list[UuidText] | None = Field(default=None, max_length=1000)


class CronCreate(RunCreate):
    schedule: str
    timezone: str | None = None
    end_time: datetime | None = None
    on_run_completed: Literal["delete", "keep"] = "delete"
    enabled: bool = True


class CronPatch(RunOptions):
    schedule: str | None = None
    timezone: str | None = None
    end_time: datetime | None = None
    on_run_completed: Literal["delete", "keep"] | None = None
    enabled: bool | None = None
    stream_mode: list[StreamMode] | StreamMode | None = None
    stream_subgraphs: bool | None = None


class CronCount(Body):
    assistant_id: UuidText | None = None
    thread_id: UuidText | None = None
    enabled: bool | None = None
    metadata: JsonObject | None = None


class CronSearch(CronCount, Page):
    sort_by: (
        Literal["cron_id", "assistant_id", "thread_id", "next_run_date", "end_time", "created_at", "updated_at"] | None
    ) = None
    sort_order: SortOrder | None = None
    select: list[CronField] | None = None


class StorePut(Body):
    """`ttl` in minutes."""

    namespace: list[str]
    key: str
    value: JsonObject
    index: Literal[False] | list[str] | None = None
    ttl: float | None = Field(default=None, ge=1, le=5_256_000)


class StoreDelete(Body):
    namespace: list[str] = Field(default_factory=list)
    key: str


class StoreSearch(Page):
    namespace_prefix: list[str] | None = None
    filter: JsonObject | None = None
    query: str | None = Field(default=None, max_length=10_000)
    refresh_ttl: bool | None = None


class StoreNamespaces(Page):
    prefix: list[str] | None = None
    suffix: list[str] | None = None
    max_depth: int | None = Field(default=None, ge=1, le=100)
    limit: Limit = 100


class FeedbackCreate(Body):
    """About a run, a message, or both; given again it replaces what was said before. With `remember`, the user agrees
    that the question and the script of the liked answer are kept as an example."""

    thread_id: UuidText
    run_id: UuidText | None = None
    message_id: str | None = Field(default=None, max_length=200)
    score: Literal["like", "dislike"]
    comment: str = Field(default="", max_length=10_000)
    remember: bool = False


class ScriptCheck(Body):
    script: str = Field(max_length=200_000)


class TitlePatch(Body):
    title: str = Field(max_length=200)


class ApiKeyCreate(Body):
    label: str = Field(default="", max_length=200)


class TokenRefresh(Body):
    refresh_token: str = Field(max_length=500)
