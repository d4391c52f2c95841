"""Where scripts may read and write files."""

from __future__ import annotations

from pathlib import Path

from engine.context import Context
from engine.errors import ScriptError
from engine.storage.access import require_user


def files_folder(context: Context) -> Path:
    """The folder that relative paths start from, and the only one that is written to."""
    return context.node.data / "files"


def readable(context: Context, name: str) -> Path:
    """A path to read from: anywhere but in the engine's own records."""
    require_user(context.session, "read files")
    path = _resolved(context, name)
    data = context.node.data.resolve()
    if path.is_relative_to(data) and not path.is_relative_to(data / "files"):
        raise ScriptError(f"The path [{name}] belongs to the engine itself and can't be read.")
    return path


def writable(context: Context, name: str) -> Path:
    """A path to write to, inside the engine's folder of files."""
    require_user(context.session, "write files")
    path = _resolved(context, name)
    folder = files_folder(context).resolve()
    if not path.is_relative_to(folder):
        raise ScriptError(
            f"The path [{name}] is outside of the engine's data folder. "
            f"Write to a relative path or below [{folder}], which getHomeDir() returns."
        )
    return path


def _resolved(context: Context, name: str) -> Path:
    if not name or "\0" in name:
        raise ScriptError("A file name is expected.")
    return (files_folder(context) / name).resolve()
