"""Sentences the graph itself says to the user, in the language of the question."""

from __future__ import annotations

import re

_PHRASES = {
    "no_question": (
        "There is no question yet. Say what you need, for example: list the tables.",
        "还没有问题。请说明您的需求，例如：列出所有表。",
    ),
    "steps": (
        "I stopped after {limit} steps without an answer. What was tried:\n{tried}",
        "已执行 {limit} 步仍未得到答案，已停止。尝试过的操作：\n{tried}",
    ),
    "failures": (
        "I gave up after {count} failed tool calls in a row. What was tried:\n{tried}",
        "连续 {count} 次工具调用失败，已停止。尝试过的操作：\n{tried}",
    ),
    "model": (
        "I could not answer, because the language model failed: {error}",
        "语言模型出错，无法回答：{error}",
    ),
    "environment": (
        "There is no environment {name!r} of yours, so nothing was done. This thread works in the default environment"
        " now; name one of yours, or ask for a new one.",
        "您没有名为 {name!r} 的环境，因此未执行任何操作。本会话现在使用默认环境；请指定您自己的环境，或申请新的环境。",
    ),
    "moved": ("This thread now works in the environment {name}.", "本会话现在使用环境 {name}。"),
    "ends": (
        "Environment {name!r} ends in {minutes} min. Extend it, or save what you need.",
        "环境 {name!r} 将在 {minutes} 分钟后到期。请延长使用时间，或保存需要的内容。",
    ),
    "gone": ("Environment {name!r} is gone: {error}", "环境 {name!r} 已不存在：{error}"),
    "expired": ("The time of environment {name!r} is up; it is gone.", "环境 {name!r} 已到期，不再存在。"),
    "stopped": ("Stopped, as you asked.", "已按您的要求停止。"),
    "nothing": ("nothing was run", "没有运行任何操作"),
}


def is_chinese(text: str) -> bool:
    return bool(re.search(r"[\u4e00-\u9fff]", text))


def phrase(key: str, question: str, **values: object) -> str:
    """The sentence `key` in Chinese when the question has Chinese characters, else in English."""
    english, chinese = _PHRASES[key]
    return (chinese if is_chinese(question) else english).format(**values)
