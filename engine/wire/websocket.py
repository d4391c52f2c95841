"""The WebSocket variant of the protocol, as the JavaScript client speaks it (RFC 6455, no extensions)."""

from __future__ import annotations

import base64
import hashlib
import socket
import struct
from urllib.parse import urlsplit

import numpy as np

from engine.wire.encode import Buffer
from engine.wire.reader import ProtocolError, StreamReader

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_HEADERS_LIMIT = 1 << 14
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10


def _is_near(origin: str) -> bool:
    """Whether an Origin is no page of another machine, to which a browser would lend its access to this one."""
    try:
        address = urlsplit(origin)
        return address.scheme not in ("http", "https") or address.hostname in ("localhost", "127.0.0.1", "::1")
    except ValueError:
        return False


class WebSocketTransport:
    """Payloads of data frames as one stream; every sent message is one binary frame."""

    all_types = True

    def __init__(self, connected: socket.socket, reader: StreamReader) -> None:
        self._socket = connected
        self._reader = reader
        self._left = 0
        self._mask = b""
        self._used = 0

    def handshake(self) -> None:
        """Answer the upgrade request; ProtocolError if it is none."""
        lines = self._reader.until(b"\r\n\r\n", _HEADERS_LIMIT).decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        key = headers.get("sec-websocket-key")
        if headers.get("upgrade", "").lower() != "websocket" or key is None:
            body = b"This port speaks DolphinDB's protocol, natively or over WebSocket.\n"
            lines = ["HTTP/1.1 426 Upgrade Required", "Upgrade: websocket", "Connection: close"]
            lines.append(f"Content-Length: {len(body)}")
            self._socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)
            raise ProtocolError("an ordinary HTTP request")
        if not _is_near(headers.get("origin", "")):
            self._socket.sendall(b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            raise ProtocolError(f"a page of {headers['origin'][:80]!r} wanted to connect")
        proof = base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()
        answer = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        answer.append(f"Sec-WebSocket-Accept: {proof}")
        offered = headers.get("sec-websocket-protocol")
        if offered:
            answer.append(f"Sec-WebSocket-Protocol: {offered.split(',')[0].strip()}")
        self._socket.sendall(("\r\n".join(answer) + "\r\n\r\n").encode("latin-1"))

    def receive(self, size: int) -> bytes:
        while not self._left:
            if self._reader.at_end() or not self._next_frame():
                return b""
        count = min(size, self._left, max(self._reader.buffered, 1 << 16))
        payload = self._unmasked(bytes(self._reader.read(count)))
        self._left -= count
        return payload

    def _unmasked(self, data: bytes) -> bytes:
        start = self._used % 4
        pattern = np.frombuffer((self._mask * 2)[start : start + 4], np.uint8)
        self._used += len(data)
        mask = np.tile(pattern, len(data) // 4 + 1)[: len(data)]
        return (np.frombuffer(data, np.uint8) ^ mask).tobytes()

    def _next_frame(self) -> bool:
        """Read a frame's head and handle control frames; False when the peer closes."""
        first, second = self._reader.read(2)
        opcode, length = first & 15, second & 127
        if first & 0x70 or not second & 128:
            raise ProtocolError("a WebSocket frame with extensions or without mask")
        if length == 126:
            length = int.from_bytes(self._reader.read(2), "big")
        elif length == 127:
            length = int.from_bytes(self._reader.read(8), "big")
        self._mask = bytes(self._reader.read(4))
        self._used = 0
        if opcode in (_CONTINUATION, _TEXT, _BINARY):
            self._left = length
            return True
        if length > 125:
            raise ProtocolError("a WebSocket control frame that is too long")
        payload = self._unmasked(bytes(self._reader.read(length)))
        if opcode == _PING:
            self._frame(_PONG, [payload])
        elif opcode == _CLOSE:
            self._frame(_CLOSE, [payload[:2]])
            return False
        elif opcode != _PONG:
            raise ProtocolError(f"unknown WebSocket opcode {opcode}")
        return True

    def send_message(self, buffers: list[Buffer]) -> None:
        self._frame(_BINARY, buffers)

    def _frame(self, opcode: int, buffers: list[Buffer]) -> None:
        size = sum(map(len, buffers))
        if size < 126:
            head = bytes((128 | opcode, size))
        elif size < 1 << 16:
            head = struct.pack(">BBH", 128 | opcode, 126, size)
        else:
            head = struct.pack(">BBQ", 128 | opcode, 127, size)
        if size < 1 << 16:
            self._socket.sendall(head + b"".join(buffers))
            return
        self._socket.sendall(head)
        for buffer in buffers:
            self._socket.sendall(buffer)
