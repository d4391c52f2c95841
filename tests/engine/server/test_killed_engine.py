"""An engine killed in the middle of appends opens its folder again with every acknowledged append and no half one."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import dolphindb
import pytest

from engine import launcher

MAKE = """
db = database("dfs://killed", VALUE, 2024.01.01..2024.01.04)
t = table(1:0, `number`day`x, [LONG, DATE, DOUBLE])
db.createPartitionedTable(t, `t, `day)
"""
APPEND = """
rows = table(take({number}, 100) as number, take(2024.01.01..2024.01.04, 100) as day, rand(1.0, 100) as x)
size(loadTable("dfs://killed", `t).append!(rows))
"""
KILLS = 6


def connected(endpoint: launcher.Endpoint) -> Any:
    session = dolphindb.Session()
    assert session.connect(endpoint.host, endpoint.port, endpoint.user, endpoint.password)
    return session


@pytest.mark.e2e
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_acknowledged_appends_survive(tmp_path: Path) -> None:
    chance, acknowledged, number = random.Random(9), 0, 0
    for kill in range(KILLS):
        endpoint = launcher.start(tmp_path, idle_seconds=60)
        session = connected(endpoint)
        if kill == 0:
            session.run(MAKE)
        found = session.run("select count(*) as n from loadTable('dfs://killed', `t) group by number order by number")
        assert found["number"].tolist() == list(range(len(found)))
        assert (found["n"] == 100).all()
        assert acknowledged <= len(found) <= number
        acknowledged = number = len(found)
        threading.Timer(chance.uniform(0.05, 0.6), os.kill, (endpoint.pid, signal.SIGKILL)).start()
        limit = time.monotonic() + 20
        try:
            while time.monotonic() < limit:
                number += 1
                session.run(APPEND.format(number=number - 1))
                acknowledged = number
        except Exception:
            pass
        assert time.monotonic() < limit
        while launcher.status(tmp_path) is not None:
            time.sleep(0.01)
    launcher.stop(tmp_path)
