"""The protocol byte by byte: what clients send that the official ones make hard to see."""

from __future__ import annotations

import base64
import os
import re
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from engine import launcher
from engine.values import Value
from engine.wire.decode import decode
from engine.wire.reader import StreamReader

pytestmark = pytest.mark.e2e


class Client:
    def __init__(self, endpoint: launcher.Endpoint) -> None:
        self.socket = socket.create_connection((endpoint.host, endpoint.port), timeout=20)
        self.reader = StreamReader(self.socket.recv)
        self.session = "0"

    def send(self, body: bytes, options: str = "32_1_4_64__0", api: str = "API2", objects: bytes = b"") -> None:
        head = f"{api} {self.session} {len(body)}" + (f" / {options}" if options else "")
        self.socket.sendall(head.encode() + b"\n" + body + objects)

    def receive(self) -> tuple[list[str], str, Value | None]:
        """Printed lines, status, and the object if there is one."""
        printed = []
        while self.reader.peek(3) == b"MSG":
            self.reader.until(b"\n", 10)
            printed.append(self.reader.until(b"\0", 10**6).decode())
        session, count, endian = self.reader.until(b"\n", 100).decode().split(" ")
        assert endian == "1"
        self.session = session
        status = self.reader.until(b"\n", 10**6).decode()
        return printed, status, decode(self.reader) if count == "1" else None

    def ask(self, body: bytes, **options: str) -> tuple[list[str], str, Value | None]:
        self.send(body, **options)  # type: ignore[arg-type]
        return self.receive()

    def login(self, endpoint: launcher.Endpoint) -> Client:
        status = self.ask(f"connect\nlogin\n{endpoint.user}\n{endpoint.password}\nfalse".encode(), api="API")[1]
        assert status == "OK"
        return self


@contextmanager
def connected(endpoint: launcher.Endpoint) -> Iterator[Client]:
    client = Client(endpoint)
    try:
        yield client.login(endpoint)
    finally:
        client.socket.close()


@pytest.fixture
def client(endpoint: launcher.Endpoint) -> Iterator[Client]:
    with connected(endpoint) as client:
        yield client


def raw(value: Value | None) -> object:
    return getattr(value, "value", None)


def test_the_shortest_connect(endpoint: launcher.Endpoint) -> None:
    client = Client(endpoint)
    client.socket.sendall(b"API 0 8\nconnect\n")
    _, status, value = client.receive()
    assert (status, value) == ("OK", None)
    assert client.session.isdigit()
    assert raw(client.ask(b"script\ngetCurrentSessionAndUser()[1]")[2]) == "guest"
    client.socket.close()


def test_wrong_passwords_are_errors(endpoint: launcher.Endpoint) -> None:
    client = Client(endpoint)
    assert "incorrect" in client.ask(b"connect\nlogin\nadmin\nwrong\nfalse")[1]
    assert "incorrect" in client.ask(b"connect\nlogin\nnobody\nwrong\nfalse")[1]
    client.socket.close()


def test_the_session_id_stays(client: Client) -> None:
    first = client.session
    client.ask(b"script\n1")
    assert client.session == first


def test_bodies_may_end_with_a_line_feed(client: Client) -> None:
    one = bytes.fromhex("040001000000")
    for tail in (b"", b"\n"):
        client.send(b"function\nadd\n2\n1" + tail, objects=one + one)
        assert raw(client.receive()[2]) == 2


def test_functions_may_be_expressions_of_several_lines(client: Client) -> None:
    client.send(b"function\n(def(x){\n return x*2\n})\n1\n1", objects=bytes.fromhex("040003000000"))
    assert raw(client.receive()[2]) == 6


def test_errors_are_one_line(client: Client) -> None:
    _, status, value = client.ask(b'script\nthrow "first\nsecond"')
    assert "first second" in status
    assert value is None
    assert raw(client.ask(b"script\n1+1")[2]) == 2


@pytest.mark.parametrize("text", ["<NotLeader>host:1", "<ChunkInTransaction>x", "DFS is not enabled", "OK"])
def test_errors_never_look_like_commands_to_the_client(client: Client, text: str) -> None:
    status = client.ask(f'script\nthrow "{text}"'.encode())[1]
    assert not re.match(r"<\w+>|DFS is not|OK$", status)


def test_printed_lines_arrive_while_the_script_runs(client: Client) -> None:
    started = time.monotonic()
    client.send(b'script\nprint("one"); sleep(600); print("two"); 42')
    assert client.reader.peek(8) == b"MSG\none\0"
    assert time.monotonic() - started < 0.5
    printed, status, value = client.receive()
    assert (printed, status, raw(value)) == (["one", "two"], "OK", 42)


