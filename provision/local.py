"""The provider on this machine: embedded engines in processes of their own, and folders as workspaces."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from core.errors import ConfigurationError
from provision.provider import TAG_ROLE, ExecResult, Group, GroupRequest, ProviderError, ProviderUnavailableError
from provision.specs import EnvironmentRequest, Price

REGION = "region"
SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin"


def open_local(directory: Path) -> LocalProvider:
    """The provider over a folder. What it makes is known as the folder's, whose name for that is kept in it: machines
    that share a database must not take each other's environments for vanished. Blocking."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = directory / REGION
        if not path.exists():
            # Written in full before it gets its name, and the first of several processes wins.
            fresh = directory / f"{REGION}.{secrets.token_hex(8)}"
            fresh.write_text(f"local-{secrets.token_hex(4)}", "ascii")
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(fresh)
            fresh.unlink()
        return LocalProvider(directory, region=path.read_text("ascii").strip())
    except OSError as error:
        raise ConfigurationError(
            f"The folder {directory} cannot be used: {error.strerror}.",
            "Check the data directory (DDB_AGENT_DATA_DIR).",
        ) from error


@dataclass(frozen=True)
class LocalProvider:
    """Each group is a folder below `directory`. An engine that ended is started again when it is next asked for."""

    directory: Path
    name: str = "local"
    region: str = "local"
    zones: Sequence[str] = ("",)

    async def create(self, request: GroupRequest) -> str:
        group_id = f"local-{request.client_token[:24]}"
        await asyncio.to_thread(self._create, group_id, request)
        return group_id

    async def describe(self, group_ids: Sequence[str]) -> dict[str, Group]:
        found = await asyncio.to_thread(lambda: [self._describe(group_id) for group_id in group_ids])
        return {group.id: group for group in found if group is not None}

    async def find(self, tags: dict[str, str]) -> list[Group]:
        def search() -> list[Group]:
            found = [self._describe(path.parent.name) for path in self.directory.glob("local-*/group.json")]
            return [group for group in found if group is not None and tags.items() <= group.tags.items()]

        return await asyncio.to_thread(search)

    async def delete(self, group_id: str) -> None:
        await asyncio.to_thread(self._delete, group_id)

    async def exec(self, group_id: str, command: Sequence[str], *, stdin: bytes = b"", timeout: float) -> ExecResult:  # noqa: ASYNC109
        """Runs as this process's user, in the workspace's folder, with an environment of its own."""
        folder = self.workspace(group_id)
        stored = await asyncio.to_thread(self._read, group_id)
        if stored is None:
            raise ProviderError(f"The workspace {group_id} is gone.", "Create another environment.")
        variables = {"PATH": SEARCH_PATH, "HOME": str(folder), "LANG": "C.UTF-8", **stored["variables"]}
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=folder,
                env=variables,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            return ExecResult(b"", f"{command[0]}: {error.strerror}\n".encode(), 127)
        try:
            async with asyncio.timeout(timeout):
                stdout, stderr = await process.communicate(stdin)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            raise
        assert process.returncode is not None
        return ExecResult(stdout, stderr, process.returncode)

    def price(self, _request: EnvironmentRequest) -> Price:
        return Price(0.0, "")

    async def aclose(self) -> None:
        """Nothing is held: the engines go on."""

    def workspace(self, group_id: str) -> Path:
        """The folder that is the workspace."""
        return self.directory / group_id / "workspace"

    def start(self, group_id: str) -> Group | None:
        """The group with its engine running. Blocking."""
        stored = self._read(group_id)
        if stored is None:
            return None
        if stored["tags"].get(TAG_ROLE) == "database":
            self._start_engine(group_id, float(stored["lifetime"]))
        return self._describe(group_id)

    def _create(self, group_id: str, request: GroupRequest) -> None:
        folder = self.directory / group_id
        stored = {
            "tags": request.tags,
            "variables": request.variables,
            "lifetime": request.lifetime,
            "created_at": datetime.now(UTC).isoformat(),
        }
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            if not (folder / "group.json").exists():
                fresh = folder / "group.json.new"
                fresh.write_text(json.dumps(stored), "utf-8")
                fresh.replace(folder / "group.json")
            if request.role == "workspace":
                (folder / "workspace").mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ProviderError(
                f"{folder} cannot be made: {error.strerror}.", "Check the data directory (DDB_AGENT_DATA_DIR)."
            ) from error
        if request.role == "database":
            self._start_engine(group_id, request.lifetime)

    def _start_engine(self, group_id: str, lifetime: float) -> None:
        from engine.launcher import LaunchError, start

        try:
            folder = self.directory / group_id / "engine"
            folder.mkdir(mode=0o700, exist_ok=True)
            start(folder, idle_seconds=lifetime)
        except LaunchError as error:
            raise ProviderUnavailableError(f"The engine did not start: {error}", "Look at its log.") from error
        except OSError as error:
            raise ProviderError(f"The engine's folder cannot be used: {error.strerror}.", "Look at its log.") from error

    def _read(self, group_id: str) -> dict[str, Any] | None:
        try:
            stored: dict[str, Any] = json.loads((self.directory / group_id / "group.json").read_text("utf-8"))
        except FileNotFoundError:
            return None
        return stored

    def _describe(self, group_id: str) -> Group | None:
        from engine.launcher import status

        stored = self._read(group_id)
        if stored is None:
            return None
        common: dict[str, Any] = {
            "id": group_id,
            "tags": stored["tags"],
            "created_at": datetime.fromisoformat(stored["created_at"]),
        }
        if stored["tags"].get(TAG_ROLE) != "database":
            ready = self.workspace(group_id).is_dir()
            return Group(status="running" if ready else "starting", **common)
        endpoint = status(self.directory / group_id / "engine")
        if endpoint is None:
            return Group(status="starting", detail="The engine is not running.", **common)
        return Group(
            status="running",
            host=endpoint.host,
            port=endpoint.port,
            internal_host=endpoint.host,
            user=endpoint.user,
            password=SecretStr(endpoint.password),
            **common,
        )

    def _delete(self, group_id: str) -> None:
        from engine.launcher import LaunchError, stop

        folder = self.directory / group_id
        if not folder.is_dir():
            return
        try:
            stop(folder / "engine")
        except LaunchError as error:
            raise ProviderUnavailableError(f"The engine did not end: {error}", "It will be tried again.") from error
        except ProcessLookupError:
            pass
        try:
            (folder / "group.json").unlink(missing_ok=True)
            shutil.rmtree(folder)
        except OSError as error:
            raise ProviderError(f"{folder} cannot be removed: {error.strerror}.", "It will be tried again.") from error
