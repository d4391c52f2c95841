"""What happens to runs when processes, the database and clocks do what they should not."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.errors import ConflictError, NotFoundError
from served import Process, Starter
from served.marks import STEPS, done, until

from core.postgres import Pool, database_url
from core.private_postgres import PrivatePostgres
from core.settings import Settings
from server.events import ATTEMPT_STRIDE

SPOKEN = " ".join(f"t{number}" for number in range(50))


def client_of(process: Process) -> Any:
    return get_client(url=process.url, api_key=None)


@pytest.fixture
def apart(settings: Settings) -> str:
    """The URL of a database that only the test's own processes use."""
    name = f"apart_{uuid4().hex[:12]}"
    url = database_url(settings)
    with psycopg.connect(url, autocommit=True) as held:
        held.execute(f"CREATE DATABASE {name}")
    return url.replace("/postgres?", f"/{name}?")


async def steps(client: Any, marks: Path) -> tuple[str, str]:
    thread = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread, "steps", input={"file": str(marks)}, durability="sync")
    return thread, run["run_id"]


def checked(parts: list[Any]) -> list[Any]:
    """A stream's parts, in order and each only once."""
    numbers = [int(part.id) for part in parts]
    assert numbers == sorted(set(numbers))
    return parts


async def test_kill_9_of_a_worker_and_of_everything(start: Starter, apart: str, tmp_path: Path) -> None:
    own = {"DDB_AGENT_DATABASE_URL": apart}
    front = start("serve", "--no-worker", **own)
    worker, successor = start("worker", **own), start("worker", **own)
    for process in (front, worker, successor):
        start.ready(process)
    successor.popen.send_signal(signal.SIGSTOP)
    async with client_of(front) as client:
        thread, run = await steps(client, tmp_path / "a")
        await until(tmp_path / "a", 2)
        worker.kill()
        successor.popen.send_signal(signal.SIGCONT)
        parts = checked([part async for part in client.runs.join_stream(thread, run)])
        assert parts[-1].data["log"] == STEPS
        assert [part.data["attempt"] for part in parts if part.event == "metadata"] == [1, 2]
        assert done(tmp_path / "a").count("one") == 1
        assert len(done(tmp_path / "a")) <= 5

        thread, run = await steps(client, tmp_path / "b")
        waiting = await client.runs.create(thread, "echo", input={"text": "after"})
        await until(tmp_path / "b", 2)
    front.kill()
    successor.kill()
    last = start.ready(start("serve", **own))
    async with client_of(last) as client:
        parts = checked([part async for part in client.runs.join_stream(thread, run)])
        assert parts[-1].data["log"] == STEPS
        assert (await client.runs.join(thread, waiting["run_id"]))["log"] == [*STEPS, "after"]
        assert (await client.threads.get(thread))["status"] == "idle"
    assert done(tmp_path / "b").count("one") == 1
    assert len(done(tmp_path / "b")) <= 5


async def test_followers_of_a_repeated_attempt_can_tell_it_from_the_abandoned_one(client: Any, start: Starter) -> None:
    """The worker sleeps through its lease in the middle of a message, and goes on when another one says it again."""
    sleeper = start.ready(start("serve"))
    async with client_of(sleeper) as there:
        thread = (await there.threads.create())["thread_id"]
        modes = ["values", "messages-tuple"]
        hello = {"messages": [{"role": "user", "content": "hello"}]}
        run = await there.runs.create(thread, "speaker", input=hello, stream_mode=modes)
        near = asyncio.ensure_future(_parts(there.runs.join_stream(thread, run["run_id"])))
        await asyncio.sleep(0.8)
        sleeper.popen.send_signal(signal.SIGSTOP)
        far = asyncio.ensure_future(_parts(client.runs.join_stream(thread, run["run_id"])))
        await _until_attempt(client, thread, run["run_id"], 2)
        await asyncio.sleep(0.4)
        sleeper.popen.send_signal(signal.SIGCONT)
        seen = await asyncio.wait_for(asyncio.gather(near, far), 30)
        stored = await _parts(client.runs.join_stream(thread, run["run_id"]))
        state = (await client.threads.get_state(thread))["values"]["messages"]
        assert len(await there.threads.get_history(thread, limit=100)) == 3
    assert [part.id for part in seen[1]] == [part.id for part in stored]
    for parts in seen:
        parts = checked(parts)
        assert [part.data["attempt"] for part in parts if part.event == "metadata"] == [1, 2]
        begun = next(number for number, part in enumerate(parts) if int(part.id) > ATTEMPT_STRIDE)
        abandoned, repeated = _said(parts[:begun]), _said(parts[begun:])
        # Messages are told apart by their ids, and the state the attempt begins with is without the abandoned one.
        assert [*abandoned, *repeated] == [*dict.fromkeys([*abandoned, *repeated])]
        assert repeated == {state[-1]["id"]: SPOKEN}
        assert all(SPOKEN.startswith(text) and text != SPOKEN for text in abandoned.values())
        values = [part.data["messages"] for part in parts[begun:] if part.event == "values"]
        assert [each["type"] for each in values[0]] == ["human"]
        assert values[-1] == state


