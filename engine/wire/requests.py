"""Requests as clients send them, and the lines of a response."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from engine.values import Value
from engine.wire.decode import decode
from engine.wire.reader import ProtocolError, StreamReader

FLAG_URGENT = 1
FLAG_ASYNCHRONOUS = 4
FLAG_CLEAR_MEMORY = 16
FLAG_PYTHON_PARSER = 2048
FLAG_KDB_PARSER = 4096
FLAG_SQL_DIALECT = 3 << 19
FLAG_DECIMAL_AS_DOUBLE = 8388608

_HEADER = re.compile(rb"(API2?) (-?\d{1,20}) (\d{1,19})(?: / ([^\n]*))?")
_HEADER_LIMIT = 1024
_RESERVED = re.compile(
    r"<(NotLeader|ChunkInTransaction|DataNodeNotAvail|DataNodeNotReady|ControllerNotReady|ControllerNotAvail)>"
    r"|DFS is not enabled"
)


@dataclass(frozen=True)
class Options:
    """The part of the header after the slash."""

    flags: int = 0
    priority: int = 4
    parallelism: int = 64
    root_job: str = ""
    fetch_size: int = 0
    client: str = ""
    sequence: int = 0


@dataclass(frozen=True)
class Login:
    user: str
    password: str


@dataclass(frozen=True)
class Request:
    """`kind` is connect, script, function or variable.

    `text` is the script or the function's text, not `is_text` if it was no UTF-8; `names` the variables; `values` the
    objects that came along.
    """

    kind: str
    session: int
    options: Options
    messages: bool
    text: str = ""
    is_text: bool = True
    names: tuple[str, ...] = ()
    login: Login | None = None
    values: list[Value] = field(default_factory=list)


def read_request(reader: StreamReader, max_body: int) -> Request:
    """The next request with its objects; raises ProtocolError when the bytes are not one."""
    header = reader.until(b"\n", _HEADER_LIMIT).rstrip(b"\r")
    matched = _HEADER.fullmatch(header)
    if matched is None:
        raise ProtocolError(f"not a request header: {header[:60]!r}")
    size = int(matched[3])
    if size > max_body:
        raise ProtocolError(f"a request body of {size} bytes; at most {max_body} are accepted")
    options = _options((matched[4] or b"").decode("ascii", "replace"))
    raw = reader.read(size)
    try:
        body, is_text = raw.decode("utf-8"), True
    except UnicodeDecodeError:
        body, is_text = raw.decode("utf-8", "replace"), False
    kind, _, rest = body.partition("\n")
    session, messages = int(matched[2]), matched[1] == b"API2"
    if kind == "connect":
        return Request(kind, session, options, messages, login=_login(rest))
    if kind == "script":
        return Request(kind, session, options, messages, rest, is_text)
    if kind in ("function", "variable"):
        text, count = _arguments(rest)
        names = tuple(name.strip() for name in text.split(",")) if kind == "variable" else ()
        if names and len(names) != count:
            raise ProtocolError("the numbers of names and objects differ")
        values = [decode(reader) for _ in range(count)]
        return Request(kind, session, options, messages, text, is_text, names, None, values)
    raise ProtocolError(f"unknown kind of request: {kind[:40]!r}")


def _arguments(rest: str) -> tuple[str, int]:
    parts = rest.removesuffix("\n").rsplit("\n", 2)
    if len(parts) != 3 or not parts[1].isdigit() or int(parts[1]) > 65535:
        raise ProtocolError("a call without the number of its arguments")
    if parts[2] != "1":
        raise ProtocolError("objects in big-endian byte order are not accepted")
    return parts[0], int(parts[1])


def _login(rest: str) -> Login | None:
    lines = rest.split("\n")
    if lines[0] != "login" or len(lines) < 3:
        return None
    return Login(lines[1], lines[2])


def _options(text: str) -> Options:
    if not text:
        return Options()
    parts = text.strip().split("_")
    parts += [""] * (9 - len(parts))

    def number(index: int, default: int) -> int:
        try:
            return int(parts[index]) if parts[index] else default
        except ValueError:
            raise ProtocolError(f"not an option of a request: {parts[index][:40]!r}") from None

    return Options(
        flags=number(0, 0),
        priority=number(2, 4),
        parallelism=number(3, 64),
        root_job=parts[4],
        fetch_size=number(5, 0),
        client=parts[7],
        sequence=number(8, 0),
    )


def header(session: int, has_object: bool) -> bytes:
    """The lines before a result."""
    return b"%d %d 1\nOK\n" % (session, has_object)


def error(session: int, text: str) -> bytes:
    """A whole response that reports an error: one line, never one that makes clients look for another node."""
    line = " ".join(text.replace("\0", " ").split()) or "Unknown error"
    if line == "OK" or _RESERVED.match(line):
        line = f"Error: {line}"
    return b"%d 0 1\n%b\n" % (session, line.encode("utf-8", "replace"))


def message(text: str) -> bytes:
    """A line of output."""
    return b"MSG\n" + text.replace("\0", " ").encode("utf-8", "replace") + b"\0"
