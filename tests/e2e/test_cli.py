"""The command line as a user meets it, with the offline model."""

from __future__ import annotations

import csv
import json
import os
import re
import resource
import signal
import subprocess
import time
from pathlib import Path
from uuid import uuid4

import dolphindb
import pytest
from e2e.command import PROGRAM, Command
from e2e.paths import ROOT
from openai_server import ScriptedOpenAI

from core.postgres import Pool
from core.thread_lock import exclusive
from core.threads import named_id

PROMPT = r"(act|plan)> $"
CHOICE = r"\[y/edit/n\] $"
LOOP = "x = 0; while(true){ x += 1 }; x"


@pytest.fixture
def thread() -> str:
    return f"t{uuid4().hex}"


def shared(name: str) -> str:
    """A script that needs approval and says how often it ran, since a second run fails."""
    return f"run:\nshare table(1 2 3 as n) as {name}; exec sum(n) from {name}"


def test_help_comes_at_once(command: Command) -> None:
    """Measured in processor time, which other processes of the machine do not lengthen."""
    elapsed = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert "doctor" in command.program("--help").out
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        elapsed.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(elapsed) < 0.5


def test_a_chat(command: Command, tmp_path: Path, thread: str) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text("day,price\n2024.01.01,1.5\n")
    editor = tmp_path / "editor"
    editor.write_text(f"#!/bin/sh\nsed -i 's/a{thread}/b{thread}/g' \"$1\"\n")
    editor.chmod(0o755)
    saved = tmp_path / "saved"
    with command.terminal("chat", EDITOR=str(editor)) as chat:
        chat.expect(PROMPT)
        chat.type("create 500 sample trades named trades")
        assert "500 rows" in chat.expect(PROMPT)

        for target, answer in [
            ("trades", "pinned: trades"),
            (str(prices), f"pinned: {prices}"),
            ("/nowhere/x.csv", "There is no file /nowhere/x.csv"),
            ("nothing", "There is no table nothing"),
            ("", "/use needs a table or a file"),
        ]:
            chat.type(f"/use {target}")
            assert answer in chat.expect(PROMPT)

        chat.type("/plan average price by sym in trades")
        assert "group by sym" in chat.expect(CHOICE)
        chat.type("n")
        chat.expect(r"reason\) $")
        chat.type("only the maximum price by sym")
        assert "max(price)" in chat.expect(CHOICE)
        chat.type("y")
        assert "| AAPL |" in chat.expect(PROMPT)

        for suffix in (".md", ".dos", ".csv", ".json"):
            chat.type(f"/save {saved.with_suffix(suffix)}")
            assert f"saved: {saved.with_suffix(suffix)}" in chat.expect(PROMPT)
        chat.type(f"/save {saved.with_suffix('.xlsx')}")
        assert "cannot be saved as .xlsx" in chat.expect(PROMPT)
        chat.type("/save /nowhere/answer.md")
        assert "cannot be written: No such file or directory" in chat.expect(PROMPT)
        chat.type(f"/save {prices}")
        chat.expect(r"Replace it\? \[y/n\] $")
        chat.type("n")
        chat.expect(PROMPT)

        chat.type(f"/act run: share table(1 2 as n) as a{thread}")
        chat.expect(CHOICE)
        chat.type("edit")
        assert f"as b{thread}" in chat.expect(PROMPT)

        chat.type("```")
        chat.type(LOOP)
        chat.type("```")
        chat.expect(r"while[^\n]*\n")
        time.sleep(0.5)
        chat.interrupt()
        assert "Stopped." in chat.expect(PROMPT)
        chat.type("run: 6 * 7")
        assert "42" in chat.expect(PROMPT)

        chat.type(f"run: share table(1 2 as n) as c{thread}")
        chat.expect(CHOICE)
        chat.interrupt()
        assert "Not decided" in chat.expect(PROMPT)
        chat.type("")
        chat.expect(CHOICE)
        chat.end_of_input()
        chat.expect(PROMPT)
        chat.type("no")
        assert "I did not run this script" in chat.expect(PROMPT)

        chat.type("/nonsense")
        assert "There is no command /nonsense" in chat.expect(PROMPT)
        chat.end_of_input()
        assert chat.wait() == 0
    assert prices.read_text() == "day,price\n2024.01.01,1.5\n"
    rows = list(csv.DictReader(saved.with_suffix(".csv").read_text().splitlines()))
    assert [row["sym"] for row in rows] == ["AAPL", "AMZN", "GOOG", "MSFT", "NVDA"]
    records = json.loads(saved.with_suffix(".json").read_text())
    assert [list(record.values())[1] for record in records] == [float(list(row.values())[1]) for row in rows]
    assert saved.with_suffix(".dos").read_text().startswith("select max(price)")
    assert "group by sym" in saved.with_suffix(".md").read_text()


