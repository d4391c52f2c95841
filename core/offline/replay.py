"""The next tool call, by replaying the task: what was called before returns its result, a new call stops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, NoReturn

from core.offline.conversation import Conversation, Step, Task
from core.offline.language import Language, say

READS = (
    "list_tables",
    "describe_table",
    "inspect_database",
    "get_function_documentation",
    "search_knowledge_base",
    "validate_script",
    "optimize_query",
)

LOST = "The session was lost"
"""How a tool's result says that the session is a new one."""


class NextCallError(Exception):
    """Stops a replay at the call to be made."""

    def __init__(self, tool: str, arguments: dict[str, Any]) -> None:
        super().__init__(tool)
        self.tool = tool
        self.arguments = arguments


class PartDoneError(Exception):
    """Stops a replay at the end of a part of the task that another one follows."""


class ReplyError(Exception):
    """Stops a replay with a text for the user and no call."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Replay:
    """Gives the rules the results of calls as if they were made on the spot."""

    def __init__(self, conversation: Conversation, tools: Collection[str]) -> None:
        self.conversation = conversation
        self.tools = frozenset(tools)
        self._position: Counter[str] = Counter()
        self.following: list[str] = []
        """Parts of the task that come after the current one."""
        self.made: str | None = None
        """The table that an earlier part of the task made."""
        self._told: list[str] = []

    @property
    def task(self) -> Task:
        return self.conversation.task

    @property
    def language(self) -> Language:
        return self.task.language

    @property
    def planning(self) -> bool:
        return self.conversation.mode == "plan"

    def has(self, name: str) -> bool:
        return name in self.tools

    def call(self, name: str, /, **args: Any) -> Step:
        """The recorded step of this call, or a stop.

        Reads are found again by their arguments. Other calls are found by their order, since a human may have changed
        their arguments; that way no call is ever made twice.
        """
        same = [step for step in self.task.steps if step.name == name]
        if name in READS:
            matching = [step for step in same if _significant(step.args) == _significant(args)]
            if matching or len(same) > 8:
                return (matching or same)[-1]
        elif self._position[name] < len(same):
            self._position[name] += 1
            return same[self._position[name] - 1]
        raise NextCallError(name, args)

    def ask(self, question: str, options: Sequence[str] = ()) -> str:
        """The human's answer to a question, or a stop that asks it."""
        if question in self.task.answers:
            return self.task.answers[question]
        if self.planning and self.has("plan_mode_response"):
            shown = f"{question}\n" + "\n".join(f"- {option}" for option in options) if options else question
            raise NextCallError("plan_mode_response", plan_arguments(shown, question=question))
        if self.has("ask_for_human_feedback"):
            raise NextCallError("ask_for_human_feedback", {"question": question, "options": list(options)})
        lines = [question, *(f"- {option}" for option in options)]
        raise ReplyError("\n".join(lines))

    def finish(self, answer: str, *, script: str = "", artifact_ids: Sequence[str] = ()) -> NoReturn:
        """End the task with an answer, after those of its earlier parts."""
        answer = "\n\n".join([*self._lost_session(), *self._told, answer])
        if self.has("attempt_completion"):
            args = {"answer": answer, "script": script, "artifact_ids": list(artifact_ids)}
            raise NextCallError("attempt_completion", args)
        raise ReplyError(answer)

    def _lost_session(self) -> list[str]:
        if not any(LOST in (step.result or "") for step in self.task.steps):
            return []
        return [
            say(
                self.language,
                "The session of your earlier questions has ended: its tables and variables are gone.",
                "之前提问所用的会话已经结束，其中的表和变量已不存在。",
            )
        ]

    def made_table(self, name: str, answer: str, signed: str, **more: Any) -> NoReturn:
        """End the task, or this part of it, whose outcome is the table `name`."""
        self.made = name
        self.part_done(answer, signed, **more)

    def part_done(self, answer: str, signed: str, **more: Any) -> NoReturn:
        """End the task, or this part of it."""
        if not self.following:
            self.finish(signed, **more)
        self._told.append(answer)
        raise PartDoneError

    def choice(self, question: str, options: Sequence[str]) -> str:
        """Like `ask`, and the option that was meant: by its name, or by its number in the list."""
        answer = self.ask(question, options).strip()
        exact = [option for option in options if option.lower() == answer.lower()]
        within = [option for option in options if option.lower() in answer.lower()]
        if exact or within:
            return (exact or sorted(within, key=len, reverse=True))[0]
        digits = "".join(character for character in answer if character.isdigit())
        if digits and 1 <= int(digits) <= len(options):
            return options[int(digits) - 1]
        return answer


def plan_arguments(plan: str, steps: Sequence[tuple[str, str]] = (), *, question: str = "") -> dict[str, Any]:
    """The arguments of plan_mode_response."""
    shown = [{"title": title, "detail": detail} for title, detail in steps]
    return {"plan": plan, "steps": shown, "question": question, "needs_more_exploration": False}


def _significant(args: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in args.items() if value not in ("", None, [], {})}
