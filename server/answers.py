"""What the thread API answers, for its OpenAPI document. Where a request selects fields, the others are left out."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias

from typing_extensions import TypedDict

from server.bodies import RunStatus, ThreadStatus

Json: TypeAlias = dict[str, Any]


class Problem(TypedDict):
    """What is wrong, in a sentence."""

    detail: str


class Assistant(TypedDict, total=False):
    assistant_id: str
    graph_id: str
    config: Json
    context: Json
    metadata: Json
    name: str
    description: str | None
    version: int
    created_at: datetime
    updated_at: datetime


class Schemas(TypedDict, total=False):
    """JSON schemas of a graph; null where there is none."""

    graph_id: str
    input_schema: Json | None
    output_schema: Json | None
    state_schema: Json | None
    config_schema: Json | None
    context_schema: Json | None


class Expiry(TypedDict):
    strategy: Literal["delete", "keep_latest"]
    ttl_minutes: float
    expires_at: datetime


class Thread(TypedDict, total=False):
    thread_id: str
    created_at: datetime
    updated_at: datetime
    state_updated_at: datetime
    metadata: Json
    config: Json
    status: ThreadStatus
    values: Any
    interrupts: dict[str, list[Json]]
    error: Json | None
    title: str
    ttl: Expiry | None
    extracted: Json


class Place(TypedDict, total=False):
    """A checkpoint."""

    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str
    checkpoint_map: Json


class ThreadState(TypedDict, total=False):
    values: Any
    next: list[str]
    tasks: list[Json]
    metadata: Json | None
    created_at: datetime | None
    checkpoint: Place | None
    parent_checkpoint: Place | None
    interrupts: list[Json]
    checkpoint_id: str | None
    parent_checkpoint_id: str | None


class StateUpdated(TypedDict):
    checkpoint: Place
    configurable: Place
    checkpoint_id: str | None


class Pruned(TypedDict):
    pruned_count: int


class Run(TypedDict, total=False):
    run_id: str
    thread_id: str
    assistant_id: str
    metadata: Json
    status: RunStatus
    kwargs: Json
    multitask_strategy: str
    created_at: datetime
    updated_at: datetime


class Cron(TypedDict, total=False):
    cron_id: str
    assistant_id: str
    thread_id: str | None
    user_id: str
    schedule: str
    timezone: str | None
    end_time: datetime | None
    payload: Json
    metadata: Json
    next_run_date: datetime | None
    on_run_completed: Literal["delete", "keep"] | None
    enabled: bool
    created_at: datetime
    updated_at: datetime


class Item(TypedDict):
    namespace: list[str]
    key: str
    value: Json
    created_at: datetime
    updated_at: datetime


class FoundItem(Item):
    score: float | None


class FoundItems(TypedDict):
    items: list[FoundItem]


class FoundNamespaces(TypedDict):
    namespaces: list[list[str]]


class Tokens(TypedDict):
    access_token: str
    token_type: Literal["bearer"]
    expires_in: int
    refresh_token: str


class ApiKey(TypedDict, total=False):
    """`key` is shown once, when it is made."""

    key_id: str
    label: str
    created_at: datetime
    last_used_at: datetime | None
    key: str


class User(TypedDict):
    identity: str
    role: Literal["user", "admin"]
    permissions: list[str]


EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Server-sent events", "content": {"text/event-stream": {}}}
}
LINES: dict[int | str, dict[str, Any]] = {
    200: {"description": "Lines of JSON", "content": {"application/x-ndjson": {}}}
}
TEXT: dict[int | str, dict[str, Any]] = {200: {"description": "Text", "content": {"text/plain": {}}}}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "What is wrong", "model": Problem},
    503: {"description": "The database cannot be reached", "model": Problem},
}
