"""Container groups over time, with what runs inside them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eci_emulator.code_server import CodeServer

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Timing:
    """Seconds after creation. `address` counts from Running."""

    pending: float = 0.02
    running: float = 0.05
    address: float = 0.02
    gone: float = 0.05


class Engines:
    """The process that the engines of all groups live in, started with the first."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def ask(self, op: str, folder: Path, address: str) -> None:
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, str(Path(__file__).with_name("engines.py"))],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
                    env={**os.environ, "PYTHONPATH": str(ROOT)},
                )  # fmt: skip
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps({"op": op, "folder": str(folder), "address": address}) + "\n")
            self._process.stdin.flush()
            if not self._process.stdout.readline():
                raise RuntimeError("the process of the engines ended")

    def close(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.communicate()


@dataclass
class ContainerGroup:
    """One group. `fate`, when set, is the status it takes instead of Running."""

    id: str
    wanted: dict[str, Any]
    folder: Path
    address: str
    timing: Timing
    engines: Engines
    loop: asyncio.AbstractEventLoop
    fate: str | None = None
    created: float = field(default_factory=time.monotonic)
    started: float | None = None
    deleted: float | None = None
    failed: str | None = None
    code_server: CodeServer | None = None
    born: datetime = field(default_factory=lambda: datetime.now(UTC))
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def role(self) -> str:
        return str(self.wanted["Container"][0]["Name"])

    @property
    def tags(self) -> dict[str, str]:
        return {tag["Key"]: tag.get("Value", "") for tag in self.wanted.get("Tag") or []}

    @property
    def billed(self) -> float:
        """Seconds from creation to deletion, or to now."""
        return (self.deleted or time.monotonic()) - self.created

    def visible(self) -> bool:
        return self.deleted is None or time.monotonic() < self.deleted + self.timing.gone

    def status(self) -> str:
        age = time.monotonic() - self.created
        if self.deleted is not None:
            return "Terminating"
        if self.failed is not None:
            return self.failed
        if age < self.timing.pending:
            return "Scheduling"
        if self.fate in ("ScheduleFailed", "Expired", "Failed"):
            return self.fate
        if age < self.timing.running:
            return "Pending"
        self.start()
        return "Running"

    def start(self) -> None:
        with self.lock:
            if self.started is not None or self.deleted is not None:
                return
            if self.role == "database":
                self.engines.ask("start", self.folder / "engine", self.address)
            else:
                (self.folder / "project").mkdir(exist_ok=True)
                variables = self.wanted["Container"][0].get("EnvironmentVar") or []
                password = next((each["Value"] for each in variables if each["Key"] == "PASSWORD"), "")
                self.code_server = CodeServer(self.address, password, self.loop)
                self.code_server.start()
            self.started = time.monotonic()

    def end(self) -> None:
        with self.lock:
            if self.deleted is not None:
                return
            self.deleted = time.monotonic()
            started = self.started is not None and self.role == "database"
            code_server, self.code_server = self.code_server, None
        if started:
            self.engines.ask("stop", self.folder / "engine", self.address)
        if code_server is not None:
            code_server.stop()

    def described(self) -> dict[str, Any]:
        status = self.status()
        has_address = self.started is not None and time.monotonic() >= self.started + self.timing.address
        public = self.wanted.get("AutoCreateEip", "").lower() == "true"
        events = []
        if status == "ScheduleFailed":
            text = "Create ECI failed because the specified instance is out of stock."
            events = [{"Reason": "NoStock", "Type": "Warning", "Message": text, "Count": 1}]
        return {
            "ContainerGroupId": self.id,
            "ContainerGroupName": self.wanted["ContainerGroupName"],
            "RegionId": self.wanted["RegionId"],
            "ZoneId": self.wanted.get("ZoneId", ""),
            "Status": status,
            "Cpu": float(self.wanted["Cpu"]),
            "Memory": float(self.wanted["Memory"]),
            "IntranetIp": self.address if self.started is not None else "",
            "InternetIp": self.address if public and has_address else "",
            "CreationTime": self.born.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Tags": [{"Key": key, "Value": value} for key, value in self.tags.items()],
            "Containers": [{"Name": each["Name"], "Image": each["Image"]} for each in self.wanted["Container"]],
            "Events": events,
        }
