from __future__ import annotations

import re
from importlib.resources import files

import pytest

from dolphin.environment import Environment
from dolphin.results import preview
from dolphin.sessions import Sessions
from rag.loaders import load
from rag.vocabulary import families, phrases

GUIDES = files("rag") / "guides"
NAMES = sorted(path.name for path in (GUIDES / "en").iterdir())
EXAMPLE = re.compile(r"```dolphindb\n(.*?)```", re.DOTALL)
RESULT = re.compile(r"// result: (.*)\s*$")


def examples(language: str, name: str) -> list[str]:
    return EXAMPLE.findall((GUIDES / language / name).read_text("utf-8"))


@pytest.mark.parametrize("name", NAMES)
async def test_every_example_runs_and_gives_what_the_guide_says(
    name: str, environment: Environment, sessions: Sessions, thread_id: str
):
    found = examples("en", name)
    assert found
    for script in found:
        outcome = await sessions.run(environment, thread_id, script, timeout=30)
        if expected := RESULT.search(script):
            shown = preview(outcome.value).text
            assert shown.endswith(f": {expected[1].strip()}"), f"{script}\n{shown}"


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_have_the_same_examples_and_sections(name: str):
    assert examples("zh", name) == examples("en", name)
    pages = {language: load((GUIDES / language / name).read_bytes(), name, "guide")[0] for language in ("en", "zh")}
    assert {language: page.language for language, page in pages.items()} == {"en": "en", "zh": "zh"}
    assert len(pages["en"].sections) == len(pages["zh"].sections)
    for section in (*pages["en"].sections, *pages["zh"].sections):
        assert EXAMPLE.sub("", section.text + "\n").strip(), f"{section.headings[-1]} says nothing beside its example"


def test_vocabulary_is_well_formed():
    known = phrases()
    assert len(known) > 800
    for function, entry in known.items():
        assert re.fullmatch(r"[A-Za-z]\w*(::\w+)?!?", function), function
        assert entry.english, function
        assert entry.chinese, function
        assert any(character >= "\u3400" for text in entry.chinese for character in text), function
    assert all(entry.english and entry.chinese for _, entry in families())
