from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from engine.functions.registry import Registry
from engine.interpreter import Interpreter
from engine.node import Node
from engine.session import Session
from tests.engine.sql.conftest import plain


def test_sessions_write_a_shared_table_at_the_same_time(registry: Registry, tmp_path: Path) -> None:
    node = Node(tmp_path)
    Interpreter(Session(0, node), registry).run("share table(1:0, `k`x, [INT, DOUBLE]) as st")

    def write(number: int) -> None:
        session = Interpreter(Session(number, node), registry)
        for _ in range(50):
            session.run(f"insert into st values({number} {number}, 1 2)")
            session.run(f"update st set x = x + 1 where k = {number}")
            session.run("select count(*), sum(x) from st group by k")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(1, 5)))
    reader = Interpreter(Session(9, node), registry)
    assert plain(reader.run("select count(*) as n, sum(x) as s from st group by k")) == {
        "k": [1, 2, 3, 4], "n": [100] * 4, "s": [2700.0] * 4,
    }  # fmt: skip
