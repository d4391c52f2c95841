"""Files and commands in the workspace of an environment, in the cloud and on this machine alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from uuid import uuid4

from core.errors import ConflictError, InvalidInputError, NotFoundError, UserError
from provision.provider import ExecResult, Provider
from provision.resolve import usable
from provision.service import Environments

LOCAL_USER = "local"
SECONDS = 60.0
MAX_BYTES = 20 * 2**20
MAX_ENTRIES = 1000
MAX_PATH = 1000
OUTSIDE, MISSING = 77, 78

# $1 is the path. Links are followed before it is compared: where it leads must lie in the workspace.
INSIDE = f"""
root=$(pwd -P) && real=$(realpath -m -- "$1") || exit 1
case "$real/" in "$root"/*) ;; *) exit {OUTSIDE} ;; esac
"""
WRITE = (
    INSIDE
    + 'mkdir -p -- "$(dirname -- "$real")" && cat > "$real.$2" && mv -fT -- "$real.$2" "$real" ||'
    + ' { status=$?; rm -f -- "$real.$2"; exit $status; }'
)
READ = INSIDE + f'[ -f "$real" ] || exit {MISSING}\nstat -c %s -- "$real"; head -c "$2" -- "$real"'
LIST = INSIDE + f'[ -d "$real" ] || exit {MISSING}\nfind "$real" -mindepth 1 -maxdepth 3 -printf "%y\\t%s\\t%P\\0"'


@dataclass(frozen=True)
class Entry:
    """`path` is relative to the folder that was listed; `size` in bytes."""

    path: str
    kind: str
    size: int


@dataclass(frozen=True)
class Workspaces:
    """Paths are relative to the workspace and cannot leave it. Whose workspace comes first."""

    environments: Environments

    async def write(self, owner: str, environment: str, path: str, data: bytes) -> None:
        """Replaces the file in one step; its folders are made."""
        if len(data) > MAX_BYTES:
            raise InvalidInputError(f"A file has at most {MAX_BYTES // 2**20} MiB.", "Write it in parts.")
        target = _relative(path)
        if target == ".":
            raise InvalidInputError("The path names no file.", "Give a path such as scripts/load.dos.")
        await self._script(owner, environment, WRITE, target, uuid4().hex, stdin=data)

    async def read(self, owner: str, environment: str, path: str, *, limit: int = MAX_BYTES) -> tuple[bytes, int]:
        """The first `limit` bytes, and how many there are. Raises NotFoundError."""
        result = await self._script(owner, environment, READ, _relative(path), str(limit))
        size, _, data = result.stdout.partition(b"\n")
        return data, int(size)

    async def list(self, owner: str, environment: str, path: str = ".") -> list[Entry]:
        """What is in a folder, three levels deep; at most 1000 entries."""
        result = await self._script(owner, environment, LIST, _relative(path))
        kinds = {"d": "folder", "f": "file", "l": "link"}
        entries = []
        for line in result.stdout.split(b"\0")[:MAX_ENTRIES]:
            if line:
                kind, size, name = line.decode("utf-8", "replace").split("\t", 2)
                entries.append(Entry(name, kinds.get(kind, "other"), int(size)))
        return sorted(entries, key=lambda entry: entry.path)

    async def run(
        self, owner: str, environment: str, command: Sequence[str], *, seconds: float = SECONDS, stdin: bytes = b""
    ) -> ExecResult:
        """Runs a program with its arguments in the workspace's folder; no shell reads them."""
        provider, _ = await self._group(owner, environment)
        allowed = self.environments.settings.local_commands
        if provider.name == "local" and not (owner == LOCAL_USER if allowed is None else allowed):
            raise ConflictError(
                "Programs may not be run in a local workspace here.", "Set DDB_AGENT_LOCAL_COMMANDS, or use ECI."
            )
        return await self._run(owner, environment, command, seconds=seconds, stdin=stdin)

    async def _run(
        self, owner: str, environment: str, command: Sequence[str], *, seconds: float, stdin: bytes
    ) -> ExecResult:
        if not command or not all(command[:1]) or not all(_can_be_sent(word) for word in command):
            raise InvalidInputError("The command names no program.", 'Give a list such as ["python3", "load.py"].')
        provider, group_id = await self._group(owner, environment)
        try:
            return await provider.exec(group_id, list(command), stdin=stdin, timeout=seconds)
        except TimeoutError:
            raise UserError(
                f"{command[0]} took longer than {seconds:g} s and was given up.", "Run it in smaller steps."
            ) from None

    async def _script(
        self, owner: str, environment: str, script: str, path: str, *arguments: str, stdin: bytes = b""
    ) -> ExecResult:
        command = ["sh", "-c", script, "sh", path, *arguments]
        result = await self._run(owner, environment, command, seconds=SECONDS, stdin=stdin)
        path = path.removeprefix("./")
        if result.status == OUTSIDE:
            raise _leaves(path)
        if result.status == MISSING:
            kind = "folder" if script == LIST else "file"
            raise NotFoundError(f"There is no {kind} {path!r} in the workspace.", "List its files.")
        if result.status != 0:
            reason = result.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise UserError(f"{path} could not be used: {reason or f'status {result.status}'}.", "Look at the path.")
        return result

    async def _group(self, owner: str, environment: str) -> tuple[Provider, str]:
        record = usable(await self.environments.get(owner, environment))
        rows = await self.environments.store.groups(record)
        for row in rows:
            if row.role == "workspace" and row.group_id and row.deleted_at is None:
                return self.environments.providers.get(record.provider, record.region), row.group_id
        raise ConflictError(f"Environment {record.name!r} has no workspace.", "Create an environment with a workspace.")


def _relative(path: str) -> str:
    parts = PurePosixPath(path)
    if not _can_be_sent(path) or len(path) > MAX_PATH:
        raise InvalidInputError("The path cannot name a file.", f"Give one of up to {MAX_PATH} characters.")
    if parts.is_absolute() or ".." in parts.parts:
        raise _leaves(path)
    return f"./{parts}" if str(parts) != "." else "."


def _can_be_sent(word: str) -> bool:
    try:
        return b"\0" not in word.encode()
    except UnicodeEncodeError:
        return False


def _leaves(path: str) -> InvalidInputError:
    return InvalidInputError(f"The path {path!r} leads out of the workspace.", "Give one relative to the workspace.")