def test_a_question_in_chinese_as_json(command: Command, thread: str) -> None:
    told = command("ask", "运行：0.5 + 0.25", "--thread", thread, "--json")
    assert told.code == 0
    assert (told.json["thread_id"], told.json["id"]) == (thread, named_id("local", thread))
    assert told.json["status"] == "completed"
    assert "0.75" in told.json["answer"]
    assert re.search(r"[\u4e00-\u9fff]", told.json["answer"])
    assert told.json["scripts"] == [{"script": "0.5 + 0.25", "ok": True}]
    assert told.json["tokens"]["input"] > 0


def test_a_thread_waits_and_another_process_decides(command: Command, thread: str) -> None:
    waiting = command("ask", shared(thread), "--thread", thread)
    assert waiting.code == 3
    assert f"ddb-agent ask --thread {thread} --yes" in waiting.out
    assert command("ask", "--thread", thread, "--json").json["waiting"]["action_requests"]
    assert "waits for you" in command("threads", "show", thread).out
    approved = command("ask", "--thread", thread, "--yes")
    assert approved.code == 0
    assert "6" in approved.out
    again = command("ask", "--thread", thread, "--yes")
    assert again.code == 0
    assert "Nothing is left to do" in again.out
    assert "6" in again.out


def test_what_waits_is_answered_with_a_text(command: Command, thread: str) -> None:
    assert command("ask", shared(f"a{thread}"), "--thread", thread, "--json").code == 3
    assert command("ask", "yes", "--thread", thread, "--json").json["scripts"][0]["ok"]
    assert command("ask", shared(f"b{thread}"), "--thread", thread, "--json").code == 3
    refused = command("ask", "not on a Friday", "--thread", thread, "--json").json
    assert not refused["scripts"][0]["ok"]
    assert "not on a Friday" in refused["answer"]


def test_session_tables_end_with_the_process_and_the_next_one_says_so(command: Command, thread: str) -> None:
    made = command("ask", "create 50 sample trades named mine", "--thread", thread)
    assert "ends with this command" in made.out
    asked = command("ask", "list the tables", "--thread", thread, "--json")
    assert "session of your earlier questions has ended" in asked.json["answer"]


def test_threads_are_listed_shown_and_deleted(command: Command, thread: str) -> None:
    title = "run: 1 // [red]you[/nothing] \x1b[2J"
    assert command("ask", title, "--thread", thread).code == 0
    listed = command("threads", "list", "--json").json
    assert listed[0]["thread_id"] == thread
    assert "\\x1b[2J" in command("threads", "list").out
    assert "[/nothing]" in command("threads", "show", thread).out
    assert command("threads", "delete", thread).code == 0
    gone = command("threads", "show", thread)
    assert gone.code == 1
    assert gone.err.startswith(f"error: There is no thread {thread}.")


async def test_one_run_at_a_time_on_a_thread(command: Command, pool: Pool, thread: str) -> None:
    async with exclusive(pool, named_id("local", thread)):
        refused = command("ask", "hello", "--thread", thread)
    assert refused.code == 1
    assert "error: Another run is under way on thread " in refused.err
    assert "Wait for it to end" in refused.err
    assert command("ask", "hello", "--thread", thread).code == 0


def test_ctrl_c_in_the_middle_of_a_script(command: Command, thread: str) -> None:
    with command.terminal("ask", f"run:\n{LOOP}", "--thread", thread) as asked:
        asked.expect(r"while[^\n]*\n")
        time.sleep(0.5)
        asked.interrupt()
        started = time.monotonic()
        assert asked.wait() == 130
        assert time.monotonic() - started < 8
        assert f"ask --thread {thread}" in asked.text
        assert "Traceback" not in asked.text
    assert command("ask", "run: 6 * 7", "--thread", thread, "--json").json["answer"].count("42") == 1


def test_ctrl_c_at_a_decision(command: Command, thread: str) -> None:
    with command.terminal("ask", shared(thread), "--thread", thread) as asked:
        asked.expect(CHOICE)
        asked.interrupt()
        assert asked.wait() == 3
    assert command("ask", "--thread", thread, "--yes").code == 0


