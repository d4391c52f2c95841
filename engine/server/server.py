"""The server process: accepts clients on one TCP port and gives each a connection in a thread of its own."""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import resource
import secrets
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from threading import Event, Lock, Thread

from engine.data_folder import DataFolder, Endpoint
from engine.functions import builtin_functions
from engine.functions.registry import Registry
from engine.functions.server.scheduled_jobs import run_scheduled_job
from engine.interpreter.stack import STACK_BYTES
from engine.jobs import Jobs
from engine.limits import keep_freed_memory
from engine.server.connection import Connection, Limits, SocketTransport, Transport
from engine.server.resends import Resends
from engine.server.watch import Watch
from engine.server_node import ServerNode, assemble
from engine.wire.reader import Disconnected, ProtocolError, StreamReader
from engine.wire.websocket import WebSocketTransport

logger = logging.getLogger("engine")

_FIRST_BYTES_SECONDS = 30.0
_DRAIN_SECONDS = 5.0
_LEAVE_SECONDS = 10.0
_SPARE_THREADS = 13
FROZEN_SECONDS = 60.0


class Server:
    """Listens after `start`; `port` is then the real one. `stop` lets running requests finish for a few seconds."""

    def __init__(self, node: ServerNode, registry: Registry, limits: Limits | None = None) -> None:
        self.node = node
        self._registry = registry
        self._limits = limits or Limits(memory=node.memory_limit)
        self._resends = Resends()
        self._connections: set[Connection] = set()
        self._pending = 0
        self._lock = Lock()
        self._idle_since = time.monotonic()
        self._listening: socket.socket | None = None
        node.connection_limit = self._limits.connections
        self._watch = Watch(node.jobs, lambda: node.memory_limit)
        self._threads: set[Thread] = set()
        self.caps_memory = False
        """Whether the limit on memory is also set for the process as a whole."""

    @property
    def port(self) -> int:
        return self.node.port

    def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(256)
        self._listening = listening
        self.node.host = host
        self.node.port = int(listening.getsockname()[1])
        self._watch.start()
        self.node.schedule.start(lambda job: run_scheduled_job(self.node, self._registry, job))
        Thread(target=self._accept, args=(listening,), name="accept", daemon=True).start()

    def idle_seconds(self) -> float:
        """How long nobody has been connected and nothing has run, or is to run at a later time."""
        scheduled = self.node.schedule.next_time() is not None
        with self._lock:
            if self._connections or self._pending or scheduled or self.node.jobs.busy():
                self._idle_since = time.monotonic()
            return time.monotonic() - self._idle_since

    def stop(self) -> None:
        if self._listening is not None:
            self._close_listening(self._listening)
        self.node.schedule.stop()
        deadline = time.monotonic() + _DRAIN_SECONDS
        for connection in self._open():
            connection.drain()
        while self.node.jobs.busy() and time.monotonic() < deadline:
            time.sleep(0.02)
        jobs: Jobs = self.node.jobs
        jobs.cancel_all()
        deadline = time.monotonic() + 1.0
        while jobs.busy() and time.monotonic() < deadline:
            time.sleep(0.02)
        for connection in self._open():
            connection.abort()
        for thread in list(self._threads):
            thread.join(0.5)
        self._watch.stop()

    def _close_listening(self, listening: socket.socket) -> None:
        try:
            listening.shutdown(socket.SHUT_RDWR)
        except OSError:
            logger.debug("the listening socket was down already")
        listening.close()

    def _open(self) -> list[Connection]:
        with self._lock:
            return list(self._connections)

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connected, _ = listening.accept()
            except OSError:
                return
            with self._lock:
                count = len(self._connections) + self._pending
                full = count >= self.node.connection_limit
                self._pending += not full
            if full:
                logger.warning("refused a connection: %d are open", count)
                connected.close()
                continue
            if self.caps_memory:
                limit_memory(self.node.memory_limit, count + 1)
            thread = Thread(target=self._serve, args=(connected,), name="connection", daemon=True)
            self._threads.add(thread)
            try:
                thread.start()
            except RuntimeError:
                logger.exception("no thread for a new connection")
                self._threads.discard(thread)
                connected.close()
                with self._lock:
                    self._pending -= 1

    def _serve(self, connected: socket.socket) -> None:
        connection = None
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connected.settimeout(_FIRST_BYTES_SECONDS)
            transport, reader = self._greet(connected)
            connected.settimeout(None)
            connection = Connection(
                connected, transport, reader, self.node, self._registry, self._limits, self._resends
            )
        except (ProtocolError, OSError) as error:
            if not isinstance(error, Disconnected):
                logger.warning("closing a connection that did not speak the protocol: %s", error)
            connected.close()
        finally:
            with self._lock:
                self._pending -= 1
                if connection is not None:
                    self._connections.add(connection)
        try:
            if connection is not None:
                connection.run()
        finally:
            with self._lock:
                self._idle_since = time.monotonic()
                if connection is not None:
                    self._connections.discard(connection)
            self._threads.discard(threading.current_thread())

    def _greet(self, connected: socket.socket) -> tuple[Transport, StreamReader]:
        native = SocketTransport(connected)
        reader = StreamReader(native.receive)
        if reader.at_end():
            raise Disconnected("nothing was sent")
        first = reader.peek(3)
        if first == b"API":
            return native, reader
        if first == b"GET":
            transport = WebSocketTransport(connected, reader)
            transport.handshake()
            return transport, StreamReader(transport.receive)
        raise ProtocolError(f"the first bytes are {first!r}")


