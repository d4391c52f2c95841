"""At-most-once execution: what became of requests that a client may send again after a lost connection."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Event, Lock

_KEPT = 4096
_RESPONSE_LIMIT = 1 << 20


@dataclass(eq=False)
class Outcome:
    """`body` is the object sent, `error` the error text; neither once done means that the result was not kept."""

    done: Event = field(default_factory=Event)
    claimed: Event = field(default_factory=Event)
    has_object: bool = False
    body: bytes | None = None
    error: str | None = None

    def finish(self, body: bytes | None, error: str | None, has_object: bool) -> None:
        self.has_object = has_object
        self.error = error
        if body is not None and len(body) <= _RESPONSE_LIMIT:
            self.body = body
        self.done.set()


class Resends:
    """Outcomes by client and sequence number, the newest few thousand."""

    def __init__(self) -> None:
        self._outcomes: OrderedDict[tuple[str, int], Outcome] = OrderedDict()
        self._lock = Lock()

    def enter(self, client: str, sequence: int) -> tuple[Outcome, bool]:
        """The outcome of a request and whether it is to be executed now.

        A negative sequence number marks a repetition: if its first copy arrived, the outcome is that one's, which may
        still be pending.
        """
        key = (client, abs(sequence))
        with self._lock:
            known = self._outcomes.get(key)
            if known is not None and sequence < 0:
                known.claimed.set()
                return known, False
            fresh = self._outcomes[key] = Outcome()
            while len(self._outcomes) > _KEPT:
                self._outcomes.popitem(last=False)
            return fresh, True
