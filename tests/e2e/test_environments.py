"""A server rented, used and given back at the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest
from e2e.command import Command

CHOICE = r"\[y/edit/n\] $"
PROMPT = r"(?:act|plan)> $"


@pytest.mark.timeout(240)
def test_a_server_is_rented_and_given_back(command: Command, tmp_path: Path) -> None:
    name, file = f"lab-{uuid4().hex[:6]}", f"jobs/{uuid4().hex}.dos"
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i \'s/"hours": 2/"hours": 1/\' "$1"\n')
    editor.chmod(0o755)
    with command.terminal("chat", EDITOR=str(editor), DDB_AGENT_ENVIRONMENT_PROVIDER="local") as chat:
        chat.expect(PROMPT)
        chat.type(f"give me a 1-core DolphinDB server named {name} for two hours")
        shown = chat.expect(CHOICE)
        assert "1 vCPUs and 2 GiB on this machine with a workspace for 2 h: free of charge" in shown
        chat.type("edit")
        shown = chat.expect(PROMPT, 60)
        assert "… secured the default account is closed" in shown
        assert f"This thread now works in the environment {name} (env-" in shown
        chat.type("create 500 sample trades named trades")
        chat.expect(PROMPT)
        chat.type("VWAP of trades")
        chat.expect(PROMPT)
        chat.type(f"write the script to the workspace as {file}")
        assert f"Write {file}" in chat.expect(CHOICE)
        assert "wavg(price, qty)" in chat.text
        chat.type("y")
        chat.expect(PROMPT)
        chat.type("/thread")
        thread = chat.expect(PROMPT).split()[0]
        chat.type("/quit")
        assert chat.wait() == 0
    data = Path(command.environment["DDB_AGENT_DATA_DIR"])
    [written] = data.glob(f"environments/*/workspace/{file}")
    assert "wavg(price, qty)" in written.read_text()
    waiting = command("ask", "delete the environment", "--thread", thread, "--json")
    assert waiting.code == 3
    assert waiting.json["waiting"]["action_requests"][0]["name"] == "delete_environment"
    assert command("ask", "--thread", thread, "--yes").code == 0
    assert not written.exists()
    gone = command("ask", "list the tables", "--thread", thread)
    assert "was deleted" in gone.out
    assert "use the default environment" in gone.out
    assert command("ask", "use the default environment", "--thread", thread).code == 0
    assert command("ask", "list the tables", "--thread", thread).code == 0
    listed = json.loads(command("env", "list", "--json", "--ended").out)
    [record] = [each for each in listed if each["name"] == name]
    assert (record["state"], record["hours"]) == ("DELETED", 1)
