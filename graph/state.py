"""What a thread remembers, and what a run is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from langchain_core.messages import AnyMessage
from langgraph.channels.delta import DeltaChannel
from langgraph.graph.message import _messages_delta_reducer
from typing_extensions import TypedDict

Mode: TypeAlias = Literal["plan", "act"]

# A snapshot stores the whole conversation again, so rare ones keep a thread's growth linear: at 1000 the first comes
# after about 200 turns. Replaying so many writes takes some 15 ms longer than reading a snapshot of the same messages.
SNAPSHOT_FREQUENCY = 1000


class PlanStep(TypedDict):
    title: str
    detail: str


class Plan(TypedDict):
    text: str
    steps: list[PlanStep]
    status: Literal["proposed", "approved", "rejected"]


class Pin(TypedDict):
    """Context the user put on the thread: a table or a file, by the text to show to the model."""

    kind: Literal["table", "file"]
    name: str
    text: str


class Decision(TypedDict, total=False):
    """What the human said about one tool call."""

    type: Literal["approve", "edit", "reject", "respond"]
    message: str
    args: dict[str, Any]
    rerun: bool


class Summary(TypedDict):
    """What is left of the conversation up to and including the message `until`."""

    text: str
    until: str


class Notices(TypedDict):
    """What there was to say about environments: `texts` in the task `task`, `told` the keys of all ever said."""

    task: str
    texts: list[str]
    told: list[str]


class Task(TypedDict):
    """Counters of the task in hand: everything since one human message."""

    id: str
    steps: int
    failures: int
    input_tokens: int
    output_tokens: int


class ScriptRun(TypedDict):
    script: str
    ok: bool


class QuestionChange(TypedDict):
    """A part of the question, and what it was made to say."""

    kind: Literal["time", "term", "value"]
    original: str
    replacement: str


class Understood(TypedDict):
    """How a question was read before acting. `text` is the question with its `changes`, `examples` are the ids of the
    remembered examples shown to the model, `notes` say what was assumed."""

    text: str
    changes: list[QuestionChange]
    examples: list[str]
    notes: list[str]


class Answer(TypedDict):
    """The end of a task. `status` says whether it was done; `text` is for the user either way. `understood` is None
    when the question was taken as it stood."""

    status: Literal["completed", "failed", "stopped"]
    text: str
    script: str
    scripts: list[ScriptRun]
    artifacts: list[str]
    citations: list[str]
    understood: Understood | None
    input_tokens: int
    output_tokens: int


class Input(TypedDict, total=False):
    """What a run may be started with; what is left out stays as it is. `environment` is an environment's id or name, or
    "default"."""

    messages: list[AnyMessage]
    mode: Mode
    pins: list[Pin]
    environment: str


class State(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], DeltaChannel(_messages_delta_reducer, snapshot_frequency=SNAPSHOT_FREQUENCY)]
    mode: Mode
    plan: Plan | None
    environment: str
    notices: Notices
    pins: list[Pin]
    summary: Summary | None
    task: Task
    decisions: dict[str, Decision]
    answer: Answer | None


def changes(state: State, update: Mapping[str, object]) -> dict[str, object]:
    """`update` without what the state has already: every value written is a row of the checkpoint."""
    held: Mapping[str, object] = state
    return {key: value for key, value in update.items() if key == "messages" or held.get(key) != value}


class Output(TypedDict, total=False):
    messages: list[AnyMessage]
    mode: Mode
    environment: str
    plan: Plan | None
    answer: Answer | None


@dataclass(frozen=True)
class RunContext:
    """Settings of one run. None means: as the settings say.

    `interactive` tells whether a human can be asked when the agent is stuck; approvals are always asked. With `rewrite`
    False the question is taken as it stands, and so are its words in `as_written`; `time_zone` is an IANA name.
    """

    owner: str = "local"
    allowed_effects: tuple[str, ...] | None = None
    interactive: bool = True
    max_steps: int | None = None
    rewrite: bool | None = None
    as_written: tuple[str, ...] = ()
    time_zone: str | None = None
