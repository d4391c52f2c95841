"""The current task as the messages tell it: the question, what was tried, what people answered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from core.offline.intents import literal_script, recognise
from core.offline.language import Language, detect

Mode = Literal["plan", "act"]

_MODE = re.compile(r"^\s*\W{0,4}MODE:\s*(plan|act)\b", re.IGNORECASE | re.ASCII | re.MULTILINE)
_PINNED = re.compile(r"^## Pinned context\s*$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_EXPLICIT = re.compile(r"\n\n\(Made explicit: (.*?)\)(?:\n\(Note: .*\))*\Z", re.DOTALL)
_GOAL = re.compile(r"^\W*(?:Goal|目标)[:：]\s*(.+)$", re.MULTILINE)
_APPROVAL = re.compile(
    r"\bapproved?\b|\bapproves\b|\bcarry (?:it |this |the plan )?out\b|\bgo ahead\b|\bproceed\b|^\s*(?:yes|ok"
    r"|okay|lgtm|sure)\b"
    r"|批准|同意|可以执行|执行(?:该|此|这个|上述)?计划|按计划|^\s*(?:好的?|可以|没问题|行)(?:[，。！\s]|$)",
    re.IGNORECASE | re.ASCII,
)
_REFUSAL = re.compile(
    r"\breject(?:ed|s)?\b|\bdeclin(?:ed|es)\b|\bdenied\b|\bdisapproved\b|\bnot (?:be )?approved?\b|\brefused\b"
    r"|拒绝|不批准|未批准|不同意|驳回",
    re.IGNORECASE | re.ASCII,
)
_REFUSED_CALL = re.compile(
    r"\b(?:user|human|reviewer)\b.{0,40}\b(?:reject|declin|den(?:y|ied)|refus)|^\W*rejected\b|\bnot approved\b"
    r"|被拒绝|拒绝了|未批准",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)
_ADVICE = re.compile(r"\s*(?:Do not run it again unchanged|Make another one)\.\s*$")
_SAID = re.compile(r"^\s*The user says:\s*")
_REMARK = re.compile(
    r"\b(?:instead|rather|but|only|also|without|change|use|make it|not)\b|^no\b|改|不要|换|只|不是|另外|还要|用",
    re.IGNORECASE | re.ASCII,
)


@dataclass
class Step:
    """A tool call of this task. `result` is None while there is none."""

    name: str
    args: dict[str, Any]
    result: str | None = None
    failed: bool = False

    @property
    def refusal(self) -> str | None:
        """The reason for which a human did not let the call run, or None; it may be empty."""
        text = (self.result or "").strip()
        if text.startswith("ERROR") or not _REFUSED_CALL.search(text[:200]):
            return None
        reason = re.split(r"\b[Rr]easons?\b\W*|原因\W*|[:：]", text, maxsplit=1)
        return _ADVICE.sub("", reason[1]).strip() if len(reason) > 1 else ""


@dataclass
class Task:
    """A question and everything since. `answers` maps questions that were asked to what was answered."""

    question: str
    steps: list[Step] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    approved_plan: str | None = None

    @property
    def language(self) -> Language:
        return detect(self.question)

    @property
    def approved_script(self) -> str | None:
        """The one script an approved plan shows, to be run as it was approved."""
        return literal_script(self.approved_plan) if self.approved_plan else None

    @property
    def scripts(self) -> list[str]:
        return [str(step.args.get("script", "")) for step in self.steps if step.name == "run_dolphindb_script"]


@dataclass
class Conversation:
    """All tasks, the last one being the current one."""

    mode: Mode
    pinned: str
    tasks: list[Task]

    @property
    def task(self) -> Task:
        return self.tasks[-1]

    @property
    def earlier(self) -> Sequence[Task]:
        return self.tasks[:-1]


def read_conversation(messages: Iterable[BaseMessage]) -> Conversation:
    """Sort the messages into tasks. A conversation without a human message has one task with an empty question."""
    system: list[str] = []
    tasks: list[Task] = []
    calls: dict[str, Step] = {}
    for message in messages:
        if isinstance(message, SystemMessage):
            system.append(message.text)
        elif isinstance(message, HumanMessage):
            _add_human(tasks, explicit(message.text))
        elif isinstance(message, AIMessage) and tasks:
            for call in message.tool_calls:
                step = Step(call["name"], call["args"])
                tasks[-1].steps.append(step)
                calls[call["id"] or ""] = step
        elif isinstance(message, ToolMessage) and message.tool_call_id in calls:
            step = calls[message.tool_call_id]
            step.result = message.text
            step.failed = message.status == "error"
            _note_answer(tasks[-1], step)
    text = "\n".join(system)
    mode = _MODE.search(text)
    pinned = _PINNED.search(text)
    return Conversation(
        "plan" if mode and mode[1].lower() == "plan" else "act", pinned[1] if pinned else "", tasks or [Task("")]
    )


def explicit(text: str) -> str:
    """The question as the program made it explicit, when it did."""
    found = _EXPLICIT.search(text)
    return found[1] if found else text


def _add_human(tasks: list[Task], text: str) -> None:
    """A message is a new question, or it answers, approves or corrects what the task before it waits for."""
    last = tasks[-1].steps[-1] if tasks and tasks[-1].steps else None
    if last is not None and last.name in ("plan_mode_response", "ask_for_human_feedback"):
        task = tasks[-1]
        asked = str(last.args.get("question") or "")
        if asked and asked not in task.answers:
            task.answers[asked] = text
            return
        if last.name == "plan_mode_response" and _is_approval(text):
            task.approved_plan = text
            return
        refused = _REFUSAL.search(text[:200]) is not None
        if last.name == "plan_mode_response" and (
            refused or (_REMARK.search(text) and recognise(text) == "query" and len(text) < 120)
        ):
            task.remarks.append(text)
            return
    goal = _GOAL.search(text)
    if goal is not None and _is_approval(text):
        tasks.append(Task(goal[1].strip(), approved_plan=text))
        return
    tasks.append(Task(text))


def _note_answer(task: Task, step: Step) -> None:
    text = _SAID.sub("", step.result or "").strip()
    asked = str(step.args.get("question") or "")
    if step.name == "ask_for_human_feedback" or (step.name == "plan_mode_response" and asked):
        if asked and not step.failed:
            task.answers[asked] = text
    elif step.name == "plan_mode_response":
        if step.refusal is not None:
            task.remarks.append(step.refusal)
        elif _is_approval(text):
            task.approved_plan = text
        elif text:
            task.remarks.append(text)


def _is_approval(text: str) -> bool:
    return _APPROVAL.search(text[:400]) is not None and _REFUSAL.search(text[:200]) is None