def test_old_clients_get_no_messages(client: Client) -> None:
    assert client.ask(b'script\nprint("one"); 42', api="API")[0] == []


def test_asynchronous_requests_get_no_answer(client: Client) -> None:
    client.send(b"script\nasynchronous = 5", options="36_1_4_64__0")
    client.send(b"script\nno such thing", options="36_1_4_64__0")
    assert raw(client.ask(b"script\nasynchronous")[2]) == 5


def test_clear_memory(client: Client) -> None:
    client.ask(b"script\nkept = 1")
    client.ask(b"script\nkept", options="48_1_4_64__0")
    assert client.ask(b"script\nkept")[1] != "OK"


@pytest.mark.parametrize("flags", [32 + 2048, 32 + 4096, 32 + 524288])
def test_other_languages_are_refused(client: Client, flags: int) -> None:
    assert "DolphinDB" in client.ask(b"script\n1", options=f"{flags}_1_4_64__0")[1]


def test_a_fetch_size_needs_a_table(client: Client) -> None:
    for script in (b"script\n1", b"script\nx = 1"):
        assert "table" in client.ask(script, options="32_1_4_64__8192")[1]


def test_a_repeated_request_is_not_executed_again(endpoint: launcher.Endpoint) -> None:
    uuid = "e4de7d41-c54f-5fa0-ea49-825c9bbd7458"
    with connected(endpoint) as first:
        first.ask(b"script\nshare table(1..1 as n) as resent_requests")
        body = b"script\ninsert into resent_requests values(2); exec count(*) from resent_requests"
        assert raw(first.ask(body, options=f"32_1_4_64__0__{uuid}_1")[2]) == 2
    with connected(endpoint) as second:
        assert raw(second.ask(body, options=f"32_1_4_64__0__{uuid}_-1")[2]) == 2
        assert raw(second.ask(b"script\nexec count(*) from resent_requests")[2]) == 2
        assert raw(second.ask(body, options=f"32_1_4_64__0__{uuid}_-2")[2]) == 3


def test_a_repetition_waits_for_the_first_copy(endpoint: launcher.Endpoint) -> None:
    uuid = "00000000-c54f-5fa0-ea49-825c9bbd7458"
    body = b"script\nsleep(700); 7"
    first = Client(endpoint).login(endpoint)
    first.send(body, options=f"32_1_4_64__0__{uuid}_1")
    time.sleep(0.2)
    first.socket.close()
    with connected(endpoint) as second:
        started = time.monotonic()
        assert raw(second.ask(body, options=f"32_1_4_64__0__{uuid}_-1")[2]) == 7
        assert time.monotonic() - started < 0.65


@pytest.mark.parametrize(
    "data",
    [
        b"\0\1\2\3" * 100,
        b"API\n",
        b"API2 x 3 / 1\nabc",
        b"API2 0 99999999999 / 32\n",
        b"API2 0 7\nnothing",
        b"API2 0 9\nfunction\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET " + b"x" * 100_000,
        b"A" * 200_000,
    ],
)
def test_nonsense_closes_the_connection_only(endpoint: launcher.Endpoint, data: bytes) -> None:
    broken = socket.create_connection((endpoint.host, endpoint.port), timeout=5)
    try:
        broken.sendall(data)
        while broken.recv(1000):
            pass
    except (ConnectionResetError, BrokenPipeError):
        pass
    broken.close()
    with connected(endpoint) as client:
        assert raw(client.ask(b"script\n1+1")[2]) == 2


@pytest.mark.parametrize("hex_", ["0401ffffff7f01000000", "0909", "04010100000001", "1901ffffff7f01000000"])
def test_broken_objects_close_the_connection_only(endpoint: launcher.Endpoint, hex_: str) -> None:
    client = Client(endpoint).login(endpoint)
    client.send(b"variable\nx\n1\n1", objects=bytes.fromhex(hex_))
    client.socket.shutdown(socket.SHUT_WR)
    assert client.socket.recv(100) == b""
    client.socket.close()
    with connected(endpoint) as other:
        assert raw(other.ask(b"script\n1+1")[2]) == 2


def test_text_that_is_no_utf_8_is_an_error(client: Client) -> None:
    assert "not UTF-8" in client.ask("script\n'中文'".encode("gbk"))[1]
    assert raw(client.ask(b"script\n1+1")[2]) == 2