async def test_a_run_that_was_given_back_in_mid_run_is_executed_once(client: Any, pool: Pool, tmp_path: Path) -> None:
    """By the very worker that still executes it, or by another one."""
    thread, run = await steps(client, tmp_path / "a")
    await until(tmp_path / "a", 2)
    async with pool.connection() as held:
        await held.execute(
            "UPDATE runs SET status = 'pending', worker = NULL, lease_until = NULL WHERE run_id = %s", (run,)
        )
        await held.execute("SELECT pg_notify('ddb_agent_runs', %s)", (f"new {run}",))
    parts = checked(await asyncio.wait_for(_parts(client.runs.join_stream(thread, run)), 30))
    assert [part.data["attempt"] for part in parts if part.event == "metadata"] == [1, 2]
    assert parts[-1].data["log"] == STEPS
    assert done(tmp_path / "a").count("four") == 1
    assert len(done(tmp_path / "a")) <= 5
    assert (await client.runs.get(thread, run))["status"] == "success"
    assert len(await client.threads.get_history(thread, limit=100)) == len(STEPS) + 2


async def test_what_cannot_be_stored_harms_its_own_run_only(client: Any) -> None:
    threads = [(await client.threads.create())["thread_id"] for _ in range(8)]
    ended = await asyncio.gather(
        *[
            client.runs.wait(thread, "nul" if number == 3 else "echo", input={"text": "a"}, raise_error=False)
            for number, thread in enumerate(threads)
        ]
    )
    assert ended[3]["__error__"]["error"] == "UntranslatableCharacter"
    assert [each["log"] for number, each in enumerate(ended) if number != 3] == [["a"]] * 7


async def test_the_database_stops_and_comes_back(start: Starter, tmp_path: Path) -> None:
    with TemporaryDirectory(prefix="ddb-agent-tests-", ignore_cleanup_errors=True) as folder:
        postgres = PrivatePostgres(Path(folder) / "postgres")
        server = start.ready(start("serve", DDB_AGENT_DATABASE_URL=postgres.start()))
        try:
            async with client_of(server) as client:
                thread = (await client.threads.create())["thread_id"]
                stream = client.runs.stream(
                    thread, "steps", input={"file": str(tmp_path / "a")}, stream_mode="updates", durability="sync"
                )
                following = asyncio.ensure_future(_parts(stream))
                await until(tmp_path / "a", 2)
                await asyncio.to_thread(postgres.release)
                await asyncio.sleep(2.5)
                await asyncio.to_thread(postgres.start)
                parts = checked(await asyncio.wait_for(following, 30))
                updates = [name for part in parts if part.event == "updates" for name in part.data]
                assert list(dict.fromkeys(updates)) == STEPS
                assert done(tmp_path / "a").count("one") == 1
                assert (await client.threads.get_state(thread))["values"]["log"] == STEPS
                assert [run["status"] for run in await client.runs.list(thread)] == ["success"]

                await asyncio.to_thread(postgres.release)
                await asyncio.to_thread(postgres.start)
                assert (await client.runs.wait(thread, "echo", input={"text": "on"}))["log"] == [*STEPS, "on"]
        finally:
            server.terminate()
            postgres.release()


async def test_the_last_of_overlapping_owners_stops_the_private_database(start: Starter) -> None:
    with TemporaryDirectory(prefix="ddb-agent-tests-", ignore_cleanup_errors=True) as folder:
        postgres = PrivatePostgres(Path(folder) / "postgres")
        url = postgres.start()
        server = start.ready(start("serve", DDB_AGENT_DATA_DIR=folder))
        await asyncio.to_thread(postgres.release)
        psycopg.connect(url).close()
        assert await asyncio.to_thread(server.terminate) == 128 + signal.SIGTERM
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url).close()


