"""One client connection: its session, and the loop that answers its requests."""

from __future__ import annotations

import logging
import re
import secrets
import select
import socket
import time
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from engine.errors import INTERNAL, CancelledError, ScriptError, refusal
from engine.functions.registry import Builtin, Registry
from engine.interpreter import Interpreter
from engine.jobs import ConsoleJob, described
from engine.server.resends import Outcome, Resends
from engine.server_node import ServerNode
from engine.session import Session
from engine.sql.source import stored_table
from engine.types import Type
from engine.users import GUEST, WRONG_LOGIN
from engine.values import Closure, Function, Nothing, Partial, Pattern, Scalar, Table, Value, vector
from engine.wire import requests
from engine.wire.encode import Buffer, Encoding, encode, encode_blocks
from engine.wire.reader import Disconnected, ProtocolError, StreamReader
from engine.wire.requests import Request, read_request

if TYPE_CHECKING:
    from engine.users import Users

logger = logging.getLogger("engine")

_BEFORE_CONNECT = 1 << 16
_JOIN_BELOW = 1 << 16
_RESEND_GRACE = 10.0
_PRINT_MILLISECONDS = 200
_IDENTIFIER = re.compile(r"[^\W\d]\w*")
_FETCH_ERROR = "Fetch size can only be set when executing scripts that return a table."


@dataclass(frozen=True)
class Limits:
    """What one server process gives away: numbers and bytes. `memory` is for the whole process."""

    connections: int = 256
    body_bytes: int = 64 * 2**20
    request_bytes: int = 2 * 2**30
    result_bytes: int = 4 * 2**30
    memory: int = 8 * 2**30


class Transport(Protocol):
    """Bytes to and from a client; `send_message` delivers one whole response or line of output."""

    all_types: bool

    def receive(self, size: int) -> bytes: ...

    def send_message(self, buffers: list[Buffer]) -> None: ...


class SocketTransport:
    """The native protocol: a plain stream."""

    all_types = False

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def receive(self, size: int) -> bytes:
        return self._socket.recv(size)

    def send_message(self, buffers: list[Buffer]) -> None:
        small: list[Buffer] = []
        waiting = 0
        for buffer in buffers:
            if len(buffer) >= _JOIN_BELOW:
                if small:
                    self._socket.sendall(b"".join(small))
                    small, waiting = [], 0
                self._socket.sendall(buffer)
                continue
            small.append(buffer)
            waiting += len(buffer)
            if waiting >= _JOIN_BELOW:
                self._socket.sendall(b"".join(small))
                small, waiting = [], 0
        if small:
            self._socket.sendall(b"".join(small))


