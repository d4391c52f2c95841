"""`from a, b where a.x = b.x`: the equal columns of a where clause become the condition of the join."""

from __future__ import annotations

from dataclasses import replace

from dolphin.script import syntax
from engine.sql.joining import conjuncts
from engine.sql.resolve import default_alias


def with_join_keys(query: syntax.Select) -> syntax.Select:
    """The query with conditions on two tables moved from where into the cross join of these tables."""
    if not isinstance(query.source, syntax.Join) or query.source.kind != "cross":
        return query
    conditions = [part for condition in query.where for part in conjuncts(condition)]
    source, rest = _keyed(query.source, conditions)
    if len(rest) == len(conditions):
        return query
    where: list[syntax.Expression] = []
    for condition in query.where:
        parts = conjuncts(condition)
        left = [part for part in parts if any(part is other for other in rest)]
        where.extend([condition] if len(left) == len(parts) else left)
    return replace(query, source=source, where=tuple(where))


def _keyed(
    source: syntax.Source | syntax.Join, conditions: list[syntax.Expression]
) -> tuple[syntax.Source | syntax.Join, list[syntax.Expression]]:
    if not isinstance(source, syntax.Join):
        return source, conditions
    left, conditions = _keyed(source.left, conditions)
    if source.kind != "cross" or source.on is not None:
        return replace(source, left=left), conditions
    left_names, right_names = _aliases(left), _aliases(source.right)
    keys = [each for each in conditions if _connects(each, left_names, right_names)]
    if not keys:
        return replace(source, left=left), conditions
    on = keys[0]
    for key in keys[1:]:
        on = syntax.Binary("and", on, key, span=key.span)
    rest = [each for each in conditions if not any(each is key for key in keys)]
    return replace(source, kind="inner", left=left, on=on), rest


def _aliases(source: syntax.Source | syntax.Join) -> set[str]:
    if isinstance(source, syntax.Join):
        return _aliases(source.left) | _aliases(source.right)
    alias = source.alias or default_alias(source.value)
    return {alias} if alias is not None else set()


def _connects(node: syntax.Expression, left: set[str], right: set[str]) -> bool:
    if not isinstance(node, syntax.Binary) or node.operator not in ("=", "=="):
        return False
    owners = [_owner(node.left), _owner(node.right)]
    return (owners[0] in left and owners[1] in right) or (owners[0] in right and owners[1] in left)


def _owner(node: syntax.Expression) -> str | None:
    if isinstance(node, syntax.Member) and isinstance(node.target, syntax.Name):
        return node.target.id
    return None
