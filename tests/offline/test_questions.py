from __future__ import annotations

import re
from pathlib import Path

import pytest
from offline.world import SCHEMAS, World

from dolphin.script import parse

QUESTIONS = [
    tuple(block.split("\n", 1))
    for block in Path(__file__).with_name("questions.txt").read_text(encoding="utf-8").strip().split("\n\n")
]


@pytest.mark.parametrize(("question", "script"), QUESTIONS, ids=[question for question, _ in QUESTIONS])
def test_question_becomes_this_script(question: str, script: str) -> None:
    found = re.match(r"\[(\w+)\] (.*)", question)
    assert found
    world = World([found[1]])
    answer = world.ask(found[2])
    assert world.scripts == [script]
    parse(script)
    assert "offline" in answer or "离线" in answer
    assert world.names[:2] == ["list_tables", "describe_table"]
    assert world.names[-1] == "attempt_completion"
    assert world.calls[-1][1]["script"] == script


def test_the_table_is_found_among_others_by_its_columns() -> None:
    for question, script in QUESTIONS:
        found = re.match(r"\[(\w+)\] (.*)", question)
        assert found
        if found[1] in ("timeseries", "quotes") and re.search(r"humidity|spread|湿度|价差", question):
            world = World(list(SCHEMAS))
            world.ask(found[2])
            assert world.scripts == [script]
