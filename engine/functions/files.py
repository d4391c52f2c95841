"""Files and folders."""

from __future__ import annotations

import shutil
from typing import IO, Any

from engine.arguments import (
    boolean_argument,
    choice_argument,
    integer_argument,
    is_omitted,
    names_argument,
    positive_argument,
    text_argument,
)
from engine.context import Context
from engine.errors import CallError, ScriptError
from engine.functions.database_partitions import exists_partition
from engine.functions.paths import readable, writable
from engine.functions.registry import Registry
from engine.functions.tabular import listing, timestamp
from engine.storage.databases import PREFIX
from engine.types import LITERAL, Type
from engine.values import (
    NOTHING,
    NULL,
    Handle,
    Nothing,
    Scalar,
    Table,
    Value,
    Vector,
    boolean,
    integer,
    string,
    vector,
)

functions = Registry()

_MODES = ("r", "r+", "w", "w+", "a", "a+")


@functions.builtin("exists", "path", context=True)
def exists(context: Context, path: Value) -> Value:
    found = [_exists(context, name) for name in names_argument(path, "path")]
    return boolean(found[0]) if isinstance(path, Scalar) else vector(Type.BOOL, found)


def _exists(context: Context, name: str) -> bool:
    if not name.startswith(PREFIX):
        return readable(context, name).exists()
    return context.node.databases.exists(name) or bool(exists_partition(context, string(name)).value)


@functions.builtin("files", "directory, [pattern]", context=True)
def files(context: Context, directory: Value, pattern: Value = NOTHING) -> Table:
    """The entries of a folder; `pattern` is one of `like`, its case ignored."""
    import re

    name = text_argument(directory, "directory")
    folder = readable(context, name)
    if not folder.is_dir():
        raise ScriptError(f"The directory [{name}] does not exist.")
    wanted = text_argument(pattern, "pattern", "%")
    expression = "".join(".*" if c == "%" else "." if c == "?" else re.escape(c) for c in wanted)
    entries = [each for each in sorted(folder.iterdir()) if re.fullmatch(expression, each.name, re.IGNORECASE)]
    states = [entry.stat() for entry in entries]
    return listing(
        ("filename", Type.STRING, [entry.name for entry in entries]),
        ("isDir", Type.BOOL, [entry.is_dir() for entry in entries]),
        ("fileSize", Type.LONG, [0 if e.is_dir() else s.st_size for e, s in zip(entries, states, strict=True)]),
        ("lastAccessed", Type.TIMESTAMP, [timestamp(state.st_atime) for state in states]),
        ("lastModified", Type.TIMESTAMP, [timestamp(state.st_mtime) for state in states]),
    )


@functions.builtin("mkdir", "directory", context=True)
def mkdir(context: Context, directory: Value) -> Nothing:
    name = text_argument(directory, "directory")
    try:
        writable(context, name).mkdir()
    except FileExistsError:
        raise ScriptError(f"The directory [{name}] already exists.") from None
    except OSError as error:
        raise ScriptError(f"Failed to create the directory [{name}]: {error.strerror}.") from None
    return NOTHING


@functions.builtin("rm", "filename", context=True)
def rm(context: Context, filename: Value) -> Nothing:
    name = text_argument(filename, "filename")
    try:
        writable(context, name).unlink()
    except OSError as error:
        raise ScriptError(f"Failed to remove the file [{name}]: {error.strerror}.") from None
    return NOTHING


@functions.builtin("rmdir", "dir, [recursive=false], [keepRootDir=false]", context=True)
def rmdir(context: Context, directory: Value, recursive: Value = NOTHING, keep_root: Value = NOTHING) -> Nothing:
    name = text_argument(directory, "dir")
    path = writable(context, name)
    everything = boolean_argument(recursive, "recursive", False)
    keep = boolean_argument(keep_root, "keepRootDir", False)
    if keep and not everything:
        raise CallError("recursive must be true when keepRootDir is true.")
    try:
        if not everything:
            path.rmdir()
        else:
            shutil.rmtree(path)
            if keep:
                path.mkdir()
    except OSError as error:
        raise ScriptError(f"Failed to remove directory [{name}]: {error.strerror}.") from None
    return NOTHING


@functions.builtin("file", 'name, [mode="r"], [isLittleEndian]', context=True)
def file(context: Context, name: Value, mode: Value = NOTHING, little_endian: Value = NOTHING) -> Handle:
    """A text file. It is closed by `close`, or when nothing refers to it any more."""
    if not boolean_argument(little_endian, "isLittleEndian", True):
        raise CallError("isLittleEndian must be true.")
    text = text_argument(name, "name")
    wanted = choice_argument(mode, "mode", _MODES, "r")
    path = readable(context, text) if wanted == "r" else writable(context, text)
    try:
        opened = path.open(wanted, encoding="utf-8", newline="")
    except OSError as error:
        raise ScriptError(f"Failed to open the file [{text}]: {error.strerror}.") from None
    return Handle("FILE", f"file({text})", opened)


