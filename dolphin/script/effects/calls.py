"""The effects of calls: documented functions by the table, functions of the script through their bodies."""

from __future__ import annotations

from dataclasses import replace

from dolphin.script import effect_table as table
from dolphin.script import syntax as s
from dolphin.script.builtin_names import BUILTIN_NAMES
from dolphin.script.effects.collector import Collector
from dolphin.script.effects.model import (
    CODE,
    LOCAL,
    UNKNOWN,
    Effect,
    Functions,
    Kind,
    Scope,
    Value,
    function_effect,
    literal_text,
)
from dolphin.script.errors import ScriptSyntaxError
from dolphin.script.parser import parse

_MAX_CALL_DEPTH = 12
_MAX_BODIES = 3000
_REASONS = {
    Effect.session: "changes the session",
    Effect.write: "creates or changes shared or stored data",
    Effect.destroy: "removes or replaces shared or stored data",
    Effect.admin: "reaches users, rights, configuration, jobs, the network, or code that cannot be seen",
}
_CODE_BUILDERS = frozenset(
    {
        "sql",
        "sqlCol",
        "sqlColAlias",
        "expr",
        "unifiedExpr",
        "binaryExpr",
        "makeCall",
        "makeUnifiedCall",
        "sqlTuple",
        "parseExpr",
    }
)
_COPIES = frozenset(
    {
        *("table", "loadText", "ploadText", "keyedTable", "indexedTable", "streamTable", "keyedStreamTable"),
        *("latestKeyedTable", "array", "dict", "matrix", "copy", "deepCopy", "schema", "count", "size", "rows", "cols"),
        *("ej", "lj", "lsj", "sej", "fj", "cj", "aj", "wj", "pwj", "union", "unionAll", "string"),
    }
)


