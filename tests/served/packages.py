"""Programs of others that the tests speak to the server with, fetched once into a cache."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import platformdirs
import pytest

NODE_PACKAGES = ["@langchain/langgraph-sdk@2.0.0", "@langchain/core@1", "react@19", "react-test-renderer@19"]
SCHEMATHESIS = "schemathesis==4.32.5"
FETCH_SECONDS = 170


def node_folder() -> Path:
    """A folder whose scripts can import NODE_PACKAGES. Skips the test when they cannot be had."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    arguments = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", *NODE_PACKAGES]
    return _fetched("node-" + "-".join(NODE_PACKAGES), [npm, *arguments])


def schemathesis_folder() -> Path:
    """A folder to import schemathesis from. It needs versions of libraries that LangGraph's own server refuses."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", ".", SCHEMATHESIS]
    return _fetched(f"{SCHEMATHESIS}-python{sys.version_info.major}.{sys.version_info.minor}", command)


def _fetched(name: str, command: list[str]) -> Path:
    cache = Path(platformdirs.user_cache_dir("ddb-agent")) / "tests"
    folder = cache / "".join(letter if letter.isalnum() else "-" for letter in name)
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cache, ignore_cleanup_errors=True) as temporary:
        place = Path(temporary) / "packages"
        place.mkdir()
        try:
            done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=FETCH_SECONDS)
        except subprocess.TimeoutExpired:
            pytest.skip(f"{command[0]} did not fetch {name} in {FETCH_SECONDS} s")
        if done.returncode != 0:
            pytest.skip(f"{command[0]} could not fetch {name}: {done.stderr.strip()[-300:]}")
        with suppress(OSError):
            place.rename(folder)
    return folder
