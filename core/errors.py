"""Errors a user can cause: each has a sentence that says what happened and a remedy that says what to do."""

from __future__ import annotations

from typing import ClassVar


class UserError(Exception):
    """Base of all errors that are shown to a user as text. `status` is the HTTP status a server answers with."""

    status: ClassVar[int] = 400

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".rstrip()


class ConfigurationError(UserError):
    """A setting is missing, malformed or contradicts another one."""


class InvalidInputError(UserError):
    """A value given by a caller cannot be used."""

    status = 422


class NotFoundError(UserError):
    """The thing does not exist, or belongs to somebody else: the two are not told apart."""

    status = 404


class ConflictError(UserError):
    """The thing exists already, or is in a state that forbids the request."""

    status = 409


class DatabaseUnavailableError(UserError):
    """Postgres cannot be started or reached."""

    status = 503


class DolphinDBError(UserError):
    """DolphinDB answered a script with an error. `message` is the server's text, without an echo of the script."""

    def __init__(
        self, message: str, remedy: str = "", *, script: str = "", line: int | None = None, printed: str = ""
    ) -> None:
        super().__init__(message, remedy)
        self.script = script
        self.line = line
        self.printed = printed


class DolphinDBUnavailableError(DolphinDBError):
    """The server cannot be reached, or the connection broke.

    `may_have_run` tells whether the script may have run, in full or in part: then it must not be sent again unasked.
    """

    status = 503

    def __init__(self, message: str, remedy: str = "", *, script: str = "", may_have_run: bool = False) -> None:
        super().__init__(message, remedy, script=script)
        self.may_have_run = may_have_run


class DolphinDBTimeoutError(DolphinDBError):
    """A script took longer than its limit. `stopped` tells whether the server confirmed the end of the job."""

    status = 504

    def __init__(self, message: str, remedy: str = "", *, script: str = "", stopped: bool) -> None:
        super().__init__(message, remedy, script=script)
        self.stopped = stopped


class TooManySessionsError(DolphinDBError):
    """Every session up to the cap is busy."""

    status = 429
