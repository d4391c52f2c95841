"""The declared columns and settings of a stored table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine.types import Type


@dataclass
class ColumnSchema:
    """`id` stays when the column is renamed; `is_array` marks an array vector."""

    id: int
    name: str
    type: Type
    scale: int = 0
    is_array: bool = False
    comment: str = ""


@dataclass
class TableSchema:
    """What `createPartitionedTable` fixed. `keep` is ALL, FIRST or LAST, for rows equal in `sort_columns` (TSDB) or,
    always LAST, in `primary_key` (PKEY). `first_columns` of the columns were there from the start; insertions may leave
    out the others."""

    columns: list[ColumnSchema]
    partition_columns: list[str] = field(default_factory=list)
    sort_columns: list[str] = field(default_factory=list)
    primary_key: list[str] = field(default_factory=list)
    keep: str = "ALL"
    owner: str = "admin"
    next_id: int = 0
    first_columns: int = 0
    comment: str = ""

    def document(self) -> dict[str, Any]:
        columns = [{**vars(column), "type": column.type.name} for column in self.columns]
        return {**vars(self), "columns": columns}

    @staticmethod
    def from_document(document: dict[str, Any]) -> TableSchema:
        columns = [ColumnSchema(**{**column, "type": Type[column["type"]]}) for column in document["columns"]]
        return TableSchema(**{**document, "columns": columns})