def test_output_that_cannot_be_written(command: Command) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [PROGRAM, "threads", "list"], env=dict(command.environment), cwd=ROOT, stdout=full, stderr=subprocess.PIPE,
            text=True, timeout=30, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: The output cannot be written: No space left on device.")
    reader, writer = os.pipe()
    os.close(reader)
    gone = subprocess.run(
        [PROGRAM, "ask", "hello"], env=dict(command.environment), cwd=ROOT, stdout=writer, stderr=subprocess.PIPE,
        text=True, timeout=30, check=False,
    )  # fmt: skip
    os.close(writer)
    assert gone.returncode != 0
    assert "Traceback" not in gone.stderr
    closed = subprocess.run(
        f"{PROGRAM} ask hello --json >&-", shell=True, env=dict(command.environment), cwd=ROOT,
        stderr=subprocess.PIPE, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert closed.returncode == 0


DOCTOR = [
    ({}, 0, "embedded  Postgres", ""),
    ({"DATABASE_URL": "nonsense"}, 1, "DATABASE_URL is not a Postgres URL", "postgresql://user:password@host"),
    (
        {"DDB_AGENT_DOLPHINDB_HOST": "127.0.0.1", "DDB_AGENT_DOLPHINDB_PORT": "1"},
        1,
        "DolphinDB at 127.0.0.1:1 cannot be reached: Connection refused",
        "Check that the server runs",
    ),
    ({"DDB_AGENT_RERANK": "often"}, 1, "DDB_AGENT_RERANK: Input should be 'local' or 'model'", "in the environment"),
    ({"DDB_AGENT_MODELS": "/nowhere.toml"}, 1, "/nowhere.toml cannot be read", "Correct DDB_AGENT_MODELS"),
    ({"DDB_AGENT_ACTOR_MODEL": "nobody"}, 1, "'nobody' is not in the model file", "or [roles] in the model file"),
    (
        {"DDB_AGENT_MODELS": json.dumps({"models": {"m": {"model": "x", "api_key_env": "NO_SUCH_KEY"}}})},
        1,
        "the environment variable NO_SUCH_KEY is not set",
        "Set NO_SUCH_KEY",
    ),
    (
        {"DDB_AGENT_MODELS": json.dumps({"models": {"m": {"model": "x", "base_url": "http://127.0.0.1:1/v1"}}})},
        1,
        "http://127.0.0.1:1/v1) cannot be reached",
        "Check base_url",
    ),
    ({"DDB_AGENT_DATA_DIR": "/dev/null/x"}, 1, "data folder: /dev/null/x: Not a directory", "Set DDB_AGENT_DATA_DIR"),
]


def test_doctor_names_what_is_wrong_and_the_remedy(command: Command, scripted_openai: ScriptedOpenAI) -> None:
    reachable = json.dumps({"models": {"m": {"model": "x", "base_url": scripted_openai.url}}})
    cases = [*DOCTOR, ({"DDB_AGENT_MODELS": reachable}, 0, "configured  actor: x at", "")]
    for configured, code, sentence, remedy in cases:
        finished = command("doctor", **configured)
        assert finished.code == code, finished.out
        assert sentence in finished.out
        assert remedy in finished.out
        assert finished.err == ""


def test_a_bad_setting_is_named(command: Command) -> None:
    told = command("ask", "hello", DDB_AGENT_DOLPHINDB_PORT="many")
    assert told.code == 1
    assert "DDB_AGENT_DOLPHINDB_PORT" in told.err
    assert "many" not in told.err


def test_a_full_disk_is_one_sentence(command: Command, tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    done = subprocess.run(
        [PROGRAM, "ask", "hello"], env={**command.environment, "DDB_AGENT_DATA_DIR": str(tmp_path / "d")}, cwd=ROOT,
        preexec_fn=limit, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert "Check the free space" in done.stderr
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["ask"], "There is no question."),
        (["ask", "  "], "The question is empty."),
        (["ask", "hello", "--thread", ""], "A thread id has 1 to 200 printable characters."),
        (["threads", "delete", "nowhere"], "There is no thread nowhere."),
    ],
)
def test_what_cannot_be_done_is_said(command: Command, arguments: list[str], sentence: str) -> None:
    told = command(*arguments)
    assert told.code == 1
    assert told.err.splitlines()[0] == f"error: {sentence}"
    assert len(told.err.splitlines()) == 2


def test_engine_serve(command: Command, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [PROGRAM, "engine", "serve", "--port", "0", "--data", str(tmp_path / "data")], env=dict(command.environment),
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        state = json.loads(Path(ready["state"]).read_text())
        assert Path(ready["state"]).stat().st_mode & 0o077 == 0
        session = dolphindb.Session()
        assert session.connect(ready["host"], ready["port"], ready["user"], state["password"])
        assert session.run("sum(1..100)") == 5050
        refused = command(
            "doctor", DDB_AGENT_DOLPHINDB_HOST=ready["host"], DDB_AGENT_DOLPHINDB_PORT=str(ready["port"]),
            DDB_AGENT_DOLPHINDB_PASSWORD="a wrong one",
        )  # fmt: skip
        assert refused.code == 1
        assert "Check the user and password" in refused.out
        assert "a wrong one" not in refused.out + refused.err
        taken = command("engine", "serve", "--port", str(ready["port"]), "--data", str(tmp_path / "other"))
        assert taken.code == 1
        assert "Address already in use" in taken.err
        session.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
