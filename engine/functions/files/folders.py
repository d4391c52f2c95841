"""Files and folders."""

from __future__ import annotations

import shutil

from engine.arguments import (
    boolean_argument,
    is_omitted,
    names_argument,
    text_argument,
)
from engine.context import Context
from engine.errors import CallError, ScriptError
from engine.functions.databases.partitions import exists_partition
from engine.functions.files.paths import readable, writable
from engine.functions.registry import Registry
from engine.functions.tables.tabular import listing, timestamp
from engine.operators.membership import like_pattern
from engine.storage.databases import PREFIX
from engine.storage.files import whole_file
from engine.types import Type
from engine.values import (
    NOTHING,
    Nothing,
    Scalar,
    Table,
    Value,
    boolean,
    string,
    vector,
)

functions = Registry()


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
    name = text_argument(directory, "directory")
    folder = readable(context, name)
    if not folder.is_dir():
        raise ScriptError(f"The directory [{name}] does not exist.")
    wanted = text_argument(pattern, "pattern", "%")
    matches = like_pattern(wanted, ignore_case=True).fullmatch
    entries = [each for each in sorted(folder.iterdir()) if matches(each.name)]
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


@functions.builtin("saveTextFile", "content, filename, [append=false], [lastModified]", context=True)
def save_text_file(
    context: Context, content: Value, filename: Value, append: Value = NOTHING, modified: Value = NOTHING
) -> Scalar:
    if not is_omitted(modified):
        raise CallError("lastModified can't be set.")
    texts = names_argument(content, "content")
    name = text_argument(filename, "filename")
    adding = boolean_argument(append, "append", False)
    try:
        with whole_file(writable(context, name), append=adding, encoding="utf-8", newline="") as opened:
            opened.write("".join(texts))
    except OSError as error:
        raise ScriptError(f"Failed to write the file [{name}]: {error.strerror}.") from None
    return boolean(True)