def limit_memory(memory: int, threads: int) -> None:
    """Make allocations far beyond `memory` bytes fail at once instead of bringing the machine down.

    The stacks of the threads count as memory for the system although most of it is never touched.
    """
    wanted = memory + memory // 4 + (threads + _SPARE_THREADS) * STACK_BYTES + 2**30
    _soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))


def _end_when_frozen(seconds: float) -> None:
    """Put the process's end off by so long. It needs no interpreter lock, so it comes when nothing else can."""
    try:
        faulthandler.dump_traceback_later(seconds, exit=True)
    except RuntimeError:
        logger.warning("there is no memory for the thread that would end a frozen process")


def serve(
    data: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    user: str = "admin",
    password: str | None = None,
    idle_seconds: float | None = None,
    limits: Limits | None = None,
    frozen_seconds: float = FROZEN_SECONDS,
) -> int:
    """Serve a data folder until SIGTERM, SIGINT or, with `idle_seconds`, until nobody has come for that long.

    A step of a script that lets nothing else run for `frozen_seconds`, such as sorting a very long
    column of texts, cannot be cancelled: the process then ends by itself, as if it were killed.

    Prints one line of JSON with the address when ready. The password of `user` is generated if not given; it is in
    the folder's `engine.json`, which only the owner can read. Returns the exit status, with which the process has to
    end within seconds: libraries that ran out of memory may wait for ever for their threads, and it is ended then.
    """
    limits = limits or Limits()
    folder = DataFolder(data)
    if not folder.acquire():
        print(f"Another engine serves {data} already.", file=sys.stderr)
        return 1
    stopped = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    limit_memory(limits.memory, 0)
    keep_freed_memory()
    threading.stack_size(STACK_BYTES)
    secret = password if password is not None else secrets.token_urlsafe(15)
    registry = builtin_functions()
    node = assemble(data, registry, admin=user, admin_password=secret, memory_limit=limits.memory)
    node.result_limit = limits.result_bytes
    server = Server(node, registry, limits)
    server.caps_memory = True
    _end_when_frozen(frozen_seconds)
    try:
        server.start(host, port)
    except OSError as error:
        print(f"Cannot listen on {host}:{port}: {error.strerror}.", file=sys.stderr)
        return 1
    endpoint = Endpoint(host, server.port, user, secret, os.getpid())
    folder.publish(endpoint)
    ready = {"host": host, "port": server.port, "pid": endpoint.pid, "user": user, "state": str(folder.state_path)}
    print(json.dumps(ready), flush=True)
    logger.info("listening on %s:%d, data in %s", host, server.port, data)
    while not stopped.wait(0.2):
        _end_when_frozen(frozen_seconds)
        if idle_seconds is not None and server.idle_seconds() >= idle_seconds:
            logger.info("nobody came for %.0f seconds", idle_seconds)
            break
        if not folder.state_path.exists():
            logger.warning("%s is gone, and with it whatever could be served", folder.state_path)
            break
    _end_when_frozen(frozen_seconds + 3 * _DRAIN_SECONDS)
    folder.withdraw()
    server.stop()
    _end_when_frozen(_LEAVE_SECONDS)
    logger.info("stopped")
    folder.release()
    return 0