class CallReader(Collector):
    def call(self, node: s.Call, scope: Scope) -> Value:
        function = node.function
        while isinstance(function, s.Adverb):
            function = function.function
        indirect = function is not node.function or node.style == "partial"
        if isinstance(function, s.Name):
            name = function.id.removeprefix("::")
            taker = name in table.FUNCTION_TAKERS or name not in BUILTIN_NAMES or node.style == "partial"
            arguments = [self.argument(item, scope, taker=taker) for item in node.arguments]
            return self.named_call(node, name, arguments, scope, indirect=indirect)
        arguments = [self.argument(item, scope, taker=True) for item in node.arguments]
        if isinstance(function, s.Lambda):
            return self.body(function, scope, tuple(arguments))
        if isinstance(function, s.OperatorFunction):
            return LOCAL
        if isinstance(function, s.Member):
            self.add(Effect.admin, node, function.name, "unknown function")
            return UNKNOWN
        held = self.expression(function, scope)
        if held.kind is not Kind.LOCAL or isinstance(function, (s.Macro, s.ColumnName, s.Select)):
            self.add(Effect.admin, node, "call", "unknown function")
        return max(arguments, key=lambda value: value.kind, default=UNKNOWN)

    def argument(self, argument: s.Argument, scope: Scope, *, taker: bool) -> Value:
        value = argument.value
        if value is None:
            return LOCAL
        if isinstance(value, s.Name) and scope.query and taker and value.id not in scope.values:
            if value.id in scope.functions:
                self.apply(scope.functions[value.id], scope, None)
                return LOCAL
            if self._has_effect(value.id):
                self.function_value(value, value.id)
                return LOCAL
        return self.expression(value, scope)

    def named_call(self, node: s.Call, name: str, arguments: list[Value], scope: Scope, *, indirect: bool) -> Value:
        if name in scope.functions:
            exact = not indirect and not any(argument.name for argument in node.arguments)
            result = self.apply(scope.functions[name], scope, tuple(arguments) if exact else None)
            if not self._has_effect(name):
                return result
        if name in scope.values and function_effect(name) in (None, Effect.read):
            if scope.values[name].kind is not Kind.LOCAL:
                self.add(Effect.admin, node, name, "unknown function")
            return max(arguments, key=lambda value: value.kind, default=UNKNOWN)
        self.passed_functions(node, name, scope)
        effect = function_effect(name)
        if effect is None and node.style == "method":
            if name in table.STREAM_WRITES:
                self.add(Effect.write, node, name, "changes a stream graph")
                return UNKNOWN
            if name in table.STREAM_METHODS:
                return UNKNOWN
        if effect is None and name.startswith(("DStream::", "StreamGraph::")):
            effect = Effect.write
        if effect is None:
            self.add(Effect.admin, node, name, "unknown function")
            return UNKNOWN
        if name in table.SPECIAL:
            return self.special(node, name, scope)
        if name in table.MUTATORS and name not in table.ADMIN | table.SESSION | table.WRITE:
            return self.mutator(node, name, arguments, scope, indirect=indirect)
        in_memory = name in table.STORED_SOURCES and name.startswith("create") and bool(arguments)
        if in_memory and arguments[0].kind is Kind.LOCAL and not arguments[0].database:
            effect = Effect.session
        if effect > Effect.read:
            self.add(effect, node, name, _REASONS[effect])
        if name in table.SHARING and node.arguments:
            title = literal_text(node.arguments[1].value) if len(node.arguments) > 1 else None
            self.mark_shared(node.arguments[0].value, Value(Kind.SHARED, name=title or ""), scope)
        return self.result(node, name, arguments, effect, scope)

    def passed_functions(self, node: s.Call, name: str, scope: Scope) -> None:
        """A name nobody defines, where a function is expected, may be anything."""
        for position in table.FUNCTION_POSITIONS.get(name, (0,) if name in table.FUNCTION_FIRST else ()):
            value = node.arguments[position].value if position < len(node.arguments) else None
            for each in value.items if isinstance(value, (s.VectorLiteral, s.TupleLiteral)) else (value,):
                if not isinstance(each, s.Name) or each.id in BUILTIN_NAMES or each.id in scope.functions:
                    continue
                if scope.values.get(each.id, UNKNOWN).kind is not Kind.LOCAL:
                    self.add(Effect.admin, each, each.id, "unknown function")

    def mutator(self, node: s.Call, name: str, arguments: list[Value], scope: Scope, *, indirect: bool) -> Value:
        removes = name in table.REMOVERS
        target = node.arguments[0].value if node.arguments else None
        if target is None or indirect:
            target_value = max(arguments, key=lambda value: value.kind, default=UNKNOWN)
            if indirect and target_value.kind is Kind.LOCAL and target is not None and node.style != "partial":
                self.add(Effect.session, node, name, "changes variables of the session")
                return target_value
            self.function_value(node, name)
            return UNKNOWN
        self.change(target, node, name, scope, removes=removes)
        return arguments[0]

    def special(self, node: s.Call, name: str, scope: Scope) -> Value:
        given = [argument for argument in node.arguments if argument.value is not None]
        second = node.arguments[1].value if len(node.arguments) > 1 else None
        third = node.arguments[2].value if len(node.arguments) > 2 else None
        if node.style == "partial":
            self.function_value(node, name)
            return UNKNOWN
        if name == "database":
            return self.database(node, given)
        if name == "file":
            mode = literal_text(second) if second is not None else "r"
            if mode is None or not mode.startswith("r") or "+" in mode:
                effect = Effect.write if mode is not None and mode.startswith("a") else Effect.destroy
                self.add(effect, node, name, "opens a file for writing")
            return LOCAL
        if name == "saveText":
            append = next((item.value for item in given if item.name == "append"), None)
            fourth = node.arguments[3] if len(node.arguments) > 3 else None
            append = append or (fourth.value if fourth is not None and fourth.name is None else None)
            appends = isinstance(append, s.Literal) and append.value is True
            reason = "appends to a file" if appends else "writes a file, replacing what it holds"
            self.add(Effect.write if appends else Effect.destroy, node, name, reason)
        elif name == "syncDict":
            shared = third is not None and not (isinstance(third, s.Literal) and isinstance(third.value, bool))
            if shared:
                self.add(Effect.write, node, name, "creates a shared dictionary")
        elif name == "undef":
            shared = second is not None and not (isinstance(second, s.Name) and second.id == "VAR")
            reason = "removes a shared variable" if shared else "removes variables of the session"
            self.add(Effect.destroy if shared else Effect.session, node, name, reason)
        elif name == "funcByName":
            text = literal_text(given[0].value) if given else None
            if text is None or function_effect(text) is None:
                self.add(Effect.admin, node, name, "gets a function by a name that cannot be seen")
            else:
                self.function_value(node, text)
                return LOCAL
        else:
            self.dynamic(node, name, given, scope)
        if name == "parseExpr" and given and literal_text(given[0].value) is not None:
            return CODE
        return UNKNOWN if name in ("eval", "parseExpr", "funcByName") else LOCAL

    def dynamic(self, node: s.Call, name: str, given: list[s.Argument], scope: Scope) -> None:
        """`eval` and `parseExpr` on code that stands in the script are that code; on anything else, admin."""
        code = given[0].value if given else None
        if name == "eval" and code is not None and self._is_visible_code(code, scope):
            return
        text = literal_text(code)
        if name == "parseExpr" and text is not None and len(given) == 1:
            try:
                tree = parse(text)
            except ScriptSyntaxError:
                self.add(Effect.admin, node, name, "parses text that is not DolphinDB script")
                return
            inner = self.effects_of(tree)
            for finding in inner.findings:
                self.add(finding.effect, node, finding.name, finding.reason)
            return
        self.add(Effect.admin, node, name, "runs code that cannot be seen")

    def _is_visible_code(self, node: s.Node, scope: Scope) -> bool:
        """Whether `node` is code built in this script from parts whose effects have been counted."""
        if isinstance(node, (s.Quote, s.Literal, s.OperatorFunction)):
            return True
        if isinstance(node, (s.VectorLiteral, s.TupleLiteral)):
            return all(self._is_visible_code(item, scope) for item in node.items)
        if isinstance(node, s.Name):
            value = scope.values.get(node.id)
            return value.code if value is not None else node.id in BUILTIN_NAMES
        if not isinstance(node, s.Call) or not isinstance(node.function, s.Name):
            return False
        builds = node.function.id in _CODE_BUILDERS
        return builds and all(
            self._is_table(item, scope)
            if item.name == "from" or (node.function.id == "sql" and position == 1 and not item.name)
            else item.value is None or self._is_visible_code(item.value, scope)
            for position, item in enumerate(node.arguments)
        )

    def _is_table(self, argument: s.Argument, scope: Scope) -> bool:
        node = argument.value
        if isinstance(node, s.Name):
            value = scope.values.get(node.id)
            return value is not None and (value.code or value.kind in (Kind.LOCAL, Kind.STORED))
        return isinstance(node, (s.Call, s.Select, s.Quote))

    def database(self, node: s.Call, given: list[s.Argument]) -> Value:
        path = literal_text(given[0].value) if given and given[0].name in (None, "directory") else None
        creates = any(item.name in (None, "partitionType") for item in given[1:])
        omitted = node.arguments and node.arguments[0].value is None
        in_memory = not given or omitted or path == ""
        value = Value(Kind.STORED if not in_memory else Kind.LOCAL, path or "")
        if creates and not in_memory:
            self.add(Effect.write, node, "database", "creates a database when it does not exist")
            self.touch(value, Effect.write)
        else:
            self.touch(value, Effect.read)
        return value

    def result(self, node: s.Call, name: str, arguments: list[Value], effect: Effect, scope: Scope) -> Value:
        """Where the value of a documented function lives, and which tables its literals name."""
        if name in _CODE_BUILDERS:
            return replace(LOCAL, code=self._is_visible_code(node, scope))
        texts = [literal_text(argument.value) for argument in node.arguments]
        first = arguments[0] if arguments else LOCAL
        path = texts[0] if texts and texts[0] is not None else first.database
        second = texts[1] if len(texts) > 1 else None
        if name in table.STORED_SOURCES:
            names = {item.name: literal_text(item.value) for item in node.arguments if item.name}
            title = (
                second if name.startswith("load") else names.get("tableName") or (texts[2] if len(texts) > 2 else None)
            )
            in_memory = name.startswith("create") and first.kind is Kind.LOCAL and bool(arguments) and not path
            value = Value(Kind.STORED if not in_memory else Kind.LOCAL, path or "", title or "")
            self.touch(value, effect)
            return value
        if name in ("dropTable", "truncate", "dropPartition", "renameTable", "loadTextEx", "existsTable"):
            self.touch(Value(Kind.STORED, path or "", second or ""), effect)
        elif name in ("dropDatabase", "existsDatabase", "getTables", "getDFSTablesByDatabase"):
            self.touch(Value(Kind.STORED, path or ""), effect)
        if name in table.UNKNOWN_SOURCES:
            return Value(Kind.UNKNOWN, name=texts[0] or "" if texts else "")
        if name in _COPIES:
            return LOCAL
        return max(arguments, key=lambda value: value.kind, default=LOCAL)

    def apply(self, functions: Functions, scope: Scope, arguments: tuple[Value, ...] | None) -> Value:
        results = [self.body(function, scope, arguments) for function in functions]
        return max(results, key=lambda value: value.kind, default=UNKNOWN)

    def body(self, function: s.Lambda, scope: Scope, arguments: tuple[Value, ...] | None) -> Value:
        """The effects of a function's body, and where its result lives; `arguments` None when they are not known."""
        missing = UNKNOWN if arguments is None else LOCAL
        given = arguments or ()
        values = tuple(
            given[position] if position < len(given) else missing for position in range(len(function.parameters))
        )
        key = (id(function), values)
        if key in self.analysed:
            return self.analysed[key]
        if key in self.active:
            return LOCAL
        self.bodies += 1
        if len(self.active) > _MAX_CALL_DEPTH or self.bodies > _MAX_BODIES:
            self.add(Effect.admin, function, function.name or "function", "too many nested calls to be resolved")
            return UNKNOWN
        self.active.append(key)
        result = self._body(function, scope, values)
        self.active.pop()
        self.analysed[key] = result
        return result

    def _body(self, function: s.Lambda, scope: Scope, values: tuple[Value, ...]) -> Value:
        inner = scope.copy()
        inner.query = False
        if function.name is not None:
            inner.values.clear()
        for parameter, value in zip(function.parameters, values, strict=True):
            inner.values[parameter.name] = value
            inner.functions.pop(parameter.name, None)
            inner.callables.add(parameter.name)
        if not isinstance(function.body, s.Block):
            return self.expression(function.body, inner)
        self.statements(function.body.statements, inner)
        returned = [node.value for node in s.walk(function.body) if isinstance(node, s.Return) and node.value]
        results = [self.expression(value, inner) for value in returned]
        return max(results, key=lambda value: value.kind, default=LOCAL)
