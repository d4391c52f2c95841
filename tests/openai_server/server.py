"""The HTTP server: threads on loopback, so that it serves tests of any event loop and of other processes."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from openai_server.steps import Cut, Empty, Hang, Slow, Status, Step, Text, ToolCalls
from openai_server.validation import request_problem

PIECE = 12  # characters per streamed chunk


@dataclass
class RecordedRequest:
    """A request as it came. `status` is what it was answered with; `abandoned` says that the client went away first."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    time: float
    status: int = 0
    abandoned: bool = False

    @property
    def messages(self) -> list[dict[str, Any]]:
        return self.body["messages"]

    @property
    def tool_names(self) -> list[str]:
        return [tool["function"]["name"] for tool in self.body.get("tools", [])]


class ScriptedOpenAI:
    """Answers POST /v1/chat/completions with the steps given, in order; a step may be a function of the request body.

    A malformed request or history gets 400 and uses no step up; so does a request after the last step. Use it as a
    context manager; `url` is the base URL.
    """

    def __init__(self, *steps: Step | Callable[[dict[str, Any]], Step], api_key: str | None = None) -> None:
        self.steps = list(steps)
        self.api_key = api_key
        self.requests: list[RecordedRequest] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="scripted-openai")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def remaining(self) -> int:
        return len(self.steps)

    def add(self, *steps: Step | Callable[[dict[str, Any]], Step]) -> None:
        with self._lock:
            self.steps.extend(steps)

    def take(self, body: dict[str, Any]) -> Step | None:
        with self._lock:
            step = self.steps.pop(0) if self.steps else None
        return step(body) if callable(step) else step

    def __enter__(self) -> ScriptedOpenAI:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(script: ScriptedOpenAI) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_POST(self) -> None:
            self.close_connection = True
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.request_record = RecordedRequest(
                self.path, {name.lower(): value for name, value in self.headers.items()}, body, time.monotonic()
            )
            script.requests.append(self.request_record)
            if self.path != "/v1/chat/completions":
                return self.error(404, f"Invalid URL (POST {self.path})")
            if script.api_key and self.headers.get("Authorization") != f"Bearer {script.api_key}":
                return self.error(401, f"Incorrect API key provided: {self.headers.get('Authorization', '')[7:]}.")
            problem = request_problem(body)
            if problem:
                return self.error(400, problem)
            step = script.take(body)
            if step is None:
                return self.error(400, "The script of this server has no step left.")
            try:
                self.answer(step, body)
            except (BrokenPipeError, ConnectionResetError):
                self.request_record.abandoned = True
            return None

        def answer(self, step: Step, body: dict[str, Any]) -> None:
            match step:
                case Status(code, message, retry_after):
                    self.error(code, message, retry_after)
                case Hang():
                    self.request_record.abandoned = self.wait_for_client_to_leave()
                case Cut(reply, chunks, silently):
                    self.stream(reply, body, cut_after=chunks, silently=silently)
                case Slow(reply, delay):
                    self.stream(reply, body, delay=delay)
                case _ if body.get("stream"):
                    self.stream(step, body)
                case _:
                    self.send_json(200, _completion(step, body))

        def error(self, code: int, message: str, retry_after: str | float | None = None) -> None:
            headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
            error = {"message": message, "type": "scripted", "param": None, "code": None}
            self.send_json(code, {"error": error}, headers)

        def send_json(self, code: int, value: dict[str, Any], headers: dict[str, str] | None = None) -> None:
            data = json.dumps(value, ensure_ascii=False).encode()
            self.request_record.status = code
            self.send_response(code)
            for name, content in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, content)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(data)

        def stream(
            self,
            reply: Text | ToolCalls | Empty,
            body: dict[str, Any],
            *,
            cut_after: int | None = None,
            silently: bool = False,
            delay: float = 0.0,
        ) -> None:
            self.request_record.status = 200
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.send_header("Connection", "close")
            self.end_headers()
            for number, chunk in enumerate(_chunks(reply, body)):
                if number == cut_after:
                    if silently:
                        self.write_chunk(b"")
                    else:
                        self.connection.shutdown(socket.SHUT_RDWR)
                    return
                if delay and script.closing.wait(delay):
                    return
                self.write_chunk(b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n")
            self.write_chunk(b"data: [DONE]\n\n")
            self.write_chunk(b"")

        def write_chunk(self, data: bytes) -> None:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()

        def wait_for_client_to_leave(self) -> bool:
            while not script.closing.is_set():
                readable, _, _ = select.select([self.connection], [], [], 0.02)
                if readable:
                    try:
                        if not self.connection.recv(1, socket.MSG_PEEK):
                            return True
                    except ConnectionError:
                        return True
            return False

    return Handler


def _completion(reply: Text | ToolCalls | Empty, body: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": _text(reply) or None}
    if isinstance(reply, ToolCalls):
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in reply.calls
        ]
    elif message["content"] is None:
        message["content"] = ""
    return {
        **_envelope(body, "chat.completion"),
        "choices": [{"index": 0, "message": message, "finish_reason": _finish_reason(reply)}],
        "usage": _usage(reply, body),
    }


def _chunks(reply: Text | ToolCalls | Empty, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    envelope = _envelope(body, "chat.completion.chunk")

    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        return {**envelope, "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}

    yield chunk({"role": "assistant", "content": ""})
    for piece in _pieces(_text(reply)):
        yield chunk({"content": piece})
    for index, call in enumerate(reply.calls if isinstance(reply, ToolCalls) else ()):
        function = {"name": call.name, "arguments": ""}
        yield chunk({"tool_calls": [{"index": index, "id": call.id, "type": "function", "function": function}]})
        for piece in _pieces(call.arguments):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, _finish_reason(reply))
    if body.get("stream_options", {}).get("include_usage"):
        yield {**envelope, "choices": [], "usage": _usage(reply, body)}


def _envelope(body: dict[str, Any], kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-scripted", "object": kind, "created": int(time.time()), "model": body["model"]}


def _text(reply: Text | ToolCalls | Empty) -> str:
    return "" if isinstance(reply, Empty) else reply.text


def _finish_reason(reply: Text | ToolCalls | Empty) -> str:
    return "stop" if isinstance(reply, Empty) else reply.finish_reason


def _pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), PIECE):
        yield text[start : start + PIECE]


def _usage(reply: Text | ToolCalls | Empty, body: dict[str, Any]) -> dict[str, int]:
    calls = "".join(call.arguments for call in reply.calls) if isinstance(reply, ToolCalls) else ""
    prompt = len(json.dumps(body["messages"], ensure_ascii=False)) // 4 + 1
    completion = len(_text(reply) + calls) // 4 + 1
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
