"""The rules: from the state of a task to the next call or the answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.offline import answers
from core.offline.conversation import Conversation
from core.offline.documentation import answer_documentation, answer_from_documentation, is_about_language
from core.offline.environments import extend, give_back, list_environments, rent, use_environment, write_script
from core.offline.execution import RefusedError, execute, propose
from core.offline.intents import (
    MAX_QUESTION,
    Intent,
    beyond_rules,
    literal_script,
    parts,
    recognise,
    sample_data,
)
from core.offline.language import normalise, say
from core.offline.lookup import choose_table, describe, failed, failure_text, list_tables
from core.offline.memory import define_term, forget_term, remember
from core.offline.querying import answer_query
from core.offline.replay import NextCallError, PartDoneError, Replay, ReplyError
from core.offline.storing import delete_rows, drop, export_file, load_file, pinned_file, save_table

MAX_STEPS = 30


@dataclass(frozen=True)
class Action:
    """What the model does next: calls one tool, with a few words before it, or answers in text."""

    text: str = ""
    tool: str | None = None
    args: dict[str, Any] = field(default_factory=dict)


def next_action(conversation: Conversation, tools: Collection[str], parameters: Mapping[str, str]) -> Action:
    """The next action. `parameters` gives the first parameter of a tool whose form is not known beforehand."""
    replay = Replay(conversation, tools)
    try:
        _follow(replay, parameters)
    except NextCallError as call:
        return Action(tool=call.tool, args=call.arguments)
    except ReplyError as reply:
        return Action(text=reply.text)
    return Action(text=answers.not_understood(replay.language))


def _follow(replay: Replay, parameters: Mapping[str, str]) -> None:
    language, task = replay.language, replay.task
    if any(step.name == "attempt_completion" and step.result is not None for step in task.steps):
        raise ReplyError(say(language, "The task is complete.", "任务已完成。"))
    if len(task.steps) >= MAX_STEPS:
        replay.finish(say(language, "I give up: too many steps without an answer.", "步骤过多仍未得到答案，已放弃。"))
    if literal_script(task.question) is None and beyond_rules(task.question):
        replay.finish(
            say(
                language,
                f"This is too long for my rules: they read questions of up to {MAX_QUESTION} characters.\n\n",
                f"问题过长：规则最多只能理解 {MAX_QUESTION} 个字符的问题。\n\n",
            )
            + answers.capabilities(language)
        )
    replay.following = parts(normalise(task.question))
    while replay.following:
        try:
            _follow_part(replay, replay.following.pop(0), parameters)
        except PartDoneError:
            continue


def _follow_part(replay: Replay, text: str, parameters: Mapping[str, str]) -> None:
    intent = recognise(text)
    if intent == "query" and pinned_file(replay, text) is not None:
        intent = "load_file"
    if is_about_language(replay, text, intent):
        answer_from_documentation(replay, text)
    if intent == "documentation":
        answer_documentation(replay, text, parameters)
    elif intent == "query" or intent == "chart":
        answer_query(replay, text, chart=intent == "chart")
    else:
        _HANDLERS[intent](replay, text)


def _greeting(replay: Replay, _: str) -> None:
    language = replay.language
    hello = say(language, "Hello. ", "您好。")
    replay.finish(hello + answers.capabilities(language))


def _capabilities(replay: Replay, _: str) -> None:
    replay.finish(answers.capabilities(replay.language))


def _list_tables(replay: Replay, _: str) -> None:
    tables, databases = list_tables(replay)
    replay.finish(answers.tables_answer(replay.language, tables, databases))


def _describe_table(replay: Replay, text: str) -> None:
    tables, _ = list_tables(replay)
    table = describe(replay, choose_table(replay, text, tables))
    replay.finish(answers.description_answer(replay.language, table))


def _update(replay: Replay, _: str) -> None:
    language = replay.language
    text = say(
        language,
        "I do not change values by rule. Give me the script (after `run:` or in ``` fences) and I put it up "
        "for approval.",
        "离线规则不会修改数据值。请直接给出脚本（写在“运行:”之后或放在 ``` 中），经批准后运行。",
    )
    replay.finish(answers.signed(language, text))


def _sample_data(replay: Replay, text: str) -> None:
    language = replay.language
    wanted = sample_data(text)
    title = say(language, "Create sample data", "生成示例数据")
    detail = say(
        language,
        f"{wanted.rows} rows of {wanted.kind} in the session table {wanted.name}",
        f"在会话表 {wanted.name} 中生成 {wanted.rows} 行 {wanted.kind} 数据",
    )
    propose(replay, [(title, detail)])
    if not replay.has("create_sample_data"):
        replay.finish(say(language, "I have no tool to create sample data here.", "这里没有生成示例数据的工具。"))
    step = replay.call("create_sample_data", kind=wanted.kind, name=wanted.name, rows=wanted.rows)
    if step.refusal is not None or failed(step):
        error = failure_text(step)
        replay.finish(say(language, f"The sample data was not created: {error}", f"未能生成示例数据：{error}"))
    head = say(language, f"The table {wanted.name} is ready.", f"表 {wanted.name} 已生成。")
    answer = f"{head} {(step.result or '').strip()}"
    replay.made_table(wanted.name, answer, answers.signed(language, answer))


def _script(replay: Replay, text: str) -> None:
    language = replay.language
    script = literal_script(replay.task.question) or literal_script(text) or ""
    propose(
        replay, [(say(language, "Run the script", "运行脚本"), say(language, "as you gave it", "按原样运行"))], script
    )
    try:
        done = execute(replay, replay.task.approved_script or script, "run the script of the user", repair=False)
    except RefusedError as refused:
        replay.finish(answers.refused(language, refused.reason, refused.script))
    replay.finish(
        answers.script_answer(language, done.result, done.notes), script=done.script, artifact_ids=done.artifact_ids
    )


def _check_script(replay: Replay, text: str) -> None:
    language = replay.language
    script = literal_script(replay.task.question) or ""
    optimise = re.search(r"optimi[sz]e|优化", text, re.IGNORECASE | re.ASCII) is not None
    tool = "optimize_query" if optimise and replay.has("optimize_query") else "validate_script"
    if not replay.has(tool):
        replay.finish(say(language, "I have no tool to check scripts here.", "这里没有检查脚本的工具。"))
    step = replay.call(tool, script=script)
    if failed(step):
        error = failure_text(step)
        replay.finish(say(language, f"The script cannot be checked: {error}", f"无法检查脚本：{error}"))
    replay.finish(answers.signed(language, _findings(replay, step.result or "")), script=script)


def _findings(replay: Replay, text: str) -> str:
    language = replay.language
    try:
        data = json.loads(text)
    except ValueError:
        return text
    findings = data.get("findings", []) if isinstance(data, dict) else []
    lines = []
    if isinstance(data, dict) and "ok" in data:
        verdict = (
            say(language, "The script is sound.", "脚本没有问题。")
            if data["ok"]
            else say(language, "The script has problems.", "脚本存在问题。")
        )
        level = f" {say(language, 'Effect', '影响级别')}: {data['level']}." if data.get("level") else ""
        lines.append(verdict + level)
    for finding in findings:
        fix = f" → `{finding['fix']}`" if finding.get("fix") else ""
        line = f"{say(language, 'line', '行')} {finding['line']}: " if finding.get("line") else ""
        lines.append(f"- {line}{finding.get('message', '')}{fix}")
    return "\n".join(lines) if lines else text


_HANDLERS: dict[Intent, Callable[[Replay, str], None]] = {
    "greeting": _greeting,
    "capabilities": _capabilities,
    "list_tables": _list_tables,
    "describe_table": _describe_table,
    "sample_data": _sample_data,
    "script": _script,
    "check_script": _check_script,
    "load_file": load_file,
    "export_file": export_file,
    "save_table": save_table,
    "drop": drop,
    "update": _update,
    "delete_rows": delete_rows,
    "remember": remember,
    "define_term": define_term,
    "forget_term": forget_term,
    "rent": rent,
    "list_environments": list_environments,
    "give_back": give_back,
    "extend": extend,
    "use_environment": use_environment,
    "write_script": write_script,
}
