"""What reading a script collects, and what its layers need of each other."""

from __future__ import annotations

from dolphin.script import syntax as s
from dolphin.script.effects.model import (
    Effect,
    Effects,
    Finding,
    Functions,
    Kind,
    Scope,
    Touched,
    Value,
    function_effect,
)


class Collector:
    def __init__(self, script: s.Script) -> None:
        self.script = script
        self.findings: dict[tuple[int, int, str, Effect], Finding] = {}
        self.touched: dict[Touched, None] = {}
        self.active: list[tuple[int, tuple[Value, ...]]] = []
        self.bodies = 0
        self.shared_inside = False
        self.analysed: dict[tuple[int, tuple[Value, ...]], Value] = {}
        self.hides = True

    def add(self, effect: Effect, node: s.Node, name: str, reason: str) -> None:
        key = (node.span.start, node.span.end, name, effect)
        self.findings.setdefault(key, Finding(effect, node.span, name, reason))

    def touch(self, value: Value, effect: Effect) -> None:
        if value.database or (value.name and value.kind is not Kind.LOCAL):
            self.touched.setdefault(Touched(value.database, value.name, effect))

    def define(self, name: str, functions: Functions, scope: Scope) -> None:
        scope.functions[name] = functions
        scope.callables.discard(name)
        self.analysed.clear()

    def function_value(self, node: s.Node, name: str) -> None:
        effect = function_effect(name)
        if effect is None:
            self.add(Effect.admin, node, name, "unknown function")
        elif effect > Effect.read:
            self.add(effect, node, name, "the function is used as a value: what it is applied to cannot be seen")

    def _has_effect(self, name: str) -> bool:
        effect = function_effect(name)
        return effect is not None and effect > Effect.read

    def mark_shared(self, node: s.Node | None, shared: Value, scope: Scope) -> None:
        if isinstance(node, s.Name):
            scope.values[node.id] = shared
        self.shared_inside = self.shared_inside or bool(self.active)

    # --- supplied by the layers built on this one

    def expression(self, node: s.Expression, scope: Scope) -> Value:
        raise NotImplementedError

    def statements(self, statements: tuple[s.Statement, ...], scope: Scope) -> None:
        raise NotImplementedError

    def change(self, target: s.Expression, node: s.Node, name: str, scope: Scope, *, removes: bool) -> None:
        raise NotImplementedError

    def effects_of(self, script: s.Script) -> Effects:
        raise NotImplementedError
