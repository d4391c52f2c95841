from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.errors import ConflictError, NotFoundError
from core.settings import Settings
from engine import launcher
from provision.specs import EnvironmentRequest
from terminal import env

REQUEST = EnvironmentRequest(name="box", cpu=1, memory=2, hours=1)


@pytest.fixture
def own(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_environments: None
) -> Iterator[Settings]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DDB_AGENT_ENVIRONMENT_PROVIDER", "local")
    monkeypatch.setenv("COLUMNS", "200")
    return settings


async def test_from_creation_to_deletion(own: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert await env.create_environment(own, REQUEST, yes=True) == 0
    shown = capsys.readouterr().out
    assert "Create a DolphinDB server with 1 vCPUs and 2 GiB on this machine with a workspace for 1 h: free" in shown
    assert re.search(r"secured the default account is closed\n.*workspace created", shown)
    assert re.search(r"box \(env-\w+\): RUNNING", shown)
    await env.list_environments(own)
    assert re.search(r"box .*RUNNING.*1 vCPU, 2 GiB.*0 h 5\d min", capsys.readouterr().out)
    await env.list_environments(own, as_json=True)
    [listed] = json.loads(capsys.readouterr().out)
    assert not any("secret" in name or "password" in name for name in listed)
    assert await env.connect_environment(own, "box") == 0
    shown = capsys.readouterr().out
    assert re.search(r"admin@127\.0\.0\.1:\d+\nDolphinDB 3", shown)
    assert "password" not in shown
    assert await env.connect_environment(own, "box", show_password=True) == 0
    assert re.search(r"password: \S{20}\n", capsys.readouterr().out)
    await env.extend_environment(own, "box", 2)
    assert "box ends in 2 h 5" in capsys.readouterr().out
    await env.show_environment(own, "box", as_json=True)
    assert [entry["event"] for entry in json.loads(capsys.readouterr().out)["history"]][:2] == ["requested", "approved"]
    assert await env.delete_environment(own, "box") == 0
    assert "box: DELETED" in capsys.readouterr().out
    with pytest.raises(NotFoundError):
        await env.show_environment(own, "box")


async def test_it_asks_first(
    own: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rich.prompt.Confirm.ask", lambda *_, **__: False)
    assert await env.create_environment(own, REQUEST, yes=False) == env.DECLINED
    await env.list_environments(own, ended=True, as_json=True)
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == []


async def test_a_name_is_taken_once(own: Settings) -> None:
    alone = REQUEST.model_copy(update={"workspace": False})
    assert await env.create_environment(own, alone, yes=True) == 0
    with pytest.raises(ConflictError, match="already"):
        await env.create_environment(own, alone, yes=True)
    assert await env.delete_environment(own, "box") == 0


def test_a_server_of_ones_own(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    import cli

    server = launcher.start(own.data_dir / "engine", idle_seconds=120)
    monkeypatch.setenv("DDB_AGENT_DATA_DIR", str(own.data_dir))
    monkeypatch.setenv("DDB_AGENT_ALLOW_PRIVATE_ADDRESSES", "true")
    command = ["env", "register", "mine", server.host, "--port", str(server.port), "--user", server.user]
    wrong = CliRunner().invoke(cli.app, command, input="not-the-password\n")
    assert wrong.exit_code != 0
    assert "not-the-password" not in wrong.output
    done = CliRunner().invoke(cli.app, command, input=f"{server.password}\n")
    assert done.exit_code == 0, done.output
    assert re.search(r"registered mine \(env-\w+\)", done.output)
    assert server.password not in done.output
    listed = CliRunner().invoke(cli.app, ["env", "list", "--json"])
    assert [each["name"] for each in json.loads(listed.stdout)] == ["mine"]