def test_memory_is_taken_as_data_arrives(client: Client, endpoint: launcher.Endpoint) -> None:
    """Vectors that say they are large and are not: two gigabytes of INT, and a small compressed one."""
    client.send(b"variable\nx\n1\n1", objects=bytes.fromhex("0401ffffff1f01000000") + b"1234")
    compressed = "1a0125000000010000000001ff010404000000000000ffffff7fffffffff0d000000c0010000000200000000000080"
    with connected(endpoint) as other:
        other.send(b"variable\nx\n1\n1", objects=bytes.fromhex(compressed))
        assert other.socket.recv(100) == b""
    with connected(endpoint) as other:
        assert raw(other.ask(b"script\nexec count(*) from getConsoleJobs()")[2]) == 1


@pytest.mark.parametrize(
    ("origin", "status"),
    [("https://elsewhere.example", b"403"), ("http://[::1", b"403"), ("http://localhost:80", b"101")],
)
def test_pages_of_other_machines_do_not_connect(endpoint: launcher.Endpoint, origin: str, status: bytes) -> None:
    with socket.create_connection((endpoint.host, endpoint.port), timeout=5) as opened:
        opened.sendall(
            f"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: {origin}\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n".encode()
        )
        assert opened.recv(12) == b"HTTP/1.1 " + status


def test_a_printing_job_ends_though_nobody_reads(client: Client, endpoint: launcher.Endpoint) -> None:
    client.send(b"script\nchatty = 1; do { print repeat(`a, 4000) } while (true)")
    jobs = b"script\nexec rootJobId from getConsoleJobs() where desc like 'chatty%'"
    with connected(endpoint) as other:
        time.sleep(0.5)
        other.ask(jobs.replace(b"\nexec", b"\ncancelConsoleJob(exec") + b")")
        limit = time.monotonic() + 5
        while time.monotonic() < limit and len(other.ask(jobs)[2]):  # type: ignore[arg-type]
            time.sleep(0.05)
        assert time.monotonic() < limit


def test_strangers_cannot_send_much(endpoint: launcher.Endpoint) -> None:
    client = Client(endpoint)
    client.socket.sendall(b"API2 0 100000 / 32\nconnect\n")
    assert client.socket.recv(10) == b""
    client.socket.close()


def test_web_sockets(endpoint: launcher.Endpoint) -> None:
    """As the JavaScript client: one binary message each way, fragmented and masked on the way in."""
    opened = socket.create_connection((endpoint.host, endpoint.port), timeout=5)
    key = base64.b64encode(os.urandom(16)).decode()
    opened.sendall(
        f"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: python\r\n\r\n".encode()
    )
    reader = StreamReader(opened.recv)
    answer = reader.until(b"\r\n\r\n", 5000).decode()
    assert answer.startswith("HTTP/1.1 101")
    assert "Sec-WebSocket-Protocol: python" in answer

    def frame(opcode: int, payload: bytes, final: bool = True) -> bytes:
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        size = len(payload)
        head = (
            struct.pack(">BB", 128 * final | opcode, 128 | size)
            if size < 126
            else struct.pack(">BBH", 128 * final | opcode, 128 | 126, size)
        )
        return head + mask + masked

    def message() -> bytes:
        first, size = reader.read(2)
        assert first == 130
        if size == 126:
            size = int.from_bytes(reader.read(2), "big")
        return bytes(reader.read(size))

    login = f"connect\nlogin\n{endpoint.user}\n{endpoint.password}".encode()
    request = b"API2 0 %d / 0_1_4_64\n%b" % (len(login), login)
    opened.sendall(frame(2, request[:10], final=False) + frame(9, b"ping") + frame(0, request[10:]))
    assert bytes(reader.read(6)) == b"\x8a\x04ping"
    assert re.fullmatch(rb"\d+ 0 1\nOK\n", message())
    script = b'script\nprint("hi")\n3d'
    opened.sendall(frame(2, b"API2 0 %d / 0_1_4_64\n%b" % (len(script), script)))
    assert message() == b"MSG\nhi\0"
    assert message().endswith(b"1 1\nOK\n" + bytes.fromhex("24000300000006000000"))
    large = b"script\n" + b" " * 300 + b"1..100000"
    opened.sendall(frame(2, b"API2 0 %d / 0_1_4_64\n%b" % (len(large), large)))
    assert bytes(reader.read(2)) == bytes((130, 127))
    assert int.from_bytes(reader.read(8), "big") > 400_000
    opened.close()
