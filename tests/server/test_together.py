"""What is asked at the same time is asked as one, and still answered to each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from langgraph_sdk.errors import ConflictError

from server.together import LARGE_BYTES, Together


class Statement:
    """Answers ten times a number, after a moment; fails for what is named in `errors`."""

    def __init__(self) -> None:
        self.made: list[list[int]] = []
        self.errors: dict[int, Exception] = {}

    async def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.made.append(list(numbers))
        await asyncio.sleep(0.01)
        for number in numbers:
            if number in self.errors:
                raise self.errors[number]
        return [number * 10 for number in numbers]


async def asked(together: Together[int, int], numbers: Sequence[int]) -> list[Any]:
    return await asyncio.gather(*[together(number) for number in numbers], return_exceptions=True)


async def test_those_that_wait_go_together() -> None:
    statement = Statement()
    together = Together(statement)
    assert await asked(together, range(5)) == [0, 10, 20, 30, 40]
    assert await together(7) == 70
    assert statement.made == [[0], [1, 2, 3, 4], [7]]


async def test_nobody_suffers_from_anothers_error() -> None:
    statement = Statement()
    statement.errors[2] = psycopg.DataError("not that")
    found = await asked(Together(statement), range(4))
    assert [found[0], found[1], found[3]] == [0, 10, 30]
    assert found[2] is statement.errors[2]
    statement.made.clear()
    statement.errors[2] = psycopg.OperationalError("the database is away")
    assert await asked(Together(statement), range(4)) == [0, *[statement.errors[2]] * 3]
    assert statement.made == [[0], [1, 2, 3]]


async def test_the_first_that_is_cancelled_takes_nobody_with_it() -> None:
    statement = Statement()
    together = Together(statement)
    first = asyncio.create_task(together(1))
    rest = asyncio.create_task(asked(together, [2, 3]))
    await asyncio.sleep(0.001)
    first.cancel()
    assert await rest == [20, 30]
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_nobody_waits_for_something_large() -> None:
    statement = Statement()
    together = Together(statement, size=lambda number: LARGE_BYTES * number)
    assert await asked(together, [0, 2, 1, 1]) == [0, 20, 10, 10]
    assert statement.made == [[0], [2], [1, 1]]


async def test_threads_and_runs_that_are_made_at_the_same_time(client: Any) -> None:
    taken = (await client.threads.create())["thread_id"]
    made = await asyncio.gather(
        *[client.threads.create(thread_id=taken if number % 5 == 0 else None) for number in range(20)],
        return_exceptions=True,
    )
    assert [isinstance(each, ConflictError) for each in made] == [number % 5 == 0 for number in range(20)]
    threads = [each["thread_id"] for each in made if isinstance(each, dict)]
    assert len(set(threads)) == 16
    # Two at once on each: one of them waits for the other.
    ended = await asyncio.gather(
        *[client.runs.wait(thread, "echo", input={"text": f"{thread} {n}"}) for thread in threads for n in range(2)]
    )
    for number, thread in enumerate(threads):
        both = sorted(ended[2 * number : 2 * number + 2], key=lambda each: len(each["log"]))
        assert [len(each["log"]) for each in both] == [1, 2]
        assert set(both[1]["log"]) == {f"{thread} 0", f"{thread} 1"}
        assert both[1]["log"][0] == both[0]["log"][0]
        history = await client.threads.get_history(thread)
        assert len(history) == 6
    assert len(await client.threads.search(ids=threads, status="idle", limit=20)) == 16