async def test_a_wrong_clock_neither_loses_nor_steals_a_run(client: Any, second: Process, start: Starter) -> None:
    """Longer than a lease; both processes look for lost runs all the while."""
    early = start.ready(start("serve", SERVED_CLOCK_SHIFT="-5000"))
    async with client_of(early) as behind, client_of(second) as ahead:
        clients = [client, behind, ahead]
        threads = [(await each.threads.create())["thread_id"] for each in clients]
        streams = [
            each.runs.stream(thread, "slow", input={"text": "3.5"})
            for each, thread in zip(clients, threads, strict=True)
        ]
        for parts in await asyncio.gather(*[_parts(stream) for stream in streams]):
            assert [part.data["attempt"] for part in parts if part.event == "metadata"] == [1]
            assert parts[-1].data["log"] == ["3.5"]
        begun = time.monotonic()
        delayed = await ahead.runs.create(threads[0], "echo", input={"text": "later"}, after_seconds=1)
        cron = await ahead.crons.create("echo", schedule="0 0 1 1 *", input={"text": "yearly"})
        assert (await ahead.runs.join(threads[0], delayed["run_id"]))["log"] == ["3.5", "later"]
        assert 0.9 < time.monotonic() - begun < 4
        await ahead.crons.delete(cron["cron_id"])
        assert cron["next_run_date"][4:] == "-01-01T00:00:00+00:00"


async def test_a_stream_is_rejoined_in_another_process(client: Any, other: Any, tmp_path: Path) -> None:
    thread = (await client.threads.create())["thread_id"]
    seen = []
    stream = client.runs.stream(thread, "steps", input={"file": str(tmp_path / "a")}, stream_mode=["updates", "values"])
    async with aclosing(stream) as parts:
        async for part in parts:
            seen.append(part)
            if part.event == "updates":
                break
    [run] = await other.runs.list(thread)
    assert run["status"] == "running"
    rest = other.runs.join_stream(thread, run["run_id"], last_event_id=seen[-1].id)
    whole = checked(seen + await _parts(rest))
    assert [name for part in whole if part.event == "updates" for name in part.data] == STEPS
    again = await _parts(client.runs.join_stream(thread, run["run_id"]))
    assert [part.id for part in again] == [part.id for part in whole]


@pytest.mark.parametrize("strategy", ["reject", "enqueue", "interrupt", "rollback"])
async def test_two_messages_at_once_through_two_servers(client: Any, other: Any, strategy: str) -> None:
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, "echo", input={"text": "past"})
    made = await asyncio.gather(
        *[
            each.runs.create(thread, "slow", input={"text": text}, multitask_strategy=strategy)
            for each, text in ((client, "0.3"), (other, "0.4"))
        ],
        return_exceptions=True,
    )
    runs = [each for each in made if not isinstance(each, BaseException)]
    assert [each for each in made if isinstance(each, BaseException) and not isinstance(each, ConflictError)] == []
    assert len(runs) == (1 if strategy == "reject" else 2)
    for run in runs:
        # One that was rolled back may be gone by now.
        with suppress(httpx.HTTPStatusError):
            await client.runs.join(thread, run["run_id"])
    log = (await client.threads.get_state(thread))["values"]["log"]
    kept = {run["run_id"]: run["status"] for run in await other.runs.list(thread)}
    assert log[0] == "past"
    assert len(log) == len(set(log)) == 1 + [kept.get(run["run_id"]) for run in runs].count("success")
    assert (
        sorted(kept.values())
        == {
            "reject": ["success", "success"],
            "enqueue": ["success", "success", "success"],
            "interrupt": ["interrupted", "success", "success"],
            "rollback": ["success", "success"],
        }[strategy]
    )
    assert (await client.threads.get(thread))["status"] == "idle"


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
async def test_a_cancel_at_every_step(client: Any, other: Any, action: str, tmp_path: Path) -> None:
    async def cancelled(steps_done: int) -> None:
        marks = tmp_path / str(steps_done)
        thread = (await client.threads.create())["thread_id"]
        await client.runs.wait(thread, "echo", input={"text": "past"})
        before = await client.threads.get_history(thread, limit=100)
        run = await client.runs.create(thread, "steps", input={"file": str(marks)})
        await until(marks, steps_done)
        canceller = other if steps_done % 2 else client
        await canceller.runs.cancel(thread, run["run_id"], wait=True, action=action)
        state = await client.threads.get_state(thread)
        found = await client.threads.get(thread)
        if action == "rollback":
            with pytest.raises(NotFoundError):
                await client.runs.get(thread, run["run_id"])
            assert await client.threads.get_history(thread, limit=100) == before
            assert found["status"] == "idle"
            assert found["values"]["log"] == ["past"]
        else:
            assert (await client.runs.get(thread, run["run_id"]))["status"] == "interrupted"
            log = state["values"]["log"]
            assert log == ["past", *STEPS[: len(log) - 1]]
            assert max(0, steps_done - 1) <= len(log) - 1 <= steps_done
            assert found["status"] == ("interrupted" if state["next"] else "idle")
        count = len(done(marks))
        ended = await client.runs.wait(thread, "echo", input={"text": "on"})
        assert ended["log"] == [*state["values"]["log"], "on"]
        assert len(done(marks)) == count

    await asyncio.gather(*[cancelled(count) for count in range(len(STEPS) + 1)])


