"""What can go wrong, as a test orders it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["throttle", "server_error", "lost_answer", "refused_connection", "no_stock", "quota", "forbidden"]


@dataclass
class Fault:
    """Happens to the next `times` calls of `action`, in `zone` if one is given.

    `lost_answer` carries the call out and then breaks the connection, as a time-out would.
    """

    action: str
    kind: Kind
    times: int = 1
    zone: str | None = None

    def fits(self, action: str, zone: str) -> bool:
        return self.times > 0 and self.action == action and self.zone in (None, zone)


class ApiError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


ERRORS: dict[str, tuple[int, str, str]] = {
    "throttle": (400, "Throttling.User", "Request was denied due to user flow control."),
    "server_error": (500, "InternalError", "The request processing has failed due to some unknown error."),
    "no_stock": (400, "NoStock", "Create ECI failed because the specified instance is out of stock."),
    "quota": (400, "QuotaExceeded", "Living ECI quota exceeded."),
    "forbidden": (403, "Forbidden.RAM", "User not authorized to operate on the specified resource."),
}
