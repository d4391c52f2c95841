"""What the rules know about the script around a node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dolphin.script import syntax as s

_STORED = frozenset({"loadTable", "createPartitionedTable", "createTable", "createDimensionTable", "loadTableBySQL"})


@dataclass(slots=True)
class Context:
    """The text, the known columns (lower-case name to type) and which variables hold stored tables."""

    text: str
    columns: Mapping[str, str] | None = None
    stored: set[str] = field(default_factory=set)
    assigned: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)

    def is_stored(self, source: s.Source | s.Join | None) -> bool:
        if isinstance(source, s.Join):
            return self.is_stored(source.left) or self.is_stored(source.right)
        return source is not None and self.is_stored_table(source.value)

    def is_stored_table(self, node: s.Expression) -> bool:
        if isinstance(node, s.Name):
            return node.id in self.stored
        if isinstance(node, s.Call) and isinstance(node.function, s.Name):
            return node.function.id in _STORED
        return isinstance(node, s.Member) and isinstance(node.target, s.Member)


def read_context(script: s.Script, text: str, columns: Mapping[str, str] | None) -> Context:
    known = {name.lower(): kind.upper() for name, kind in columns.items()} if columns is not None else None
    context = Context(text, known)
    for node in s.walk(script):
        if isinstance(node, s.Assign):
            for target in node.targets:
                if isinstance(target, s.Name):
                    context.assigned.add(target.id)
                    if context.is_stored_table(node.value):
                        context.stored.add(target.id)
        elif isinstance(node, (s.FunctionDefinition, s.ClassDefinition)):
            context.functions.add(node.name)
        elif isinstance(node, (s.Parameter, s.Share)):
            context.assigned.add(node.name)
        elif isinstance(node, s.For):
            context.assigned.update(node.names)
    return context
