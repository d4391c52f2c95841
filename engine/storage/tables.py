"""A stored table: its manifest, and the partitions' pieces of segment files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np

from engine.errors import ScriptError
from engine.sql.source import Conjunct
from engine.storage.columns import fit, joined, sorted_by, stacked, without_duplicates
from engine.storage.files import read_document, write_document
from engine.storage.partitions import OUTSIDE, Level
from engine.storage.segments import Segment, coded_blocks, column_blocks, null_rows, write_segment
from engine.storage.symbols import StoredSymbols
from engine.storage.table_schema import ColumnSchema, TableSchema
from engine.storage.upsert import merged_by_key
from engine.types import DTYPES, Type
from engine.values import Array, ArrayVector, Column, Table, Vector, based
from engine.wire.decode import text_vector

_MERGE_PIECES = 16
_SMALL_ROWS = 1 << 16

Partition = tuple[int, ...]


@dataclass(frozen=True)
class Piece:
    """Rows `start` … `start + count` of a segment file."""

    file: str
    start: int
    count: int


class TableStore:
    """One table in a folder; implements `engine.sql.source.StoredTable`.

    Every change writes new files first and then replaces the manifest, so that a crash at any point leaves the table
    as it was before or after. `lock` serialises changes.
    """

    def __init__(
        self,
        folder: Path,
        database: str,
        name: str,
        levels: Sequence[Level],
        assign: Callable[[Sequence[Vector]], list[Array]],
    ) -> None:
        self.folder = folder
        self.database = database
        self.name = name
        self.levels = levels
        self._assign_levels = assign
        self.lock = RLock()
        self.dropped = False
        manifest = read_document(folder / "manifest.json")
        self.schema = TableSchema.from_document(manifest["schema"])
        self.version: int = manifest["version"]
        self._pieces: dict[Partition, list[Piece]] = {
            tuple(map(int, filter(None, key.split(",")))): [Piece(*piece) for piece in pieces]
            for key, pieces in manifest["pieces"].items()
        }
        self._symbols = {
            int(key): StoredSymbols(folder / f"{key}.symbols", length) for key, length in manifest["symbols"].items()
        }
        self._next_file: int = manifest["next_file"]
        self._remove_leftovers()

    @staticmethod
    def create(folder: Path, schema: TableSchema) -> None:
        """Lay out an empty table."""
        for column in schema.columns:
            column_blocks(column.type, np.empty(0, DTYPES[column.type]))
            column.id = schema.next_id
            schema.next_id += 1
        schema.first_columns = len(schema.columns)
        folder.mkdir(parents=True)
        symbols = {str(column.id): 0 for column in schema.columns if column.type is Type.SYMBOL}
        document = {"version": 0, "next_file": 0, "schema": schema.document(), "pieces": {}, "symbols": symbols}
        write_document(folder / "manifest.json", document)

    def moved(self, folder: Path, name: str) -> None:
        """Go on in another folder, to which the files were moved."""
        self.folder, self.name = folder, name
        for stored in self._symbols.values():
            stored.path = folder / stored.path.name

    # --- what it is ---

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.schema.columns]

    @property
    def types(self) -> list[Type]:
        return [column.type for column in self.schema.columns]

    @property
    def rows(self) -> int:
        with self.lock:
            return sum(piece.count for pieces in self._pieces.values() for piece in pieces)

    @property
    def is_partitioned(self) -> bool:
        return bool(self.schema.partition_columns)

    @property
    def url(self) -> str:
        return f"{self.database}/{self.name}"

    def partition_rows(self) -> dict[Partition, int]:
        """Rows of each partition that has any, in reading order."""
        with self.lock:
            return {key: sum(piece.count for piece in self._pieces[key]) for key in self._ordered(self._pieces)}

    def partition_path(self, partition: Partition) -> str:
        """The path of a partition within its database: `/20240101/Key3`."""
        return "".join(f"/{level.name(number)}" for level, number in zip(self.levels, partition, strict=True))

    def empty(self) -> Table:
        return Table(self.names, [self._nulls(column, 0) for column in self.schema.columns])

    def column(self, name: str) -> ColumnSchema:
        lowered = name.lower()
        for column in self.schema.columns:
            if column.name.lower() == lowered:
                return column
        raise ScriptError(f"Unrecognized column name [{name}].")

    # --- reading ---

    def read(self, columns: Sequence[str] | None, conjuncts: Sequence[Conjunct]) -> Table:
        with self.lock:
            self._check_open()
            wanted = self.schema.columns if columns is None else [self.column(name) for name in columns]
            pieces = [piece for key in self.candidates(conjuncts) for piece in self._pieces[key]]
            return self._read(wanted, pieces)

    def read_partition(self, partition: Partition) -> Table:
        """All columns of the rows of one partition."""
        with self.lock:
            self._check_open()
            return self._read(self.schema.columns, self._pieces.get(partition, []))

    def candidates(self, conjuncts: Sequence[Conjunct]) -> list[Partition]:
        """The partitions with rows that may meet the conditions, in reading order."""
        with self.lock:
            keys = list(self._pieces)
            for position, name in enumerate(self.schema.partition_columns):
                level = self.levels[position]
                column_type = self.column(name).type
                for conjunct in conjuncts:
                    if conjunct.column.lower() != name.lower():
                        continue
                    allowed = level.candidates(conjunct, column_type)
                    if allowed is not None:
                        keys = [key for key in keys if key[position] in allowed]
            return self._ordered(keys)

    def _ordered(self, keys: Any) -> list[Partition]:
        if not self.is_partitioned:
            return list(keys)
        ranks = [{number: rank for rank, number in enumerate(level.order())} for level in self.levels]
        return sorted(keys, key=lambda key: [rank[number] for rank, number in zip(ranks, key, strict=True)])

    def _read(self, columns: Sequence[ColumnSchema], pieces: Sequence[Piece]) -> Table:
        runs: list[Piece] = []
        for piece in pieces:
            last = runs[-1] if runs else None
            if last is not None and last.file == piece.file and last.start + last.count == piece.start:
                runs[-1] = Piece(last.file, last.start, last.count + piece.count)
            else:
                runs.append(piece)
        segments = {file: Segment(self.folder / file) for file in {piece.file for piece in runs}}
        return Table([column.name for column in columns], [self._column(c, runs, segments) for c in columns])

    def _column(self, column: ColumnSchema, pieces: list[Piece], segments: dict[str, Segment]) -> Column:
        if not pieces:
            return self._nulls(column, 0)
        parts: list[Column] = []
        for piece in pieces:
            segment = segments[piece.file]
            if not segment.has(column.id):
                parts.append(self._nulls(column, piece.count))
            elif column.is_array:
                data, offsets = segment.read_rows(column.id, column.type, piece.start, piece.count)
                parts.append(ArrayVector(Vector(column.type, data, None, column.scale), offsets))
            elif column.type is Type.STRING and piece.count:
                coded = segment.coded(column.id, piece.start, piece.count)
                parts.append(
                    text_vector(segment.texts(column.id, piece.start, piece.count), piece.count)
                    if coded is None
                    else based(*coded)
                )
            else:
                data = segment.read(column.id, column.type, piece.start, piece.count)
                parts.append(Vector(column.type, data, self._base(column), column.scale))
        return joined(parts)

    def _base(self, column: ColumnSchema) -> Any:
        return self._symbols[column.id].base if column.type is Type.SYMBOL else None

    def _nulls(self, column: ColumnSchema, count: int) -> Column:
        if column.is_array:
            return ArrayVector(
                Vector(column.type, null_rows(column.type, 0), None, column.scale), np.zeros(count + 1, int)
            )
        return Vector(column.type, null_rows(column.type, count), self._base(column), column.scale)

    # --- changing ---

    def append(self, table: Table) -> int:
        """Add rows by position of columns; rows outside the partition scheme are left out. Returns how many were
        added."""
        with self.lock:
            self._check_open()
            fitted = self.fitted(table)
            if not fitted.rows:
                return 0
            groups = self._assigned(fitted)
            count = sum(len(rows) for rows in groups.values())
            if count:
                self._add(fitted, groups)
            return count

    def fitted(self, table: Table) -> Table:
        """The columns converted to the declared types; ScriptError where they do not fit."""
        given, declared = len(table.columns), len(self.schema.columns)
        if not min(self.schema.first_columns, declared) <= given <= declared:
            raise ScriptError(
                f"The number of columns of the table to insert ({given}) must be the same as that of "
                f"the original table [{self.name}] ({declared})."
            )
        with table.lock:
            columns = [fit(c, s) for c, s in zip(table.columns, self.schema.columns, strict=False)]
            columns += [self._nulls(column, table.rows) for column in self.schema.columns[given:]]
        return Table(self.names, columns)

    def _assigned(self, table: Table) -> dict[Partition, Array]:
        """Row numbers by partition, in reading order."""
        rows = table.rows
        if not self.is_partitioned:
            return {(): np.arange(rows)}
        columns = [table.column(name) for name in self.schema.partition_columns]
        numbers = self._assign_levels([column for column in columns if isinstance(column, Vector)])
        combined = np.zeros(rows, dtype=np.int64)
        outside = np.zeros(rows, dtype=bool)
        for level, assigned in zip(self.levels, numbers, strict=True):
            outside |= assigned == OUTSIDE
            combined = combined * (level.count() + 1) + assigned + 1
        inside = np.flatnonzero(~outside)
        if not len(inside):
            return {}
        order = inside[np.argsort(combined[inside], kind="stable")]
        starts = np.flatnonzero(np.concatenate(([True], np.diff(combined[order]) != 0)))
        groups = {tuple(int(assigned[part[0]]) for assigned in numbers): part for part in np.split(order, starts[1:])}
        return {key: groups[key] for key in self._ordered(groups)}

    def _add(self, table: Table, groups: dict[Partition, Array]) -> None:
        """Write the rows of each partition, merged with what is there where it must be."""
        keys = self.schema.primary_key or self.schema.sort_columns
        keep = "LAST" if self.schema.primary_key else self.schema.keep
        contents: dict[Partition, Table] = {}
        replaced: dict[Partition, list[Piece]] = {}
        for key, rows in groups.items():
            part = table.take(rows)
            kept = self._pieces.get(key, [])
            if keep != "ALL" and keys:
                part = stacked(self._read(self.schema.columns, kept), part) if kept else part
                part = without_duplicates(part, keys, keep)
                kept = []
            elif len(kept) >= _MERGE_PIECES:
                small = [piece for piece in kept if piece.count < _SMALL_ROWS]
                part = stacked(self._read(self.schema.columns, small), part)
                kept = [piece for piece in kept if piece.count >= _SMALL_ROWS]
            if self.schema.sort_columns:
                part = sorted_by(part, self.schema.sort_columns)
            contents[key] = part
            replaced[key] = kept
        self._write(contents, replaced)

    def _write(self, contents: dict[Partition, Table], kept: dict[Partition, list[Piece]]) -> None:
        """Store new content of partitions after the pieces they keep, in one file and one change of the manifest."""
        pieces = dict(self._pieces)
        filled = {key: table for key, table in contents.items() if table.rows}
        if filled:
            whole = next(iter(filled.values())) if len(filled) == 1 else stacked(*filled.values())
            file = f"{self._next_file:08d}.segment"
            self._next_file += 1
            write_segment(self.folder / file, whole.rows, self._blocks(whole))
        start = 0
        for key, table in contents.items():
            added = [Piece(file, start, table.rows)] if table.rows else []
            start += table.rows
            pieces[key] = [*kept[key], *added]
            if not pieces[key]:
                del pieces[key]
        self._commit(pieces)

    def _blocks(self, table: Table) -> dict[int, list[bytes | memoryview]]:
        blocks = {}
        for column, schema in zip(table.columns, self.schema.columns, strict=True):
            if isinstance(column, ArrayVector):
                blocks[schema.id] = column_blocks(schema.type, column.flat.data, column.offsets)
            elif schema.type is Type.SYMBOL and isinstance(column, Vector):
                stored = self._symbols[schema.id]
                blocks[schema.id] = column_blocks(schema.type, stored.codes(column))
                stored.flush()
            elif isinstance(column, Vector):
                held = column.coded() if schema.type is Type.STRING else None
                blocks[schema.id] = (
                    column_blocks(schema.type, column.data)
                    if held is None or held.symbols is None
                    else coded_blocks(held.data, held.symbols.strings)
                )
        return blocks

    def _commit(self, pieces: dict[Partition, list[Piece]]) -> None:
        try:
            self._write_manifest(pieces)
        except BaseException:
            self._restore()
            raise
        self.version += 1
        before = self._files(self._pieces)
        self._pieces = pieces
        for file in before - self._files(pieces):
            (self.folder / file).unlink(missing_ok=True)

    def _write_manifest(self, pieces: dict[Partition, list[Piece]]) -> None:
        document = {
            "version": self.version + 1,
            "next_file": self._next_file,
            "schema": self.schema.document(),
            "pieces": {
                ",".join(map(str, key)): [[piece.file, piece.start, piece.count] for piece in parts]
                for key, parts in pieces.items()
            },
            "symbols": {str(key): stored.length for key, stored in self._symbols.items()},
        }
        write_document(self.folder / "manifest.json", document)

    def _restore(self) -> None:
        """Take back what a change that failed has done to the declaration, and the files it has written."""
        manifest = read_document(self.folder / "manifest.json")
        self.schema = TableSchema.from_document(manifest["schema"])
        if manifest["version"] == self.version:
            self._remove_leftovers()

    @contextmanager
    def _changed_schema(self) -> Iterator[None]:
        """Store a change of the declaration, or leave it as it was."""
        with self.lock:
            self._check_open()
            try:
                yield
            except BaseException:
                self._restore()
                raise
            self._commit(dict(self._pieces))

    @staticmethod
    def _files(pieces: dict[Partition, list[Piece]]) -> set[str]:
        return {piece.file for parts in pieces.values() for piece in parts}

    def _remove_leftovers(self) -> None:
        used = self._files(self._pieces)
        for path in self.folder.glob("*.segment"):
            if path.name not in used:
                path.unlink()

    def _check_open(self) -> None:
        if self.dropped:
            raise ScriptError(f"The table [{self.url}] was dropped.")

    def rewrite(self, conjuncts: Sequence[Conjunct], change: Callable[[Table], Table | None]) -> None:
        with self.lock:
            self._check_open()
            contents: dict[Partition, Table] = {}
            for key in self.candidates(conjuncts):
                changed = change(self._read(self.schema.columns, self._pieces[key]))
                if changed is not None:
                    contents[key] = self.fitted(changed)
                    self._check_partition(contents[key], key)
            if contents:
                self._write(contents, {key: [] for key in contents})

    def _check_partition(self, table: Table, key: Partition) -> None:
        for name, level, number in zip(self.schema.partition_columns, self.levels, key, strict=False):
            column = table.column(name)
            assert isinstance(column, Vector)
            if (level.assign(column, extend=False) != number).any():
                raise ScriptError(f"The partitioning column [{name}] can't be updated to values of other partitions.")

    def upsert(self, table: Table, keys: Sequence[str], ignore_null: bool) -> None:
        """Replace rows equal in `keys` by those of `table`, partition by partition, and add the others."""
        with self.lock:
            self._check_open()
            fitted = self.fitted(table)
            columns = [self.column(name).name for name in keys]
            contents: dict[Partition, Table] = {}
            for key, rows in self._assigned(fitted).items():
                there = self._read(self.schema.columns, self._pieces.get(key, []))
                contents[key] = merged_by_key(there, fitted.take(rows), columns, ignore_null)
            if contents:
                self._write(contents, {key: [] for key in contents})

    def remove(self, partitions: Sequence[Partition]) -> None:
        """Drop all rows of partitions."""
        with self.lock:
            self._check_open()
            gone = set(partitions)
            self._commit({key: pieces for key, pieces in self._pieces.items() if key not in gone})

    def replace(self, table: Table) -> None:
        """Put rows in the place of all that the partitions they belong to hold."""
        with self.lock:
            self._check_open()
            fitted = self.fitted(table)
            contents = {key: fitted.take(rows) for key, rows in self._assigned(fitted).items()}
            if contents:
                self._write(contents, {key: [] for key in contents})

    def fingerprint(self, partition: Partition) -> str:
        """A text that changes when the rows of a partition or the declaration of the table do."""
        with self.lock:
            self._check_open()
            pieces = [
                (piece.file, piece.start, piece.count, (self.folder / piece.file).stat().st_mtime_ns)
                for piece in self._pieces.get(partition, [])
            ]
            return hashlib.sha256(repr((self.schema.document(), pieces)).encode()).hexdigest()

    def truncate(self) -> None:
        with self.lock:
            self._check_open()
            self._commit({})

    def drop_columns(self, names: Sequence[str]) -> None:
        with self._changed_schema():
            gone = [self.column(name) for name in names]
            fixed = {*self.schema.partition_columns, *self.schema.sort_columns, *self.schema.primary_key}
            for column in gone:
                if column.name in fixed:
                    raise ScriptError(f"The column [{column.name}] is a partitioning, sort or key column.")
            if len(gone) == len(self.schema.columns):
                raise ScriptError("A table must keep at least one column.")
            self.schema.first_columns -= sum(
                column in gone for column in self.schema.columns[: self.schema.first_columns]
            )
            self.schema.columns = [column for column in self.schema.columns if column not in gone]

    def rename_column(self, name: str, new_name: str) -> None:
        with self._changed_schema():
            column = self.column(name)
            if any(other.name.lower() == new_name.lower() for other in self.schema.columns if other is not column):
                raise ScriptError(f"The column [{new_name}] already exists.")
            for group in (self.schema.partition_columns, self.schema.sort_columns, self.schema.primary_key):
                group[:] = [new_name if other == column.name else other for other in group]
            column.name = new_name

    def set_comments(self, comments: Mapping[str, str]) -> None:
        with self._changed_schema():
            for name, text in comments.items():
                self.column(name).comment = text

    def set_comment(self, text: str) -> None:
        with self._changed_schema():
            self.schema.comment = text

    def add_columns(self, names: Sequence[str], types: Sequence[Type], scales: Sequence[int]) -> None:
        with self._changed_schema():
            for name, type_, scale in zip(names, types, scales, strict=True):
                if any(column.name.lower() == name.lower() for column in self.schema.columns):
                    raise ScriptError(f"The column [{name}] already exists.")
                column_blocks(type_, np.empty(0, DTYPES[type_]))
                column = ColumnSchema(self.schema.next_id, name, type_, scale)
                self.schema.next_id += 1
                self.schema.columns.append(column)
                if type_ is Type.SYMBOL:
                    self._symbols[column.id] = StoredSymbols(self.folder / f"{column.id}.symbols", 0)