def _opened(handle: Value, writing: bool = False) -> IO[Any]:
    target = handle.target if isinstance(handle, Handle) else None
    if target is None or not hasattr(target, "readline"):
        raise CallError("handle must be a file handle, which file(name) returns.")
    if target.closed:
        raise ScriptError("The file is closed.")
    opened: IO[Any] = target
    if not (opened.writable() if writing else opened.readable()):
        raise ScriptError(f"The file is not open for {'writing' if writing else 'reading'}.")
    return opened


def _next_line(opened: IO[Any]) -> str | None:
    try:
        line = str(opened.readline())
    except UnicodeDecodeError:
        raise ScriptError("The file is not a text in UTF-8.") from None
    return line.removesuffix("\n").removesuffix("\r") if line else None


@functions.builtin("readLine", "handle")
def read_line(handle: Value) -> Scalar:
    """The next line, or NULL at the end."""
    line = _next_line(_opened(handle))
    return NULL if line is None else string(line)


def _lines(opened: IO[Any], count: int) -> list[str]:
    lines: list[str] = []
    while len(lines) < count and (line := _next_line(opened)) is not None:
        lines.append(line)
    return lines


@functions.builtin("readLines", "handle, [length=1024]")
def read_lines(handle: Value, length: Value = NOTHING) -> Vector:
    return vector(Type.STRING, _lines(_opened(handle), positive_argument(length, "length", 1024)))


@functions.builtin("readLines!", "handle, holder, [offset=0], [length=1]")
def read_lines_into(handle: Value, holder: Value, offset: Value = NOTHING, length: Value = NOTHING) -> Scalar:
    """Lines into an existing vector; returns how many were read."""
    if not isinstance(holder, Vector) or holder.type is not Type.STRING:
        raise CallError("holder must be a STRING vector.")
    start = integer_argument(offset, "offset", 0)
    count = positive_argument(length, "length", 1)
    if start < 0 or start + count > len(holder):
        raise CallError("offset and length must lie within holder.")
    lines = _lines(_opened(handle), count)
    holder.data[start : start + len(lines)] = lines
    return integer(len(lines))


def _line_end(windows: Value) -> str:
    return "\r\n" if boolean_argument(windows, "windowsLineEnding", False) else "\n"


@functions.builtin("writeLine", "handle, line, [windowsLineEnding]")
def write_line(handle: Value, line: Value, windows: Value = NOTHING) -> Scalar:
    opened = _opened(handle, writing=True)
    opened.write(text_argument(line, "line") + _line_end(windows))
    opened.flush()
    return integer(1)


@functions.builtin("writeLines", "handle, object, [offset=0], [length], [windowsLineEnding]")
def write_lines(
    handle: Value, lines: Value, offset: Value = NOTHING, length: Value = NOTHING, windows: Value = NOTHING
) -> Scalar:
    if not isinstance(lines, Vector) or lines.type not in LITERAL:
        raise CallError("object must be a STRING vector.")
    start = integer_argument(offset, "offset", 0)
    count = len(lines) - start if is_omitted(length) else integer_argument(length, "length")
    wanted = lines.strings()[start : start + count].tolist()
    opened = _opened(handle, writing=True)
    end = _line_end(windows)
    opened.write("".join(f"{line}{end}" for line in wanted))
    opened.flush()
    return integer(len(wanted))


@functions.builtin("close", "X")
def close(handle: Value) -> Nothing:
    if not isinstance(handle, Handle) or not hasattr(handle.target, "close"):
        raise CallError("X must be a file handle.")
    handle.target.close()
    return NOTHING


@functions.builtin("saveTextFile", "content, filename, [append=false], [lastModified]", context=True)
def save_text_file(
    context: Context, content: Value, filename: Value, append: Value = NOTHING, modified: Value = NOTHING
) -> Scalar:
    if not is_omitted(modified):
        raise CallError("lastModified can't be set.")
    texts = names_argument(content, "content")
    name = text_argument(filename, "filename")
    mode = "a" if boolean_argument(append, "append", False) else "w"
    try:
        with writable(context, name).open(mode, encoding="utf-8", newline="") as opened:
            opened.write("".join(texts))
    except OSError as error:
        raise ScriptError(f"Failed to write the file [{name}]: {error.strerror}.") from None
    return boolean(True)
