"""SQL of the engine.

`execute` runs every query and table statement. `call_named` runs calls of the functions in `NAMED_CALLS`, whose
result depends on the names their arguments are written with.
"""

from __future__ import annotations

from engine.sql.calls import NAMED_CALLS, call_named
from engine.sql.execution import execute

__all__ = ["NAMED_CALLS", "call_named", "execute"]
