"""Renting servers, choosing among them and giving them back, and writing the script to their workspace."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from core.offline import answers
from core.offline.conversation import Step
from core.offline.environment_words import CORES, HOURS, MEMORY, NAMED
from core.offline.execution import propose
from core.offline.language import Language, say
from core.offline.lexicon import number
from core.offline.lookup import failed, failure_text
from core.offline.replay import Replay

DEFAULT = "default"
MAX_WAITS = 10


def rent(replay: Replay, text: str) -> None:
    language, wanted = replay.language, _wanted(text)
    name, cpu, memory, hours = (wanted[key] for key in ("name", "cpu", "memory", "hours"))
    detail = say(
        language,
        f"{name}: {cpu:g} vCPUs, {memory:g} GiB, {hours} h",
        f"{name}：{cpu:g} 核、{memory:g} GiB、{hours} 小时",
    )
    propose(replay, [(say(language, "Rent a DolphinDB server", "租用 DolphinDB 服务器"), detail)])
    if not replay.has("create_environment"):
        replay.finish(say(language, "I have no tool to rent servers here.", "这里没有租用服务器的工具。"))
    made = _environment(_succeeded(replay, replay.call("create_environment", **wanted)))
    for _ in range(MAX_WAITS):
        if made.get("state") == "RUNNING":
            break
        found = _succeeded(replay, replay.call("list_environments", wait_for=made.get("name", name)))
        made = next((each for each in _listed(found) if each.get("name") == made.get("name", name)), made)
    if made.get("state") != "RUNNING":
        replay.finish(
            say(
                language,
                f"{name} is still being made. Ask me to list the environments later.",
                f"{name} 仍在创建中，请稍后再让我列出环境。",
            )
        )
    _done(
        replay,
        say(language, f"Your server is there: {_line(language, made)}", f"服务器已就绪：{_line(language, made)}"),
    )


def list_environments(replay: Replay, _: str) -> None:
    language = replay.language
    records, works_in = _records(replay)
    if not records:
        text = say(language, "You have no environments.", "您没有环境。")
        replay.finish(answers.signed(language, text))
    here = say(language, " (this thread works in it)", "（本会话在此环境中）")
    lines = [f"- {_line(language, each)}{here if each['environment_id'] == works_in else ''}" for each in records]
    replay.finish(answers.signed(language, "\n".join(lines)))


def give_back(replay: Replay, text: str) -> None:
    language, name = replay.language, _chosen(replay, text)
    propose(replay, [(say(language, "Give the environment back", "归还环境"), name)])
    _succeeded(replay, replay.call("delete_environment", environment=name))
    _done(replay, say(language, f"{name} is deleted.", f"{name} 已删除。"))


def extend(replay: Replay, text: str) -> None:
    language, name, hours = replay.language, _chosen(replay, text), _hours(text, 1)
    propose(replay, [(say(language, "Extend", "延长"), f"{name}: {hours} h")])
    made = _environment(_succeeded(replay, replay.call("extend_environment", environment=name, hours=hours)))
    _done(replay, say(language, f"Extended: {_line(language, made)}", f"已延长：{_line(language, made)}"))


def use_environment(replay: Replay, text: str) -> None:
    language = replay.language
    back = _found(r"\bdefault\b|默认", text)
    name = DEFAULT if back else _chosen(replay, text)
    if replay.planning:
        propose(replay, [(say(language, "Work in", "使用环境"), name)])
    if not replay.has("use_environment"):
        replay.finish(say(language, "This thread works in the default environment.", "本会话已在默认环境中。"))
    _succeeded(replay, replay.call("use_environment", environment=name))
    _done(replay, say(language, f"From now on: {name}.", f"现在使用：{name}。"))


def write_script(replay: Replay, text: str) -> None:
    language = replay.language
    steps = [step for task in replay.conversation.tasks for step in task.steps]
    scripts = [
        str(step.args.get("script", ""))
        for step in steps
        if step.name == "run_dolphindb_script" and step.result is not None and not step.failed
    ]
    if not scripts:
        replay.finish(say(language, "No script has run on this thread yet.", "本会话尚未运行过脚本。"))
    named = re.search(r"(?<![\w/.])((?:[\w-]+/)*[\w-]+\.(?:dos|txt|sql))\b", text, re.ASCII)
    path = named[1] if named else "scripts/script.dos"
    propose(replay, [(say(language, "Write the script", "写入脚本"), path)], scripts[-1])
    if not replay.has("write_file"):
        replay.finish(
            say(
                language,
                "This thread has no workspace. Rent an environment first: `give me a 2-core DolphinDB for an hour`.",
                "本会话没有工作区。请先租用环境：“给我一个2核的DolphinDB用一个小时”。",
            )
        )
    _succeeded(replay, replay.call("write_file", path=path, content=f"{scripts[-1]}\n"))
    _done(
        replay, say(language, f"The last script is in {path} of the workspace.", f"最后一个脚本已写入工作区的 {path}。")
    )


def _wanted(text: str) -> dict[str, Any]:
    cores = re.search(CORES, text, re.IGNORECASE | re.ASCII)
    cpu = number(cores[1]) if cores else 2
    memory = re.search(MEMORY, text, re.IGNORECASE | re.ASCII)
    name = re.search(NAMED, text, re.IGNORECASE | re.ASCII)
    return {
        "name": name[1] if name else "database",
        "cpu": cpu,
        "memory": number(memory[1] or memory[2]) if memory else 2 * cpu,
        "hours": _hours(text, 2),
        "workspace": not _found(r"\b(?:without|no) (?:a )?workspace\b|不要工作区", text),
        "spot": _found(r"\bspot\b|抢占", text),
    }


def _hours(text: str, otherwise: int) -> int:
    match = re.search(HOURS, text, re.IGNORECASE | re.ASCII)
    if match is None:
        return otherwise
    count = 1.0 if match[1].lower() in ("a", "an", "半") else number(match[1])
    return max(int(count * (24 if match[2].lower().startswith(("day", "天")) else 1)), 1)


def _records(replay: Replay) -> tuple[list[dict[str, Any]], str]:
    if not replay.has("list_environments"):
        replay.finish(say(replay.language, "I have no tool for environments here.", "这里没有管理环境的工具。"))
    found = _succeeded(replay, replay.call("list_environments", wait_for=""))
    return _listed(found), str(found.get("this_thread_works_in", ""))


def _chosen(replay: Replay, text: str) -> str:
    """The name of the environment that is meant: named, the only one, the thread's own, or asked for."""
    language = replay.language
    records, works_in = _records(replay)
    names = [str(each["name"]) for each in records]
    if not names:
        replay.finish(answers.signed(language, say(language, "You have no environments.", "您没有环境。")))
    named = [name for name in names if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text)]
    here = [str(each["name"]) for each in records if each["environment_id"] == works_in]
    found = named or (names if len(names) == 1 else here)
    if found:
        return found[0]
    chosen = replay.choice(say(language, "Which environment do you mean?", "您指的是哪个环境？"), names)
    if chosen not in names:
        replay.finish(answers.signed(language, say(language, "Nothing was done.", "未执行任何操作。")))
    return chosen


