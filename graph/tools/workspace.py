"""Tools that work in the workspace beside the thread's environment."""

from __future__ import annotations

import contextlib
import json
from uuid import uuid4

from pydantic import BaseModel, Field

from core.errors import DolphinDBError, InvalidInputError
from dolphin.environment import Environment
from dolphin.quoting import quoted
from dolphin.script.effects import Effect
from dolphin.sessions import Sessions
from graph.tools.base import Review, Tool, ToolResult, ToolScope
from provision.records import EnvironmentRecord
from provision.workspace import MAX_BYTES, Workspaces

READ_BYTES = 100_000
OUTPUT_CHARS = 20_000
PIECE_CHARS = 16_000
CLEANING_SECONDS = 5.0


class WriteFile(BaseModel):
    """Write a text file in the environment's workspace, in place of what was there."""

    path: str = Field(description="relative to the workspace, such as scripts/load.dos")
    content: str


class ReadFile(BaseModel):
    """Read a text file of the workspace."""

    path: str


class ListFiles(BaseModel):
    """List the files of the workspace, three levels deep."""

    path: str = "."


class RunCommand(BaseModel):
    """Run a program in the workspace's folder. No shell: for pipes run ["sh", "-c", "..."]."""

    command: list[str] = Field(min_length=1, description='such as ["python3", "load.py"]')


class LoadFile(BaseModel):
    """Load a text file of the workspace, such as a CSV with a header line, as an in-memory table of this thread's
    session: loadText cannot see the workspace. Types are guessed as loadText does."""

    path: str
    table: str = Field(description="the name of the table", pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")
    delimiter: str = Field(default=",", min_length=1, max_length=1)


def workspace_tools(workspaces: Workspaces, sessions: Sessions) -> list[Tool]:
    async def write(arguments: WriteFile, scope: ToolScope) -> ToolResult:
        try:
            data = arguments.content.encode()
        except UnicodeEncodeError:
            raise InvalidInputError("The content is not Unicode text: a surrogate stands alone.", "Mend it.") from None
        await workspaces.write(scope.owner, scope.reference, arguments.path, data)
        return ToolResult(f"Wrote {arguments.path}, {len(data)} bytes.")

    async def read(arguments: ReadFile, scope: ToolScope) -> ToolResult:
        data, size = await workspaces.read(scope.owner, scope.reference, arguments.path, limit=READ_BYTES)
        text = data.decode("utf-8", "replace")
        return ToolResult(text if size <= len(data) else f"{text}\n… ({size - len(data)} more bytes not shown)")

    async def load(arguments: LoadFile, scope: ToolScope) -> ToolResult:
        data, size = await workspaces.read(scope.owner, scope.reference, arguments.path)
        if size > len(data):
            raise InvalidInputError(
                f"{arguments.path} has {size} bytes; up to {MAX_BYTES // 2**20} MiB can be loaded.", "Split it."
            )
        try:
            text = data.decode("utf-8-sig")
        except UnicodeError:
            text = ""
        if not text.strip() or "\0" in text:
            raise InvalidInputError(f"{arguments.path} is not a UTF-8 text file with rows.", "Read it.")
        return await _load_text(sessions, await scope.environment(), scope, arguments, text)

    async def list_all(arguments: ListFiles, scope: ToolScope) -> ToolResult:
        entries = await workspaces.list(scope.owner, scope.reference, arguments.path)
        listed = [{"path": entry.path, "kind": entry.kind, "size": entry.size} for entry in entries]
        return ToolResult(json.dumps(listed, ensure_ascii=False))

    async def run(arguments: RunCommand, scope: ToolScope) -> ToolResult:
        result = await workspaces.run(scope.owner, scope.reference, arguments.command, seconds=scope.timeout)
        parts = [f"exit status {result.status}", _cut(result.stdout)]
        if result.stderr.strip():
            parts.append(f"standard error:\n{_cut(result.stderr)}")
        return ToolResult("\n".join(parts))

    async def describe_write(arguments: WriteFile, _owner: str) -> str:
        return f"Write {arguments.path} ({len(arguments.content)} characters) in the workspace."

    async def describe_load(arguments: LoadFile, _owner: str) -> str:
        return f"Load {arguments.path} of the workspace as the in-memory table {arguments.table}."

    async def describe_run(arguments: RunCommand, _owner: str) -> str:
        return f"Run in the workspace: {json.dumps(arguments.command, ensure_ascii=False)}"

    return [
        Tool(
            "write_file",
            WriteFile,
            write,
            review=Review(Effect.write, describe_write, resumes=True),
            available=has_workspace,
        ),
        Tool("read_file", ReadFile, read, available=has_workspace),
        Tool("load_file", LoadFile, load, review=Review(Effect.session, describe_load), available=has_workspace),
        Tool("list_files", ListFiles, list_all, available=has_workspace),
        Tool(
            "run_command",
            RunCommand,
            run,
            review=Review(Effect.admin, describe_run),
            available=has_workspace,
        ),
    ]


async def _load_text(
    sessions: Sessions, environment: Environment, scope: ToolScope, arguments: LoadFile, text: str
) -> ToolResult:
    """By a file beside the database, which is there only for the time of this call."""
    thread, timeout = scope.thread_id, scope.timeout
    home = str(await sessions.evaluate(environment, thread, "getHomeDir()", timeout=timeout))
    file = f"{home}/{uuid4().hex}.csv"
    try:
        for start in range(0, len(text), PIECE_CHARS):
            piece = text[start : start + PIECE_CHARS]
            await sessions.run_args(environment, thread, "saveTextFile", piece, file, start > 0, timeout=timeout)
        script = f"{arguments.table} = loadText({quoted(file)}, {quoted(arguments.delimiter)})\nsize({arguments.table})"
        outcome = await sessions.run(environment, thread, script, timeout=timeout, continued=scope.continued)
    except BaseException:
        # What went wrong before is what counts.
        with contextlib.suppress(DolphinDBError):
            await sessions.run_args(environment, thread, "rm", file, timeout=CLEANING_SECONDS)
        raise
    await sessions.run_args(environment, thread, "rm", file, timeout=timeout)
    notice = f"{outcome.notice}\n" if outcome.notice else ""
    rows = outcome.value.data
    return ToolResult(f"{notice}Loaded {arguments.path} as the in-memory table {arguments.table}, {rows} rows.")


def has_workspace(environment: EnvironmentRecord | None) -> bool:
    return environment is not None and environment.workspace


def _cut(output: bytes) -> str:
    text = output.decode("utf-8", "replace")
    if len(text) <= OUTPUT_CHARS:
        return text
    half = OUTPUT_CHARS // 2
    return f"{text[:half]}\n… ({len(text) - 2 * half} characters not shown) …\n{text[-half:]}"
