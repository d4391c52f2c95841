"""The effects of statements and expressions, read in the order in which they run."""

from __future__ import annotations

from dataclasses import replace

from dolphin.script import syntax as s
from dolphin.script.builtin_names import BUILTIN_NAMES
from dolphin.script.effects.calls import CallReader
from dolphin.script.effects.model import (
    CODE,
    LOCAL,
    Effect,
    Effects,
    Kind,
    Scope,
    Value,
    member_path,
)

_MAX_FINDINGS = 500
_PARTS = (
    s.Argument,
    s.OrderItem,
    s.Grouping,
    s.Source,
    s.Join,
    s.Parameter,
    s.ColumnDefinition,
)
_STATEMENT_TYPES = frozenset(
    {
        *(s.ExpressionStatement, s.Assign, s.Block, s.FunctionDefinition, s.ClassDefinition, s.Attribute, s.If, s.For),
        *(s.While, s.Break, s.Continue, s.Return, s.Throw, s.Assert, s.Try, s.Timer, s.Transaction, s.Go, s.Share),
        *(s.Module, s.Use, s.Undef, s.Insert, s.Update, s.Delete, s.CreateDatabase, s.CreateTable, s.Alter, s.Drop),
    }
)


class Reader(CallReader):
    def run(self) -> Effects:
        scope = Scope()
        self.hides = not any(
            isinstance(node, s.Undef) or (isinstance(node, s.Name) and node.id == "undef")
            for node in s.walk(self.script)
        )
        self.statements(self.script.statements, scope)
        found = sorted(self.findings.values(), key=lambda finding: (finding.span.start, finding.name))
        return Effects(tuple(found[:_MAX_FINDINGS]), tuple(self.touched))

    def statements(self, statements: tuple[s.Statement, ...], scope: Scope) -> None:
        for statement in statements:
            self.statement(statement, scope)

    def branch(self, block: s.Block | None, scope: Scope) -> None:
        """A block that may run or not: it can make a variable's place less certain, never more."""
        if block is None:
            return
        inner = scope.copy()
        self.statements(block.statements, inner)
        for name, value in inner.values.items():
            before = scope.values.get(name)
            hides_nothing = before is None and name not in BUILTIN_NAMES
            if hides_nothing or (before is not None and value.kind > before.kind):
                scope.values[name] = value
        for name, functions in inner.functions.items():
            known = scope.functions.get(name, ())
            scope.functions[name] = known + tuple(item for item in functions if item not in known)
        scope.callables |= inner.callables

    def statement(self, node: s.Statement, scope: Scope) -> None:
        if isinstance(node, s.ExpressionStatement):
            self.expression(node.value, scope)
        elif isinstance(node, s.Assign):
            self.assign(node, scope)
        elif isinstance(node, s.FunctionDefinition):
            if not node.declaration:
                known = scope.functions.get(node.name, ()) if node.function.kind == "mapr" else ()
                self.define(node.name, (*known, node.function), scope)
            for parameter in node.function.parameters:
                self.optional(parameter.default, scope)
        elif isinstance(node, s.ClassDefinition):
            self.class_definition(node, scope)
        elif isinstance(node, s.Block):
            self.statements(node.statements, scope)
        elif isinstance(node, s.If):
            self.expression(node.test, scope)
            self.branch(node.then, scope)
            self.branch(node.otherwise, scope)
        elif isinstance(node, s.For):
            values = self.expression(node.values, scope)
            for name in node.names:
                scope.values[name] = values
            self.loop(node.body, scope)
        elif isinstance(node, s.While):
            self.expression(node.test, scope)
            self.loop(node.body, scope)
        elif isinstance(node, s.Try):
            self.branch(node.body, scope)
            scope.values[node.name] = LOCAL
            self.branch(node.handler, scope)
        elif isinstance(node, s.Timer):
            self.optional(node.count, scope)
            self.statement(node.body, scope)
        elif isinstance(node, s.Transaction):
            self.statements(node.body.statements, scope)
        elif isinstance(node, (s.Return, s.Throw)):
            self.optional(node.value, scope)
        elif isinstance(node, s.Assert):
            self.optional(node.label, scope)
            self.expression(node.test, scope)
        elif isinstance(node, s.Share):
            self.share(node, scope)
        elif isinstance(node, s.Use):
            if not node.catalog:
                kind = "#include" if node.include else "use"
                self.add(Effect.admin, node, kind, f"loads code that is not in the script: {node.name}")
        elif isinstance(node, s.Undef):
            shared = node.kind is not None and node.kind.upper() != "VAR"
            effect = Effect.destroy if shared else Effect.session
            self.add(
                effect, node, "undef", "removes shared variables" if shared else "removes variables of the session"
            )
        else:
            self.data_statement(node, scope)

    def loop(self, block: s.Block, scope: Scope) -> None:
        """Twice, since what the body assigns last is what it meets first the next time."""
        self.branch(block, scope)
        self.branch(block, scope)

    def class_definition(self, node: s.ClassDefinition, scope: Scope) -> None:
        empty = s.Block((), span=node.span)
        self.define(node.name, (s.Lambda((), empty, span=node.span),), scope)
        for member in node.body.statements:
            if isinstance(member, s.FunctionDefinition):
                attributes = {item.name: LOCAL for item in node.body.statements if isinstance(item, s.Attribute)}
                inner = scope.copy()
                inner.values.update(attributes)
                self.body(member.function, inner, None)
                if member.name != node.name:
                    scope.functions.setdefault(member.name, (s.Lambda((), empty, span=node.span),))

    def assign(self, node: s.Assign, scope: Scope) -> None:
        value = self.expression(node.value, scope)
        for target in node.targets:
            if isinstance(target, s.Name):
                self.bind(target.id, node.value, value, scope)
                continue
            for index in s.children(target):
                if isinstance(index, s.Node):
                    self.any(index, scope)
            self.change(target, node, "=", scope, removes=False)

    def bind(self, name: str, expression: s.Expression, value: Value, scope: Scope) -> None:
        scope.values[name] = value
        if isinstance(expression, s.Lambda):
            self.define(name, (expression,), scope)
        elif isinstance(expression, s.Name) and expression.id in scope.functions:
            self.define(name, scope.functions[expression.id], scope)
        else:
            if scope.functions.pop(name, None):
                self.analysed.clear()
            scope.callables.add(name)

    def share(self, node: s.Share, scope: Scope) -> None:
        self.expression(node.value, scope)
        self.add(Effect.write, node, "share", f"makes {node.name} visible to every session")
        shared = Value(Kind.SHARED, name=node.name)
        scope.values[node.name] = shared
        self.mark_shared(node.value, shared, scope)
        self.touch(shared, Effect.write)

    def data_statement(self, node: s.Statement, scope: Scope) -> None:
        if isinstance(node, s.Insert):
            self.change(node.target, node, "insert", scope, removes=False)
            for row in node.rows:
                for item in row:
                    self.expression(item, scope)
            self.optional(node.query, scope)
        elif isinstance(node, (s.Update, s.Delete)):
            removes = isinstance(node, s.Delete)
            self.change(node.target, node, "delete" if removes else "update", scope, removes=removes)
            if isinstance(node.target, s.Call):
                self.expression(node.target, scope)
            self.query_parts(node, scope)
        elif isinstance(node, s.CreateDatabase):
            value = self.named(node.name, scope)
            self.add(Effect.write, node, "create database", "creates a database")
            self.touch(replace(value, database=value.database or value.name, name=""), Effect.write)
        elif isinstance(node, s.CreateTable):
            effect = Effect.session if node.temporary else Effect.write
            self.add(effect, node, "create table", "creates a table")
            self.touch(self.named(node.name, scope), effect)
        elif isinstance(node, s.Alter):
            effect = Effect.destroy if node.action == "drop" else Effect.write
            self.add(effect, node, f"alter table {node.action}", "changes a table's columns")
            self.touch(self.named(node.target, scope), effect)
        elif isinstance(node, s.Drop):
            label = "truncate" if node.kind == "truncate" else f"drop {node.kind}"
            self.add(Effect.destroy, node, label, "removes stored data")
            value = self.named(node.target, scope)
            if node.kind == "database" and not value.database:
                value = replace(value, database=value.name, name="")
            self.touch(value, Effect.destroy)

    def query_parts(self, node: s.Node, scope: Scope) -> None:
        inner = scope.copy()
        inner.query = True
        for child in s.children(node):
            if child is not getattr(node, "target", None):
                self.any(child, inner)

    def named(self, target: s.Expression, scope: Scope) -> Value:
        """The database and table a DDL statement names."""
        if isinstance(target, s.Member):
            path = member_path(target)
            if path and path[0].startswith("dfs://"):
                return Value(Kind.STORED, path[0], ".".join(path[1:]))
            return Value(Kind.STORED, "", ".".join(path))
        if isinstance(target, s.Literal) and isinstance(target.value, str):
            return Value(Kind.STORED, target.value)
        if isinstance(target, s.Name):
            known = scope.values.get(target.id)
            return known if known is not None and known.kind is not Kind.LOCAL else Value(Kind.STORED, "", target.id)
        return self.expression(target, scope)

    def change(self, target: s.Expression, node: s.Node, name: str, scope: Scope, *, removes: bool) -> None:
        """A statement or function that changes `target` in place."""
        root = target
        while isinstance(root, s.Index) or (isinstance(root, s.Member) and self._is_variable(root, scope)):
            root = root.target
        value = self.place(root, scope)
        if value.kind is Kind.LOCAL and not (self.shared_inside and isinstance(root, s.Name)):
            self.add(Effect.session, node, name, "changes a variable of the session")
            return
        effect = Effect.destroy if removes else Effect.write
        what = {Kind.SHARED: "shared data", Kind.STORED: "stored data"}.get(value.kind)
        reason = f"{'removes' if removes else 'changes'} {what}" if what else "its target may be shared or stored data"
        self.add(effect, node, name, reason)
        self.touch(value, effect)

    def _is_variable(self, member: s.Member, scope: Scope) -> bool:
        root: s.Expression = member
        while isinstance(root, (s.Member, s.Index)):
            root = root.target
        return not isinstance(root, s.Name) or root.id in scope.values

    def place(self, node: s.Expression, scope: Scope) -> Value:
        if isinstance(node, s.Name):
            return scope.values.get(node.id, Value(Kind.UNKNOWN, name=node.id))
        if isinstance(node, s.Member):
            return Value(Kind.STORED, "", ".".join(member_path(node)))
        if isinstance(node, s.Literal) and isinstance(node.value, str):
            return Value(Kind.UNKNOWN, node.value if node.value.startswith("dfs://") else "")
        return self.expression(node, scope)

    def optional(self, node: s.Expression | None, scope: Scope) -> None:
        if node is not None:
            self.expression(node, scope)

    def any(self, node: s.Node, scope: Scope) -> None:
        if type(node) in _STATEMENT_TYPES:
            self.statement(node, scope)  # type: ignore[arg-type]
        elif isinstance(node, _PARTS):
            self.parts(node, scope)
        else:
            self.expression(node, scope)  # type: ignore[arg-type]

    def parts(self, node: s.Node, scope: Scope) -> None:
        for child in s.children(node):
            self.any(child, scope)

    def expression(self, node: s.Expression, scope: Scope) -> Value:
        """Notes what evaluating `node` does and tells where its value lives."""
        if isinstance(node, s.Call):
            return self.call(node, scope)
        if isinstance(node, s.Name):
            return self.name(node, scope)
        if isinstance(node, s.Lambda):
            self.body(node, scope, None)
            return LOCAL
        if isinstance(node, (s.Select, s.Over)):
            inner = scope.copy()
            inner.query = True
            self.parts(node, inner)
            return LOCAL
        if isinstance(node, s.Quote):
            self.quote(node, scope)
            return CODE
        if isinstance(node, s.Member):
            return self.member(node, scope)
        if isinstance(node, s.Ternary):
            self.expression(node.test, scope)
            return max(self.expression(node.then, scope), self.expression(node.otherwise, scope), key=lambda v: v.kind)
        if isinstance(node, s.Binary):
            pending: s.Expression = node
            while isinstance(pending, s.Binary):
                self.expression(pending.right, scope)
                pending = pending.left
            self.expression(pending, scope)
            return LOCAL
        values = [self.expression(child, scope) for child in s.children(node) if not isinstance(child, _PARTS)]  # type: ignore[arg-type]
        for child in s.children(node):
            if isinstance(child, _PARTS):
                self.parts(child, scope)
        if isinstance(node, (s.Index, s.TupleLiteral, s.DictLiteral, s.VectorLiteral, s.SelectItem)):
            worst = max(values, key=lambda value: value.kind, default=LOCAL)
            return replace(worst, code=bool(values) and all(value.code for value in values))
        return LOCAL

    def quote(self, node: s.Quote, scope: Scope) -> None:
        inner = scope.copy()
        inner.query = True
        self.any(node.body, inner)

    def member(self, node: s.Member, scope: Scope) -> Value:
        root: s.Expression = node
        while isinstance(root, (s.Member, s.Index)):
            root = root.target
        if isinstance(root, s.Name):
            if root.id in scope.values:
                return scope.values[root.id]
            value = Value(Kind.STORED, "", ".".join(member_path(node)))
            if not scope.query:
                self.touch(value, Effect.read)
            return value
        return self.expression(root, scope)

    def name(self, node: s.Name, scope: Scope) -> Value:
        """A name that is not called: a variable, a column, or a function passed as a value."""
        name = node.id
        if name in scope.functions and not (scope.query and name in scope.values):
            self.apply(scope.functions[name], scope, None)
            if self._has_effect(name):
                self.function_value(node, name)
            return LOCAL
        if name in scope.values and (self.hides or name not in BUILTIN_NAMES):
            return scope.values[name]
        if not scope.query and self._has_effect(name):
            self.function_value(node, name)
            return LOCAL
        if name in BUILTIN_NAMES:
            return LOCAL
        return Value(Kind.UNKNOWN, name=name)

    def effects_of(self, script: s.Script) -> Effects:
        return Reader(script).run()
