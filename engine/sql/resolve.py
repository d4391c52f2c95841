"""The from clause: tables, stored tables, subqueries and joins as a frame."""

from __future__ import annotations

from collections.abc import Sequence

from dolphin.script import syntax
from engine.errors import ScriptError
from engine.forms import form_name
from engine.interpreter.scope import Scope
from engine.sql import joining
from engine.sql.construct import table_of_dictionary, table_of_matrix
from engine.sql.evaluation import Executor
from engine.sql.frame import Field, Frame, RowScope, TargetScope, frame_of, numbered
from engine.sql.pruning import Need
from engine.sql.source import stored_table
from engine.sql.subqueries import ConstantScope, OuterScope
from engine.values import Dictionary, Matrix, Table, Value

ALL = Need()


def resolve(source: syntax.Source | syntax.Join | None, executor: Executor, scope: Scope, need: Need = ALL) -> Frame:
    """The rows a query starts from. `need` tells a stored table which columns and conditions matter."""
    if source is None:
        return Frame([], 1)
    if isinstance(source, syntax.Join):
        return joining.standard_join(source, executor, scope, need)
    alias = source.alias or default_alias(source.value)
    return resolve_expression(source.value, alias, executor, scope, need)


def resolve_expression(
    node: syntax.Expression, alias: str | None, executor: Executor, scope: Scope, need: Need
) -> Frame:
    if is_join(node) and isinstance(node, syntax.Call):
        frame = joining.function_join(node, executor, scope, need)
        return requalified(frame, alias) if alias else frame
    if isinstance(node, syntax.Name | syntax.Member):
        # A table may be called like a column of the query around this one.
        while isinstance(scope, RowScope | OuterScope | ConstantScope) and scope.parent is not None:
            scope = scope.parent
    value = executor.evaluate(node, scope)
    if isinstance(scope, TargetScope) and value is scope.target and isinstance(value, Table):
        return numbered(frame_of(value, alias))
    return frame_of_value(value, alias, need)


def is_join(node: syntax.Expression) -> bool:
    return (
        isinstance(node, syntax.Call)
        and isinstance(node.function, syntax.Name)
        and node.function.id in joining.JOIN_FUNCTIONS
    )


def frame_of_value(value: Value, alias: str | None, need: Need = ALL) -> Frame:
    if isinstance(value, Table):
        return frame_of(value, alias)
    stored = stored_table(value)
    if stored is not None:
        columns = need.columns_of(stored.names)
        return frame_of(stored.read(columns, need.conjuncts_of(stored.names, alias)), alias)
    if isinstance(value, Dictionary):
        return frame_of(table_of_dictionary(value), alias)
    if isinstance(value, Matrix):
        return frame_of(table_of_matrix(value), alias)
    raise ScriptError(f"The from clause requires a table, not {form_name(value)}.")


def default_alias(node: syntax.Expression) -> str | None:
    """The name by which columns of a table without an alias can be qualified."""
    if isinstance(node, syntax.Name):
        return node.id.split("::")[-1]
    if isinstance(node, syntax.Member):
        return node.name
    if isinstance(node, syntax.Call) and isinstance(node.function, syntax.Name) and node.function.id == "loadTable":
        last = node.arguments[-1].value if node.arguments else None
        if isinstance(last, syntax.Literal) and isinstance(last.value, str):
            return last.value
    return None


def requalified(frame: Frame, alias: str) -> Frame:
    """All visible columns under one alias."""
    fields: Sequence[Field] = [Field(each.label, each.column, alias) for each in frame.fields if not each.hidden]
    return Frame(list(fields), frame.base_rows, frame.selection)
