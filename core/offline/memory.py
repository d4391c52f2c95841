"""Keeping an answer or the meaning of a word, by tools that ask the user first."""

from __future__ import annotations

from typing import Any, NoReturn

from core.offline import answers
from core.offline.conversation import Step, Task
from core.offline.language import say
from core.offline.lookup import failed, failure_text
from core.offline.remembering import defined_term, forgotten_term
from core.offline.replay import Replay


def remember(replay: Replay, _: str) -> None:
    language = replay.language
    for task in reversed(replay.conversation.earlier):
        if script := _script(task):
            _kept(replay, "remember_example", question=task.question, script=script)
    replay.finish(
        say(
            language,
            "There is nothing to remember yet: no question of this conversation was answered by a script.",
            "还没有可以记住的内容：本次对话中没有由脚本得出的回答。",
        )
    )


def define_term(replay: Replay, text: str) -> None:
    found = defined_term(text)
    assert found is not None
    _kept(replay, "define_term", term=found[0], meaning=found[1])


def forget_term(replay: Replay, text: str) -> None:
    _kept(replay, "forget_term", term=forgotten_term(text))


def _kept(replay: Replay, tool: str, **arguments: Any) -> NoReturn:
    language = replay.language
    if not replay.has(tool):
        replay.finish(
            say(language, "I cannot remember things here; try it in act mode.", "这里无法记忆内容，请切换到 act 模式。")
        )
    step = replay.call(tool, **arguments)
    if step.refusal is not None:
        replay.finish(say(language, "Nothing was changed.", "未作任何更改。"))
    if failed(step):
        replay.finish(say(language, f"That failed: {failure_text(step)}", f"操作失败：{failure_text(step)}"))
    replay.finish(answers.signed(language, (step.result or "").strip().splitlines()[-1]))


def _script(task: Task) -> str:
    """The script that the task's answer names, else its last one that ran."""
    for step in reversed(task.steps):
        if step.name == "attempt_completion" and step.args.get("script"):
            return str(step.args["script"])
    return next((_text(step) for step in reversed(task.steps) if _ran(step)), "")


def _ran(step: Step) -> bool:
    return step.name == "run_dolphindb_script" and step.result is not None and not step.failed


def _text(step: Step) -> str:
    return str(step.args.get("script", ""))