class Connection:
    """Serves one client until it goes away. `run` blocks."""

    def __init__(
        self,
        connected: socket.socket,
        transport: Transport,
        reader: StreamReader,
        node: ServerNode,
        registry: Registry,
        limits: Limits,
        resends: Resends,
    ) -> None:
        self._socket = connected
        self._transport = transport
        self._reader = reader
        self._node = node
        self._registry = registry
        self._limits = limits
        self._resends = resends
        self._sending = Lock()
        self._prints = False
        self._lost_at: float | None = None
        self._draining = False
        self.busy = False
        host, port = connected.getpeername()[:2]
        self.address = f"{host}:{port}"
        self.session = Session(secrets.randbelow(2**31 - 2**20) + 2**20, node, output=self._print, address=self.address)
        self._interpreter = Interpreter(self.session, registry)

    def run(self) -> None:
        session, node = self.session, self._node
        with node.lock:
            node.sessions[session.id] = session
        self._reader.budget = _BEFORE_CONNECT
        try:
            while not self._draining and not self._reader.at_end():
                request = read_request(self._reader, self._limits.body_bytes)
                self.busy = True
                self._answer(request)
                self.busy = False
                self._reader.budget = self._limits.request_bytes
        except Disconnected:
            logger.info("%s went away in the middle of a request", self.address)
        except ProtocolError as error:
            logger.warning("closing the connection of %s: %s", self.address, error)
        except MemoryError:
            logger.warning("closing the connection of %s: there is no memory for its request", self.address)
        except OSError as error:
            logger.info("lost the connection of %s: %s", self.address, error)
        finally:
            self.busy = False
            with node.lock:
                node.sessions.pop(session.id, None)
            session.variables.clear()
            self.close()

    def close(self) -> None:
        self._socket.close()

    def drain(self) -> None:
        """Let a running request finish and take no more."""
        self._draining = True
        if not self.busy:
            self.abort()

    def abort(self) -> None:
        """End the connection at once."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            logger.debug("%s was gone already", self.address)

    def is_alive(self) -> bool:
        """Whether the client is still there; looks without taking anything from the stream."""
        try:
            return self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False

    def _takes_more(self) -> bool:
        """Whether something can be sent to the client without waiting; waits a little for it."""
        writable = select.poll()
        writable.register(self._socket, select.POLLOUT)
        return bool(writable.poll(_PRINT_MILLISECONDS))

    def _send(self, buffers: list[Buffer]) -> None:
        with self._sending:
            self._transport.send_message(buffers)

    def _print(self, text: str) -> None:
        if not self._prints:
            return
        try:
            # A client that does not read what is printed must not keep a cancelled job from ending.
            while not self._takes_more():
                self.session.check()
            self._send([requests.message(text)])
        except OSError:
            self.session.cancelled.set()

    def _answer(self, request: Request) -> None:
        if request.kind == "connect":
            self._connect(request)
            return
        options = request.options
        silent = bool(options.flags & requests.FLAG_ASYNCHRONOUS)
        outcome: Outcome | None = None
        if options.client and options.sequence and request.kind != "variable":
            outcome, fresh = self._resends.enter(options.client, options.sequence)
            if not fresh:
                self._repeat(outcome, silent)
                return
        self._prints = request.messages and not silent
        error: str | None = None
        buffers: list[Buffer] = []
        try:
            buffers = self._perform(request, outcome)
        except ScriptError as problem:
            error = str(problem)
        except MemoryError:
            error = "Out of memory"
        except RecursionError:
            error = "The script is nested too deeply (stack overflow)."
        except OSError as problem:
            error = refusal(problem)
        except Exception:
            logger.exception("a request failed unexpectedly")
            error = INTERNAL
        finally:
            self._prints = False
            if options.flags & requests.FLAG_CLEAR_MEMORY:
                self.session.variables.clear()
        if outcome is not None:
            size = sum(map(len, buffers))
            kept = b"".join(buffers) if error is None and size <= 1 << 20 else None
            outcome.finish(kept, error, bool(buffers))
        if silent:
            if error is not None:
                logger.warning("an asynchronous request of %s failed: %s", self.address, error)
        elif error is not None:
            self._send([requests.error(self.session.id, error)])
        else:
            self._send([requests.header(self.session.id, bool(buffers)), *buffers])

    def _repeat(self, outcome: Outcome, silent: bool) -> None:
        while not outcome.done.wait(0.1):
            if not self.is_alive():
                return
        if silent:
            return
        if outcome.error is not None:
            self._send([requests.error(self.session.id, outcome.error)])
        elif outcome.body is not None:
            self._send([requests.header(self.session.id, outcome.has_object), outcome.body])
        else:
            text = "The request was executed before the connection was lost; its result was too large to keep."
            self._send([requests.error(self.session.id, text)])

    def _connect(self, request: Request) -> None:
        users: Users = self._node.users
        if request.login is not None and request.login.user:
            login = request.login
            if login.user != GUEST and not users.verify(login.user, login.password):
                logger.warning("%s failed to log in as %s", self.address, login.user)
                self._send([requests.error(self.session.id, WRONG_LOGIN)])
                return
            self.session.user = login.user
        self._send([requests.header(self.session.id, False)])

    def _is_wanted(self, outcome: Outcome | None) -> bool:
        """Whether somebody still waits for the running request; a client that may come back is given some time."""
        if self.is_alive() or (outcome is not None and outcome.claimed.is_set()):
            self._lost_at = None
            return True
        if self._lost_at is None:
            self._lost_at = time.monotonic()
        return outcome is not None and time.monotonic() - self._lost_at < _RESEND_GRACE

    def _perform(self, request: Request, outcome: Outcome | None) -> list[Buffer]:
        """Run a request and encode its result; an empty list for no result."""
        options = request.options
        if options.flags & (requests.FLAG_PYTHON_PARSER | requests.FLAG_KDB_PARSER):
            raise ScriptError("The embedded engine runs DolphinDB script only; use the default parser.")
        if options.flags & requests.FLAG_SQL_DIALECT:
            raise ScriptError("The embedded engine runs DolphinDB SQL only; leave out the SQL dialect (sqlStd).")
        if not request.is_text:
            raise ScriptError("The text of the request is not UTF-8. Convert it before it is sent.")
        silent = bool(options.flags & requests.FLAG_ASYNCHRONOUS)
        job = ConsoleJob(
            self.session,
            described(request.text or f"upload of {', '.join(request.names)}"),
            request.kind,
            options.priority,
            options.parallelism,
            self.address,
            alive=(lambda: True) if silent else (lambda: self._is_wanted(outcome)),
        )
        self._lost_at = None
        with self._node.jobs.running(job):
            try:
                result = self._result(request)
                return self._encoded(request, result)
            except CancelledError:
                if job.cancel_reason is not None:
                    raise CancelledError(job.cancel_reason) from None
                raise

    def _result(self, request: Request) -> Value:
        if request.kind == "script":
            return self._interpreter.run(request.text)
        if request.kind == "variable":
            for name in request.names:
                if not _IDENTIFIER.fullmatch(name):
                    raise ScriptError(f"Invalid variable name [{name}].")
            self.session.variables.update(zip(request.names, request.values, strict=True))
            addresses = [id(value) for value in request.values]
            return Scalar(Type.LONG, addresses[0]) if len(addresses) == 1 else vector(Type.LONG, addresses)
        return self._interpreter.call(self._function(request.text), request.values)

    def _function(self, text: str) -> Function:
        builtin = self._registry.find(text)
        if builtin is not None and text not in self.session.variables:
            return builtin
        value = self._interpreter.run(text)
        if not isinstance(value, (Builtin, Closure, Partial, Pattern)):
            raise ScriptError(f"[{described(text)}] is not a function.")
        return value

    def _encoded(self, request: Request, result: Value) -> list[Buffer]:
        options = request.options
        encoding = Encoding(
            all_types=self._transport.all_types,
            decimals=not options.flags & requests.FLAG_DECIMAL_AS_DOUBLE,
            max_bytes=self._node.result_limit,
        )
        if options.fetch_size > 0 and request.kind == "script":
            stored = stored_table(result)
            if stored is not None:
                result = stored.read(None, [])
            if not isinstance(result, Table):
                raise ScriptError(_FETCH_ERROR)
            return encode_blocks(result, options.fetch_size, encoding)
        if isinstance(result, Nothing):
            return []
        return encode(result, encoding)
