"""Tools that work in the workspace beside the thread's environment."""

from __future__ import annotations

import json

from pydantic import BaseModel, Field

from dolphin.script.effects import Effect
from graph.tools.base import Review, Tool, ToolResult, ToolScope
from provision.records import EnvironmentRecord
from provision.workspace import Workspaces

READ_BYTES = 100_000
OUTPUT_CHARS = 20_000


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


def workspace_tools(workspaces: Workspaces) -> list[Tool]:
    async def write(arguments: WriteFile, scope: ToolScope) -> ToolResult:
        data = arguments.content.encode()
        await workspaces.write(scope.owner, scope.reference, arguments.path, data)
        return ToolResult(f"Wrote {arguments.path}, {len(data)} bytes.")

    async def read(arguments: ReadFile, scope: ToolScope) -> ToolResult:
        data, size = await workspaces.read(scope.owner, scope.reference, arguments.path, limit=READ_BYTES)
        text = data.decode("utf-8", "replace")
        return ToolResult(text if size <= len(data) else f"{text}\n… ({size - len(data)} more bytes not shown)")

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
        Tool("list_files", ListFiles, list_all, available=has_workspace),
        Tool(
            "run_command",
            RunCommand,
            run,
            review=Review(Effect.admin, describe_run),
            available=has_workspace,
        ),
    ]


def has_workspace(environment: EnvironmentRecord | None) -> bool:
    return environment is not None and environment.workspace


def _cut(output: bytes) -> str:
    text = output.decode("utf-8", "replace")
    if len(text) <= OUTPUT_CHARS:
        return text
    half = OUTPUT_CHARS // 2
    return f"{text[:half]}\n… ({len(text) - 2 * half} characters not shown) …\n{text[-half:]}"
