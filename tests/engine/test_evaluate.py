"""The evaluator: fresh sessions in worker processes, nothing stops it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cli
from engine.evaluate import evaluate


@pytest.mark.timeout(120)
def test_scripts_are_apart_and_a_hanging_one_is_ended() -> None:
    scripts = [
        "x = 5; share table(1 2 as a) as everybodys; x + 1",
        "defined(`x) or defined(`everybodys)",
        "do {} while (true)",
        'print(1); print("two")',
        "1 +",
        'db = database("dfs://d", VALUE, 1 2); t = db.createPartitionedTable(table(1 2 as k), `t, `k);'
        "t.append!(table(1 2 2 as k)); exec count(*) from t",
        'existsDatabase("dfs://d")',
    ]
    outcomes = list(evaluate(scripts, jobs=2, seconds=5))
    assert outcomes[0] == {"actual": "6"}
    assert outcomes[1] == {"actual": "0"}
    assert "time" in outcomes[2]["error"] or "ended" in outcomes[2]["error"]
    assert outcomes[3] == {"actual": "1\ntwo"}
    assert outcomes[4].keys() == {"error"}
    assert outcomes[5] == {"actual": "3"}
    assert outcomes[6] == {"actual": "0"}


@pytest.mark.timeout(120)
def test_command_answers_every_line(tmp_path: Path) -> None:
    file = tmp_path / "scripts.jsonl"
    file.write_bytes(
        b'{"id": "a", "script": "1 + 1"}\nnot json\n\n{"id": "b"}\n\xff\n{"id": "c", "script": "noSuch(1)"}\n'
    )
    result = CliRunner().invoke(cli.app, ["engine", "eval", str(file), "--seconds", "20"])
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["id"] for row in rows] == ["a", None, "b", None, "c"]
    assert rows[0] == {"id": "a", "actual": "2"}
    assert all("error" in row for row in rows[1:])


def test_command_lists_functions() -> None:
    result = CliRunner().invoke(cli.app, ["engine", "functions", "--json"])
    functions = {each["name"]: each for each in json.loads(result.stdout)}
    assert len(functions) > 900
    assert functions["mavg"]["signature"].startswith("mavg(X, window")
    assert functions["mavg"]["family"] == "series.moving"
