"""An engine killed in the middle of writes opens its folder again with every acknowledged one and no half one."""

from __future__ import annotations

import copy
import os
import random
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dolphindb
import pytest

from engine import launcher

DAYS = ("2024.01.01", "2024.01.02", "2024.01.03", "2024.01.04")
MAKE = f"""
db = database("dfs://killed", VALUE, {DAYS[0]}..{DAYS[1]})
t = table(1:0, `number`day`sym`x, [LONG, DATE, SYMBOL, LONG])
db.createPartitionedTable(t, `t, `day)
"""
LOOK = """
name = first(getTables(database("dfs://killed")))
t = loadTable("dfs://killed", name)
found = select count(*) as n, sum(x) as x from t group by number, string(day) as day
(name, t.columnNames(), found)
"""
CHANGES = (
    "append", "append", "append", "update", "update", "delete", "upsert", "addColumn", "dropColumn", "rename",
    "dropPartition", "renameTable",
)  # fmt: skip
KILLS = 5


@dataclass
class Model:
    """What the table is to be: its name, its columns, and the values of `x` by number and day."""

    name: str = "t"
    columns: list[str] = field(default_factory=lambda: ["number", "day", "sym", "x"])
    groups: dict[tuple[int, str], list[int]] = field(default_factory=dict)

    def changed(self, step: int, chance: random.Random) -> str:
        """Make a change here; the script that makes it there."""
        table = f'loadTable("dfs://killed", `{self.name})'
        kind, number, day = chance.choice(CHANGES), chance.randint(max(0, step - 9), step), chance.choice(DAYS)
        rows = "table(take({0}l, {1}) as number, take(2024.01.01..2024.01.04, {1}) as day, take(`s{0}, {1}) as sym, "
        added = len(self.columns) > 4
        if kind == "update":
            self.groups = {key: [x + (key[0] == number) for x in xs] for key, xs in self.groups.items()}
            return f"update {table} set x = x + 1 where number = {number}"
        if kind == "delete":
            self.groups = {key: xs for key, xs in self.groups.items() if key[0] != number}
            return f"delete from {table} where number = {number}"
        if kind == "upsert":
            for each in DAYS:
                self.groups[number, each] = [step, *self.groups.get((number, each), [0])[1:]]
            return f"upsert!({table}, {rows.format(number, 4)}take({step}l, 4) as x), keyColNames=`number`day); 1"
        if kind == "addColumn":
            self.columns.append(f"c{step}")
            return f"addColumn({table}, `c{step}, SYMBOL)"
        if kind == "dropColumn" and added:
            return f"dropColumns!({table}, `{self.columns.pop()}); 1"
        if kind == "rename" and added:
            before, self.columns[-1] = self.columns[-1], f"r{step}"
            return f"rename!({table}, `{before}, `r{step}); 1"
        if kind == "dropPartition" and any(key[1] == day for key in self.groups):
            self.groups = {key: xs for key, xs in self.groups.items() if key[1] != day}
            return f'dropPartition(database("dfs://killed"), {day}, `{self.name})'
        if kind == "renameTable":
            before, self.name = self.name, f"t{step}"
            return f'renameTable(database("dfs://killed"), `{before}, `{self.name})'
        for each in DAYS:
            self.groups[step, each] = [*self.groups.get((step, each), []), *[step] * 25]
        return f"{table}.append!({rows.format(step, 100)}take({step}l, 100) as x)); 1"


def connected(endpoint: launcher.Endpoint) -> Any:
    session = dolphindb.Session()
    assert session.connect(endpoint.host, endpoint.port, endpoint.user, endpoint.password)
    return session


def stored(session: Any) -> Model:
    """The table as it is, the values of a group as one sum."""
    name, columns, found = session.run(LOOK)
    return Model(
        name,
        list(columns),
        {(number, day): [n, x] for number, day, n, x in found[["number", "day", "n", "x"]].values.tolist()},
    )


def summed(model: Model) -> Model:
    return Model(model.name, model.columns, {key: [len(xs), sum(xs)] for key, xs in model.groups.items()})


def ran(session: Any, script: str) -> bool:
    """Whether the engine lived to say that it is done; it must not refuse."""
    try:
        session.run(script)
    except RuntimeError as error:
        if "Server Response" in str(error):
            raise
        return False
    return True


@pytest.mark.e2e
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_acknowledged_writes_survive(tmp_path: Path) -> None:
    chance, step = random.Random(9), 0
    acknowledged = attempted = Model()
    for kill in range(KILLS):
        endpoint = launcher.start(tmp_path, idle_seconds=60)
        session = connected(endpoint)
        if kill == 0:
            session.run(MAKE)
        found = stored(session)
        assert found in (summed(acknowledged), summed(attempted))
        acknowledged = attempted if found == summed(attempted) else acknowledged
        threading.Timer(chance.uniform(0.05, 0.6), os.kill, (endpoint.pid, signal.SIGKILL)).start()
        limit = time.monotonic() + 20
        while time.monotonic() < limit:
            step += 1
            attempted = copy.deepcopy(acknowledged)
            script = attempted.changed(step, chance)
            if not ran(session, script):
                break
            acknowledged = attempted
        assert time.monotonic() < limit
        while launcher.status(tmp_path) is not None:
            time.sleep(0.01)
    assert step > 2 * KILLS
    launcher.stop(tmp_path)
