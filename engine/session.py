"""A client's session: its variables, user, and the job it is running."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING

from engine.errors import CancelledError

if TYPE_CHECKING:
    import numpy as np

    from engine.interpreter.modules import Module
    from engine.node import Node
    from engine.values import Function, Value


@dataclass(eq=False)
class Session:
    """Variables live as long as the session. `output` receives what a script prints, line by line. `address` is the
    client's, `started` in seconds since 1970.

    `random` is made when first needed, or by `setRandomSeed`. `matched_rows` are those of the last insert, update or
    delete. `acting` is the owner of the function view that runs, whose rights count then. `catalog` is the one that
    names without a catalog are of. `modules` are those that were loaded, by name.
    """

    id: int
    node: Node
    user: str = "guest"
    variables: dict[str, Value] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    output: Callable[[str], None] = lambda _text: None
    cancelled: Event = field(default_factory=Event)
    deadline: float | None = None
    address: str = ""
    started: float = field(default_factory=time.time)
    random: np.random.Generator | None = None
    matched_rows: int = 0
    acting: str | None = None
    catalog: str | None = None
    modules: dict[str, Module] = field(default_factory=dict)

    @property
    def acting_user(self) -> str:
        """Whose rights count: those of the owner of a function view while it runs, else those of the user."""
        return self.user if self.acting is None else self.acting

    def check(self) -> None:
        """Raise CancelledError if the running job is to stop."""
        if self.cancelled.is_set():
            raise CancelledError("The job was cancelled.")
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise CancelledError("The job ran out of time.")