async def test_a_cancel_that_gets_lost_on_its_way_counts(client: Any, tmp_path: Path) -> None:
    async def cancelled(action: str) -> None:
        thread = (await client.threads.create())["thread_id"]
        run = await client.runs.create(thread, "deaf", input={"file": str(tmp_path / action)})
        await asyncio.sleep(0.4)
        await client.runs.cancel(thread, run["run_id"], wait=True, action=action)
        assert len(done(tmp_path / action)) <= 1
        found = [each["status"] for each in await client.runs.list(thread)]
        assert found == ([] if action == "rollback" else ["interrupted"])
        assert (await client.threads.get(thread))["status"] == ("idle" if action == "rollback" else "interrupted")

    await asyncio.gather(cancelled("interrupt"), cancelled("rollback"))


async def test_sigterm_under_load(client: Any, start: Starter, tmp_path: Path) -> None:
    stopping = start.ready(start("serve"))
    async with client_of(stopping) as there:
        runs = await asyncio.gather(*[steps(there, tmp_path / str(number)) for number in range(12)])
        queued = [await there.runs.create(thread, "echo", input={"text": "after"}) for thread, _ in runs]
        await asyncio.gather(*[until(tmp_path / str(number), 1) for number in range(12)])
        assert await asyncio.to_thread(stopping.terminate) == 128 + signal.SIGTERM
    ended = await asyncio.gather(
        *[client.runs.join(thread, run["run_id"]) for (thread, _), run in zip(runs, queued, strict=True)]
    )
    assert [each["log"] for each in ended] == [[*STEPS, "after"]] * 12
    assert [done(tmp_path / str(number)) for number in range(12)] == [STEPS] * 12


async def _until_attempt(client: Any, thread: str, run: str, attempt: int) -> None:
    async with aclosing(client.runs.join_stream(thread, run)) as parts:
        async for part in parts:
            if part.event == "metadata" and part.data["attempt"] == attempt:
                return
    raise AssertionError("the run ended before")


def _said(parts: list[Any]) -> dict[str, str]:
    """The texts of the messages that were said, by their ids."""
    said: dict[str, str] = {}
    for part in parts:
        if part.event == "messages" and part.data[0]["type"] == "AIMessageChunk":
            said[part.data[0]["id"]] = said.get(part.data[0]["id"], "") + part.data[0]["content"]
    return said


async def _parts(stream: Any) -> list[Any]:
    return [part async for part in stream]


@pytest.mark.parametrize("path", ["/threads", "/runs/wait", "/store/items"])
async def test_a_body_larger_than_allowed_is_refused_however_it_comes(http: httpx.AsyncClient, path: str) -> None:
    part = b'{"metadata": {"text": "' + b"x" * 1_000_000

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield part

    method = "PUT" if path == "/store/items" else "POST"
    headers = {"content-type": "application/json"}
    chunked = await http.request(method, path, content=endless(), headers=headers)
    declared = await http.request(method, path, content=part * 11, headers=headers)
    assert [chunked.status_code, declared.status_code] == [413, 413]
    assert chunked.json() == declared.json() == {"detail": "The request is larger than 10000000 bytes."}
    assert (await http.post("/threads", json={})).status_code == 200
