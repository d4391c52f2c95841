"""Names with a fixed meaning: data types, kinds of objects, kinds of partitions."""

from __future__ import annotations

import math
from collections.abc import Iterable

from dolphin.script.builtin_names import BUILTIN_NAMES
from dolphin.script.remedies import remedy
from engine.errors import ScriptError, UnknownNameError, UnsupportedError
from engine.source import HINT_CODES
from engine.types import Type
from engine.values import Scalar, Value

ARRAY_VECTOR_OFFSET = 64

_PARTITIONS = {"SEQ": 0, "VALUE": 1, "RANGE": 2, "LIST": 3, "COMPO": 4, "HASH": 5}
_KINDS = ("VAR", "SHARED", "DEF", "SESSION", "FIRST", "LAST", "ALL", "NONE")
_RIGHTS = (
    "TABLE_READ", "TABLE_WRITE", "TABLE_INSERT", "TABLE_UPDATE", "TABLE_DELETE", "DBOBJ_CREATE", "DBOBJ_DELETE",
    "DB_READ", "DB_WRITE", "DB_INSERT", "DB_UPDATE", "DB_DELETE", "DB_MANAGE", "DB_OWNER", "VIEW_EXEC", "VIEW_OWNER",
    "SCRIPT_EXEC", "TEST_EXEC", "QUERY_RESULT_MEM_LIMIT", "TASK_GROUP_MEM_LIMIT", "COMPUTE_GROUP_EXEC",
    "CATALOG_MANAGE", "CATALOG_READ", "CATALOG_WRITE", "CATALOG_INSERT", "CATALOG_UPDATE", "CATALOG_DELETE",
    "SCHEMA_MANAGE", "SCHEMA_READ", "SCHEMA_WRITE", "SCHEMA_INSERT", "SCHEMA_UPDATE", "SCHEMA_DELETE",
    "SCHEMAOBJ_CREATE", "SCHEMAOBJ_DELETE", "ORCA_GRAPH_CREATE", "ORCA_GRAPH_DROP", "ORCA_GRAPH_CONTROL",
    "MVCC_MANAGE", "CATALOG_CREATE", "ORCA_TABLE_CREATE",
)  # fmt: skip

_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_FORMS = ("SCALAR", "VECTOR", "PAIR", "MATRIX", "SET", "DICT", "TABLE")

CONSTANTS: dict[str, Value] = {
    **{name: Scalar(Type.INT, code) for code, name in enumerate(_FORMS)},
    **{name: Scalar(Type.INT, code) for code, name in enumerate(_LOG_LEVELS)},
    **{type_.name: Scalar(Type.INT, int(type_)) for type_ in Type},
    **{name: Scalar(Type.INT, code) for name, code in (_PARTITIONS | HINT_CODES).items()},
    **{name: Scalar(Type.STRING, name) for name in (*_KINDS, *_RIGHTS, "HEAD", "CURRENT", "TAIL")},
    "pi": Scalar(Type.DOUBLE, math.pi),
    "e": Scalar(Type.DOUBLE, math.e),
}


def unknown_name(name: str, known: Iterable[str] = ()) -> ScriptError:
    """The error for a name without a meaning here: DolphinDB's own functions are told from misspelt ones.

    `known` are variables and functions that are there.
    """
    if name in BUILTIN_NAMES:
        return UnsupportedError(f"The function {name}")
    return UnknownNameError(name, remedy(name, known))
