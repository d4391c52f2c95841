"""The syntax tree printed back as DolphinDB script, in the style of DolphinDB's own printing of code."""

from __future__ import annotations

from dolphin.script import syntax as s
from dolphin.script.unparse.expressions import STATEMENTS, print_expression, statement
from dolphin.script.unparse.statements import CLAUSES


def unparse(node: s.Node) -> str:
    """`node` as text that parses to an equal tree (spans aside)."""
    if isinstance(node, s.Script):
        return "\n".join(statement(item, "") for item in node.statements)
    if type(node) in STATEMENTS:
        return statement(node, "")
    if type(node) in CLAUSES:
        return CLAUSES[type(node)](node)
    return print_expression(node)


__all__ = ["unparse"]
