"""What all sessions of one engine process share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from engine.calendars import TradingCalendars

if TYPE_CHECKING:
    from engine.session import Session
    from engine.values import Function, Value


@dataclass(eq=False)
class Node:
    """One engine process: its data folder, shared variables, sessions, trading calendars, users, jobs and databases.

    What is None here is set by the process that assembles the node. `functions` are its function views; `lock`
    guards the dictionaries.
    """

    data: Path
    shared: dict[str, Value] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    sessions: dict[int, Session] = field(default_factory=dict)
    users: Any = None
    jobs: Any = None
    databases: Any = None
    catalogs: Any = None
    views: Any = None
    schedule: Any = None
    job_records: Any = None
    lock: RLock = field(default_factory=RLock)
    calendars: TradingCalendars = field(init=False)

    def __post_init__(self) -> None:
        self.calendars = TradingCalendars(self.data / "marketHoliday")
