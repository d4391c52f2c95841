"""Made-up market and sensor data to try things on."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from core.errors import UserError
from dolphin.sessions import Sessions
from graph.tools.base import Tool, ToolResult, ToolScope

_SCRIPTS = {
    "trades": """\
n = {rows}
syms = `AAPL`MSFT`NVDA`AMZN`GOOG
base = 190.0 410.0 880.0 180.0 150.0
which = rand(5, n)
{name} = table(syms[which]$SYMBOL as sym, 2024.03.01T09:30:00.000 + sort(rand(23400000, n)) as ts,
    round(base[which] * (1 + 0.01 * norm(0.0, 1.0, n)), 2) as price, 100 * (1 + rand(20, n)) as qty)""",
    "quotes": """\
n = {rows}
syms = `AAPL`MSFT`NVDA`AMZN`GOOG
base = 190.0 410.0 880.0 180.0 150.0
which = rand(5, n)
mid = base[which] * (1 + 0.01 * norm(0.0, 1.0, n))
{name} = table(syms[which]$SYMBOL as sym, 2024.03.01T09:30:00.000 + sort(rand(23400000, n)) as ts,
    round(mid - 0.01, 2) as bid, round(mid + 0.01, 2) as ask,
    100 * (1 + rand(20, n)) as bidSize, 100 * (1 + rand(20, n)) as askSize)""",
    "timeseries": """\
n = {rows}
devices = `pump1`pump2`fan1`fan2
which = rand(4, n)
{name} = table(devices[which]$SYMBOL as device, 2024.03.01T00:00:00.000 + sort(rand(86400000, n)) as ts,
    round(20 + 5 * norm(0.0, 1.0, n), 2) as temperature, round(55 + 10 * norm(0.0, 1.0, n), 2) as humidity)""",
}


class CreateSampleData(BaseModel):
    """Create an in-memory table of made-up data in this thread's session: trades (sym, ts, price, qty), quotes (sym,
    ts, bid, ask, bidSize, askSize) or timeseries (device, ts, temperature, humidity). An existing variable of that
    name in the session is replaced."""

    kind: Literal["trades", "quotes", "timeseries"]
    name: str = Field(description="The name of the table.", pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")
    rows: int = Field(default=10_000, ge=1, le=10_000_000)


def sample_tools(sessions: Sessions) -> list[Tool]:
    async def create(arguments: CreateSampleData, scope: ToolScope) -> ToolResult:
        script = sample_script(arguments)
        outcome = await sessions.run(
            await scope.environment(), scope.thread_id, script, timeout=scope.timeout, continued=scope.continued
        )
        if outcome.value.data != arguments.rows:
            raise UserError(
                f"The table {arguments.name} was not made: it has {outcome.value.data} rows.", "Try another name."
            )
        notice = f"{outcome.notice}\n" if outcome.notice else ""
        return ToolResult(
            f"{notice}Created the in-memory table {arguments.name} of made-up {arguments.kind}, {arguments.rows} rows."
        )

    return [Tool("create_sample_data", CreateSampleData, create, script=sample_script)]


def sample_script(arguments: CreateSampleData) -> str:
    """The variables it needs beside the table live in a function, so that none of the user's is overwritten."""
    body = _SCRIPTS[arguments.kind].format(name="made", rows=arguments.rows)
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    return (
        f"def makeSampleData() {{\n{indented}\n    return made\n}}\n"
        f"{arguments.name} = makeSampleData()\nsize({arguments.name})"
    )
