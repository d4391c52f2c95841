"""What a query needs of a stored table: columns, and conditions simple enough to skip partitions by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dolphin.script import syntax
from engine.sql.rewrite import SUBQUERIES
from engine.sql.source import Conjunct, ConjunctOperator
from engine.types import Type
from engine.values import Scalar, Value, Vector

TEMPORAL_FUNCTIONS = frozenset(
    ("date", "month", "datehour", "year", "minute", "second", "datetime", "timestamp", "hour")
)
STEADY_FUNCTIONS = TEMPORAL_FUNCTIONS | {
    "today", "temporalAdd", "temporalParse", "concatDateTime", "nanotimestamp", "symbol", "string", "int", "long",
    "short", "double", "monthBegin", "monthEnd", "yearBegin", "yearEnd", "businessDay", "take", "set", "distinct",
}  # fmt: skip
MIRRORED: dict[str, ConjunctOperator] = {
    "==": "==", "=": "==", "!=": "!=", "<>": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<=",
}  # fmt: skip
OPERATORS: dict[str, ConjunctOperator] = {
    "==": "==", "=": "==", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">=", "in": "in",
    "between": "between",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Condition:
    """`function(qualifier.column) operator operand`, the operand not evaluated yet."""

    qualifier: str | None
    column: str
    function: str | None
    operator: ConjunctOperator
    operand: syntax.Expression


@dataclass(frozen=True, slots=True)
class Need:
    """`names` are all the words a query uses (None: all columns are needed); `evaluate` gives a constant's value."""

    names: frozenset[str] | None = None
    conditions: tuple[Condition, ...] = ()
    evaluate: Callable[[syntax.Expression], Value] | None = None

    def columns_of(self, columns: Sequence[str]) -> list[str] | None:
        if self.names is None:
            return None
        wanted = [name for name in columns if name.lower() in self.names]
        # A query that names no column still needs to know how many rows there are.
        return wanted or list(columns[:1])

    def conjuncts_of(self, columns: Sequence[str], alias: str | None) -> list[Conjunct]:
        """The conditions on this table that compare a column with a constant."""
        known = {name.lower() for name in columns}
        found = []
        for each in self.conditions:
            if each.column.lower() not in known or each.qualifier not in (None, alias) or self.evaluate is None:
                continue
            if not _is_steady(each.operand) or known & _words(each.operand):
                continue
            operand = self.evaluate(each.operand)
            if _fits(each.operator, operand):
                assert isinstance(operand, Vector | Scalar)
                found.append(Conjunct(each.column, each.operator, operand, each.function))
        return found

    def without_conditions(self) -> Need:
        return Need(self.names)


def need_of(
    nodes: Sequence[syntax.Node],
    where: Sequence[syntax.Expression],
    evaluate: Callable[[syntax.Expression], Value],
) -> Need:
    """What the clauses `nodes` and the conditions `where` need of the tables they are about."""
    conditions = tuple(found for each in where for found in _conditions(each))
    names: set[str] = set()
    for node in nodes:
        for each in syntax.walk(node):
            if isinstance(each, syntax.SelectItem) and each.value is None:
                return Need(None, conditions, evaluate)
            if isinstance(each, syntax.Member) and each.name == "*":
                return Need(None, conditions, evaluate)
            _add_name(each, names)
    return Need(frozenset(names), conditions, evaluate)


def _fits(operator: ConjunctOperator, operand: Value) -> bool:
    if operator == "between":
        return isinstance(operand, Vector) and len(operand) == 2
    if operator == "in":
        return isinstance(operand, Vector | Scalar)
    return isinstance(operand, Scalar) and operand.type is not Type.VOID


def _is_steady(node: syntax.Expression) -> bool:
    """Whether an operand can be evaluated before the query without costing much or giving another value."""
    for each in syntax.walk(node):
        if isinstance(each, SUBQUERIES):
            return False
        if isinstance(each, syntax.Call) and not (
            isinstance(each.function, syntax.Name) and each.function.id in STEADY_FUNCTIONS
        ):
            return False
    return True


def _words(node: syntax.Expression) -> set[str]:
    """The names in an expression that may be columns: all but those of called functions."""
    called = {id(each.function) for each in syntax.walk(node) if isinstance(each, syntax.Call)}
    names: set[str] = set()
    for each in syntax.walk(node):
        if id(each) not in called:
            _add_name(each, names)
    return names


def _add_name(node: syntax.Node, names: set[str]) -> None:
    if isinstance(node, syntax.Name):
        names.add(node.id.lower())
    elif isinstance(node, syntax.ColumnName):
        names.add(node.text.lower())
    elif isinstance(node, syntax.Member):
        names.add(node.name.lower())


def _conditions(node: syntax.Expression) -> list[Condition]:
    if not isinstance(node, syntax.Binary):
        return []
    if node.operator in ("and", "&&"):
        return _conditions(node.left) + _conditions(node.right)
    column = _column(node.left)
    if column is not None and node.operator in OPERATORS:
        return [Condition(*column, OPERATORS[node.operator], node.right)]
    column = _column(node.right)
    if column is not None and node.operator in MIRRORED:
        return [Condition(*column, MIRRORED[node.operator], node.left)]
    return []


def _column(node: syntax.Expression) -> tuple[str | None, str, str | None] | None:
    """A column, possibly qualified, possibly inside a function of time."""
    if isinstance(node, syntax.Name):
        return None, node.id, None
    if isinstance(node, syntax.ColumnName):
        return None, node.text, None
    if isinstance(node, syntax.Member) and isinstance(node.target, syntax.Name):
        return node.target.id, node.name, None
    if isinstance(node, syntax.Call) and isinstance(node.function, syntax.Name) and len(node.arguments) == 1:
        inner = node.arguments[0].value
        if node.function.id in TEMPORAL_FUNCTIONS and inner is not None:
            found = _column(inner)
            if found is not None and found[2] is None:
                return found[0], found[1], node.function.id
    return None
