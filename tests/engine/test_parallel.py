"""Long columns shared by threads: order, errors, and what a thread sees of the caller."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from engine import parallel


def test_results_come_in_the_order_of_the_parts() -> None:
    assert parallel.each(lambda part: part * 2, range(100), parallel.LONG) == list(range(0, 200, 2))
    assert parallel.each(lambda part: part * 2, range(3), 0) == [0, 2, 4]


def test_another_thread_helps_and_sees_the_context_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_idle_processors", lambda: 1)
    both = threading.Barrier(2, timeout=30)

    def work(_part: int) -> tuple[str, str]:
        both.wait()
        return threading.current_thread().name, np.geterr()["divide"]

    with np.errstate(divide="ignore"):
        found = parallel.each(work, range(2), parallel.LONG)
    assert len({name for name, _ in found}) == 2
    assert {divide for _, divide in found} == {"ignore"}


def test_the_first_error_ends_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_idle_processors", lambda: 1)
    done: list[int] = []

    def work(part: int) -> None:
        if part == 3:
            raise ValueError("no")
        done.append(part)

    with pytest.raises(ValueError, match="no"):
        parallel.each(work, range(10_000), parallel.LONG)
    assert len(done) < 10_000 - 1
    assert not [thread for thread in threading.enumerate() if thread.name == "columns"]


def test_the_work_is_done_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(parallel, "_idle_processors", lambda: 1)
    monkeypatch.setattr(threading.Thread, "start", refused)
    assert parallel.each(lambda part: part + 1, [1, 2, 3], parallel.LONG) == [2, 3, 4]


@pytest.mark.parametrize("dtype", [np.int32, np.float64, object])
def test_many_elements_are_taken_like_few(dtype: type) -> None:
    data = np.arange(1000).astype(dtype)
    indices = np.random.default_rng(1).integers(-1000, 1000, parallel.LONG + 7)
    assert (parallel.taken(data, indices) == data[indices]).all()
    assert parallel.taken(data, slice(3, 5)).tolist() == [3, 4]
    with pytest.raises(IndexError):
        parallel.taken(data, indices + 1)
