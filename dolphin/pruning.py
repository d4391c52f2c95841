"""What a query would cost, told without running it."""

from __future__ import annotations

from core.errors import InvalidInputError
from dolphin.environment import Environment
from dolphin.script import parse
from dolphin.script.effects import Effect, effects
from dolphin.script.errors import ScriptSyntaxError
from dolphin.script.syntax import ExpressionStatement, Select
from dolphin.sessions import Sessions

SECONDS = 15.0


async def partitions_read(sessions: Sessions, environment: Environment, thread_id: str, query: str) -> int:
    """How many partitions one select on a partitioned table would read, counted by `sqlDS`.

    Raises InvalidInputError for anything but one plain select, DolphinDBError where the server cannot count.
    """
    remedy = "Give one select statement on a partitioned table."
    try:
        script = parse(query)
    except ScriptSyntaxError as error:
        raise InvalidInputError(f"The query does not parse: {error}.", remedy) from None
    match script.statements:
        case (ExpressionStatement(value=Select() as select),):
            pass
        case _:
            raise InvalidInputError("Partitions can be counted for one select only.", remedy)
    if effects(query).level > Effect.session:
        raise InvalidInputError("The query does more than read.", remedy)
    text = query[select.span.start : select.span.end]
    forced = ", true" if select.grouping is not None or select.order else ""
    return int(await sessions.evaluate(environment, thread_id, f"size(sqlDS(<{text}>{forced}))", timeout=SECONDS))
