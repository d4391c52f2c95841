"""Running a script through the tool: planning it first, repairing it after an error, taking no for an answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.offline.columns import closest_column
from core.offline.intents import literal_script
from core.offline.language import say
from core.offline.lookup import failed, failure_text
from core.offline.replay import NextCallError, Replay, plan_arguments
from core.offline.results import Result, parse_result

MAX_REPAIRS = 3
_UNKNOWN_COLUMN = (
    r"[Uu]nrecognized column(?: name)?:?\s*\[?[\"'`]?([A-Za-z_]\w*)",
    r"(?:[Cc]an(?:'t|not) recognize|[Uu]nrecognized) (?:the )?(?:column|token|name|identifier)(?: "
    r"name)?:?\s*\[?[\"'`]?([A-Za-z_]\w*)",
    r"(?:[Cc]olumn|[Vv]ariable) \[?[\"'`]?([A-Za-z_]\w*)[\"'`]?\]? (?:is not|not|does not|doesn't|was not)",
)
_HINT_COLUMNS = r"columns of ([^:\n]+):\s*([^;\n]+)"
_GIVE_UP = r"\b(?:stop|give up|cancel|abort|never ?mind|forget it|no)\b|停止|放弃|取消|算了|不用了"


class RefusedError(Exception):
    """A human did not let the script run."""

    def __init__(self, reason: str, script: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.script = script


@dataclass(frozen=True)
class Execution:
    """A script that ran, as it ran, with its result and what was corrected on the way."""

    script: str
    result: Result
    notes: tuple[tuple[str, str], ...]

    @property
    def artifact_ids(self) -> list[str]:
        return [self.result.artifact] if self.result.artifact else []


def propose(replay: Replay, steps: Sequence[tuple[str, str]], script: str = "") -> None:
    """In plan mode, stop with the plan. A script shown in the plan is what will run once it is approved."""
    if not replay.planning:
        return
    language = replay.language
    goal = say(language, "Goal", "目标")
    lines = [f"{goal}: {' '.join(replay.task.question.split())}", ""]
    steps = [*steps, *((say(language, "Then", "然后"), part) for part in replay.following)]
    lines += [f"{number}. {title}: {detail}" for number, (title, detail) in enumerate(steps, 1)]
    if script and not replay.following:
        lines += ["", "```dolphindb", script, "```"]
    plan = "\n".join(lines)
    if not replay.has("plan_mode_response"):
        replay.finish(plan)
    raise NextCallError("plan_mode_response", plan_arguments(plan, steps))


def execute(
    replay: Replay, script: str, purpose: str, columns: Sequence[str] = (), *, repair: bool = True
) -> Execution:
    """Run a script and read its result. Ends the task when it cannot be made to run; raises RefusedError."""
    language = replay.language
    if not replay.has("run_dolphindb_script"):
        replay.finish(
            say(
                language,
                f"I have no tool to run a script here. This is what I would run:\n\n```dolphindb\n{script}\n```",
                f"这里没有可以运行脚本的工具。我会运行的脚本是：\n\n```dolphindb\n{script}\n```",
            )
        )
    notes: list[tuple[str, str]] = []
    repairs = 0
    while True:
        step = replay.call("run_dolphindb_script", script=script, purpose=purpose)
        script = str(step.args.get("script", script))
        reason = step.refusal
        if reason is not None:
            raise RefusedError(reason, script)
        if not failed(step):
            return Execution(script, parse_result(step.result or ""), tuple(notes))
        message = step.result or ""
        correction = _correction(script, message, columns) if repair and repairs < MAX_REPAIRS else None
        if correction is not None:
            wrong, right = correction
            script = re.sub(rf"(?<!\w){re.escape(wrong)}(?!\w)", right, script)
            notes.append((f"there is no column {wrong}; I used {right}", f"没有列 {wrong}，已改用 {right}"))
            repairs += 1
            continue
        script = _asked(replay, script, failure_text(step), message)
        repairs += 1


def _correction(script: str, message: str, columns: Sequence[str]) -> tuple[str, str] | None:
    """A wrong column name the server complains of, and the column that is most likely meant."""
    for pattern in _UNKNOWN_COLUMN:
        match = re.search(pattern, message)
        if match is None or not re.search(rf"(?<!\w){re.escape(match[1])}(?!\w)", script):
            continue
        hint = re.search(_HINT_COLUMNS, message)
        known = [part.strip().split(" ")[0] for part in hint[2].split(",")] if hint else list(columns)
        right = closest_column(match[1], [name for name in known if name])
        return (match[1], right) if right is not None and right != match[1] else None
    return None


def _asked(replay: Replay, script: str, error: str, message: str) -> str:  # noqa: RET503
    """What to run instead, from the human; ends the task without it."""
    language = replay.language
    hint = re.search(_HINT_COLUMNS, message)
    options = [part.strip() for part in hint[2].split(",")] if hint else []
    question = say(
        language,
        f"The script failed: {error}. What should I do? You can name the right column, or give a corrected "
        "script in ``` fences.",
        f"脚本出错：{error}。应该怎么做？可以告诉我正确的列名，或用 ``` 给出修改后的脚本。",
    )
    attempts = sum(1 for step in replay.task.steps if step.name == "run_dolphindb_script")
    if replay.has("ask_for_human_feedback") and attempts <= MAX_REPAIRS + 2:
        answer = replay.ask(question, options)
        given = literal_script(answer)
        if given is not None:
            return given
        wrong = next((m[1] for pattern in _UNKNOWN_COLUMN if (m := re.search(pattern, message))), None)
        named = next((option for option in options if re.search(rf"(?<!\w){re.escape(option)}(?!\w)", answer)), None)
        if wrong and named and not re.search(_GIVE_UP, answer, re.IGNORECASE | re.ASCII):
            return re.sub(rf"(?<!\w){re.escape(wrong)}(?!\w)", named, script)
    replay.finish(
        say(
            language,
            f"The script did not run: {error}\n\n```dolphindb\n{script}\n```\nI tried {attempts} times and "
            "cannot repair it by rule.",
            f"脚本没有运行成功：{error}\n\n```dolphindb\n{script}\n```\n已尝试 {attempts} 次，离线规则无法修复。",
        ),
        script=script,
    )