def _succeeded(replay: Replay, step: Step) -> dict[str, Any]:
    """What the call returned; ends the task when it was refused or failed."""
    language = replay.language
    if step.refusal is not None:
        because = say(language, f": {step.refusal}", f"：{step.refusal}") if step.refusal else say(language, ".", "。")
        head = say(language, f"Nothing was done, since it was rejected{because}", f"已被拒绝，未执行任何操作{because}")
        replay.finish(answers.signed(language, head))
    if failed(step):
        replay.finish(answers.signed(language, failure_text(step)))
    for line in (step.result or "").splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            return value
    return {}


def _environment(value: dict[str, Any]) -> dict[str, Any]:
    found = value.get("environment")
    return found if isinstance(found, dict) else {}


def _listed(value: dict[str, Any]) -> list[dict[str, Any]]:
    found = value.get("environments")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _line(language: Language, made: dict[str, Any]) -> str:
    parts = [f"{made.get('name')} ({made.get('environment_id')}): {made.get('state')}"]
    if made.get("cpu") is not None:
        parts.append(f"{made['cpu']:g} vCPUs, {made['memory']:g} GiB")
    if made.get("workspace"):
        parts.append(say(language, "with a workspace", "带工作区"))
    if made.get("expires_at"):
        parts.append(say(language, f"until {made['expires_at']}", f"至 {made['expires_at']}"))
    return say(language, ", ", "，").join(parts)


def _done(replay: Replay, text: str) -> NoReturn:
    replay.part_done(text, answers.signed(replay.language, text))


def _found(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE | re.ASCII) is not None
