"""One blocking connection of the official client, with its habits put right.

The client returns False where it cannot connect, raises bare RuntimeError for everything, echoes scripts in messages
and writes to the process's standard output; here that becomes exceptions of ours and collected text.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.errors import DolphinDBError, DolphinDBUnavailableError
from dolphin.capture import RESULT, capture
from dolphin.environment import Environment
from dolphin.fetch import fetch
from dolphin.values import Result, python_result

if TYPE_CHECKING:
    import dolphindb

CONNECT_SECONDS = 5.0
PRINTED_LINES = 10_000
SERVER_RESPONSE = re.compile(r"Server Response: '(?P<text>.*)' script: ", re.DOTALL)
LINE = re.compile(r"\[line #(\d+)\]")
NOT_SENT = ("connection has been closed", "Couldn't send script/function")
BROKEN = (
    "Failed to read",
    "IO error",
    "Couldn't read",
    "connection has been closed",
    "Couldn't send",
    "Failed to connect",
    "Received invalid header",
    "socket",
)


class Connection:
    """A session on a server. Not for use by two threads at once."""

    def __init__(self, environment: Environment) -> None:
        """Connects. Raises DolphinDBUnavailableError."""
        self.environment = environment
        self._session = _connect(environment)
        self._printed = _collect_output(self._session)
        self._functions: Mapping[str, bool] = {}
        self.session_id = str(self._session.session_id)

    def alive(self) -> bool:
        """Whether the server answers in this session."""
        try:
            return bool(self._session.is_alive)
        except RuntimeError:
            return False

    def run(self, script: str, row_limit: int) -> Result:
        """Runs a script once and brings its last value. Raises DolphinDBError or DolphinDBUnavailableError."""
        captured = capture(script, self._functions)
        self._functions = captured.functions
        try:
            value = self._session.run(captured.text)
        except RuntimeError as error:
            raise self._error(error, captured.text, script) from None
        except (TypeError, ValueError, UnicodeError) as error:
            raise DolphinDBError(
                f"The script ran, but the client cannot read its result: {error}",
                "End the script with a value of another type, such as string(x).",
                script=script,
            ) from None
        if captured.name is None:
            return python_result(value)
        try:
            return fetch(self._session.run, captured.name, value, row_limit)
        except RuntimeError as error:
            raised = self._error(error, "", script, ran=True)
            if isinstance(raised, DolphinDBUnavailableError):
                raise raised from None
            raise DolphinDBError(
                f"The script ran, but its result cannot be brought here: {raised.message}",
                "Its variables are set. End the script with a smaller or simpler value, such as a query with limit.",
                script=script,
            ) from error
        finally:
            if captured.name == RESULT:
                self._forget()

    def _forget(self) -> None:
        try:
            self._session.run(f"undef(`{RESULT}, VAR)")
        except RuntimeError:
            # A session that is beyond this is found out by the next request.
            return

    def call(self, function: str, arguments: tuple[Any, ...]) -> Any:
        """Applies a function to Python values and returns what the client decodes."""
        try:
            if arguments:
                return self._session.run(function, *arguments)
            return self._session.run(f"{function}()")
        except RuntimeError as error:
            raise self._error(error, function, function) from None

    def evaluate(self, script: str) -> Any:
        """Runs a script of our own and returns what the client decodes."""
        try:
            return self._session.run(script)
        except RuntimeError as error:
            raise self._error(error, script, script) from None

    def upload(self, variables: Mapping[str, Any]) -> None:
        try:
            self._session.upload(dict(variables))
        except RuntimeError as error:
            raise self._error(error, "", "") from None

    def take_printed(self) -> str:
        """What scripts printed since this was last asked."""
        text = "\n".join(self._printed)
        self._printed.clear()
        return text

    def cancel(self, session_id: str) -> bool:
        """Cancels what another session is running. Returns whether the server had such a job."""
        jobs = self.evaluate(f"exec string(rootJobId) from getConsoleJobs() where sessionId = {int(session_id)}")
        names = [str(job) for job in ([] if jobs is None else jobs)]
        if names:
            self.call("cancelConsoleJob", (names,))
        return bool(names)

    def close(self) -> None:
        self._session.close()

    def _error(self, error: RuntimeError, sent: str, script: str, *, ran: bool = False) -> DolphinDBError:
        text = str(error)
        found = SERVER_RESPONSE.search(text)
        if found is None and any(mark in text for mark in BROKEN):
            return self._broken(script, may_have_run=ran or not any(mark in text for mark in NOT_SENT))
        message = found["text"] if found else text
        if found is not None and sent:
            ending = f"' script: {sent}"
            start = text.index("Server Response: '") + len("Server Response: '")
            end = text.rfind(ending)
            message = text[start:end] if end >= start else message
        message = message.replace(f"{RESULT} = ", "").strip()
        line = LINE.search(message)
        return DolphinDBError(message, script=script, line=int(line[1]) if line else None)

    def _broken(self, script: str, *, may_have_run: bool) -> DolphinDBUnavailableError:
        where = f"{self.environment.host}:{self.environment.port}"
        if may_have_run:
            return DolphinDBUnavailableError(
                f"The connection to DolphinDB at {where} broke while the script was running.",
                "It is not known whether the script ran. Check its effects before you run it again.",
                script=script,
                may_have_run=True,
            )
        return DolphinDBUnavailableError(
            f"The connection to DolphinDB at {where} is closed: the script was not sent.",
            "Run it again.",
            script=script,
        )


def _connect(environment: Environment) -> dolphindb.Session:
    import dolphindb
    from dolphindb.logger import default_logger

    default_logger.disable_stdout_sink()
    where = f"{environment.host}:{environment.port}"
    try:
        socket.create_connection((environment.host, environment.port), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise DolphinDBUnavailableError(
            f"DolphinDB at {where} cannot be reached: {error.strerror or error}.",
            "Check that the server runs, and the host and port of the environment.",
        ) from None
    # With show_output off, printed text does not reach the sinks either.
    session = dolphindb.Session(show_output=True)
    session.msg_logger.disable_stdout_sink()
    try:
        connected = session.connect(
            environment.host, environment.port, environment.user, environment.password.get_secret_value()
        )
    except RuntimeError as error:
        found = re.search(r"response: '(.*?)'", str(error), re.DOTALL)
        raise DolphinDBUnavailableError(
            f"DolphinDB at {where} refused the connection: {found[1] if found else error}.",
            "Check the user and password of the environment.",
        ) from None
    if not connected:
        raise DolphinDBUnavailableError(
            f"DolphinDB at {where} did not accept the connection of user {environment.user}.",
            "Check the user and password of the environment, and that the server has finished starting.",
        )
    return session


def _collect_output(session: dolphindb.Session) -> list[str]:
    from dolphindb.logger import Sink

    lines: list[str] = []

    class Collector(Sink):  # type: ignore[misc]
        def handle(self, message: Any) -> None:
            if len(lines) < PRINTED_LINES:
                lines.append(str(message.log))
            elif len(lines) == PRINTED_LINES:
                lines.append("… (further output is left out)")

    session.msg_logger.add_sink(Collector("collector"))
    return lines
