"""Code as data: `expr`, `eval`, `sql`, `makeCall`, `partial` …"""

from __future__ import annotations

from typing import Any, Literal

from dolphin.script import ScriptSyntaxError, parse, parse_expression, syntax
from engine.arguments import choice_argument, text_argument
from engine.context import Context
from engine.embedded import Embedded
from engine.errors import CallError, ScriptError, UnsupportedError
from engine.forms import as_vector
from engine.functions.language.assembling import function_argument
from engine.functions.language.constructors import whole
from engine.functions.registry import Builtin, Registry
from engine.operators import OPERATOR_NAMES
from engine.sql.naming import column_name
from engine.types import LITERAL, Type
from engine.values import (
    NOTHING,
    AnyVector,
    Closure,
    Code,
    Dictionary,
    Nothing,
    Partial,
    Pattern,
    Scalar,
    Value,
    Vector,
    elements,
)

functions = Registry()

_SPAN = syntax.Span(0, 0, 1, 1)


def node_of(value: Value) -> Any:
    """The tree for a value: code as it is, data as literals."""
    if isinstance(value, Code):
        return value.node.value if isinstance(value.node, syntax.SelectItem) else value.node
    if isinstance(value, Scalar):
        return syntax.Literal(span=_SPAN, type=value.type.name, value=value.value)
    if isinstance(value, Vector) and value.is_pair:
        return syntax.Binary(span=_SPAN, operator=":", left=node_of(value.scalar(0)), right=node_of(value.scalar(1)))
    if isinstance(value, Vector):
        return syntax.VectorLiteral(span=_SPAN, items=tuple(node_of(item) for item in elements(value)))
    if isinstance(value, AnyVector):
        return syntax.TupleLiteral(span=_SPAN, items=tuple(node_of(item) for item in value.items))
    if isinstance(value, Builtin):
        return syntax.Name(span=_SPAN, id=value.name)
    if isinstance(value, Closure) and value.name:
        return syntax.Name(span=_SPAN, id=value.name)
    if isinstance(value, Closure):
        return syntax.Lambda(span=_SPAN, parameters=value.parameters, body=value.body)
    if isinstance(value, Partial):
        arguments = tuple(
            syntax.Argument(span=_SPAN, value=None if isinstance(item, Nothing) else node_of(item))
            for item in value.arguments
        )
        return syntax.Call(span=_SPAN, function=node_of(value.function), arguments=arguments, style="partial")
    if isinstance(value, Pattern):
        return syntax.Adverb(span=_SPAN, function=node_of(value.function), letter=value.letter)
    shared = getattr(value, "shared_as", None)
    if shared:
        return syntax.Name(span=_SPAN, id=shared)
    return Embedded(span=_SPAN, value=value)


def code_argument(value: Value, name: str) -> Any:
    """The tree of code, or of a column named by a string."""
    if isinstance(value, Code):
        return value.node
    if isinstance(value, Scalar) and value.type in LITERAL:
        return syntax.Name(span=_SPAN, id=str(value.value or ""))
    raise ScriptError(f"{name}: code such as <x > 1> is expected.")


_SYMBOLS = {name: symbol for symbol, name in reversed(OPERATOR_NAMES.items()) if name not in ("pair", "seq", "join")}


def operator_of(value: Value, name: str) -> str:
    """The symbol of an operator given as a function."""
    if isinstance(value, Builtin) and value.name in _SYMBOLS:
        return _SYMBOLS[value.name]
    if isinstance(value, Scalar) and value.type in LITERAL and value.value in OPERATOR_NAMES:
        return str(value.value)
    raise ScriptError(f"{name}: an operator is expected.")


def is_operator(value: Value) -> bool:
    return isinstance(value, Builtin) and value.name in _SYMBOLS


def _call_node(function: Value, arguments: list[Any], style: Literal["call", "space"] = "call") -> Any:
    nodes = tuple(syntax.Argument(span=_SPAN, value=argument) for argument in arguments)
    return syntax.Call(span=_SPAN, function=node_of(function), arguments=nodes, style=style)


@functions.builtin("expr", "args...")
def expr(*parts: Value) -> Value:
    """An expression from operands and operators in the order they are written."""
    if len(parts) < 2:
        raise ScriptError("Usage: expr(args...). At least two arguments are needed.")
    first = parts[0]
    if len(parts) == 2:
        if isinstance(first, Builtin) and first.name in ("not", "neg"):
            operator = "!" if first.name == "not" else "-"
            return Code(syntax.Unary(span=_SPAN, operator=operator, operand=node_of(parts[1])))
        return Code(_call_node(first, [node_of(parts[1])], "space"))
    if not is_operator(parts[1]) and isinstance(first, Builtin | Closure):
        return Code(_call_node(first, [node_of(part) for part in parts[1:]]))
    node = node_of(first)
    for index in range(1, len(parts) - 1, 2):
        node = _extended(node, operator_of(parts[index], "expr"), node_of(parts[index + 1]))
    return Code(node)


_ORDERINGS = ("<", "<=", ">", ">=")


def _extended(node: Any, operator: str, operand: Any) -> Any:
    """`a <= b` and `<= c` are `a <= b` and `b <= c`, as in a script."""
    if operator in _ORDERINGS and isinstance(node, syntax.Binary) and node.operator in _ORDERINGS:
        further = syntax.Binary(span=_SPAN, operator=operator, left=node.right, right=operand)
        return syntax.Binary(span=_SPAN, operator="&&", left=node, right=further)
    return syntax.Binary(span=_SPAN, operator=operator, left=node, right=operand)


@functions.builtin("binaryExpr", "X, Y, optr")
def binary_expr(left: Value, right: Value, operator: Value) -> Value:
    symbol = operator_of(operator, "binaryExpr")
    return Code(syntax.Binary(span=_SPAN, operator=symbol, left=node_of(left), right=node_of(right)))


@functions.builtin("unaryExpr", "X, optr")
def unary_expr(operand: Value, operator: Value) -> Value:
    if isinstance(operator, Builtin) and operator.name not in ("not", "neg"):
        return Code(_call_node(operator, [node_of(operand)]))
    symbol = "!" if isinstance(operator, Builtin) and operator.name == "not" else "-"
    return Code(syntax.Unary(span=_SPAN, operator=symbol, operand=node_of(operand)))


@functions.builtin("unifiedExpr", "objs, optrs")
def unified_expr(objects: Value, operators: Value) -> Value:
    operands = list(elements(objects)) if isinstance(objects, AnyVector | Vector) else [objects]
    symbols = list(elements(operators)) if isinstance(operators, AnyVector | Vector) else [operators]
    if len(symbols) != len(operands) - 1 or not symbols:
        raise ScriptError("Usage: unifiedExpr(objs, optrs). There must be one operator fewer than operands.")
    node = node_of(operands[0])
    for operator, operand in zip(symbols, operands[1:], strict=True):
        symbol = operator_of(operator, "unifiedExpr")
        node = syntax.Binary(span=_SPAN, operator=symbol, left=node, right=node_of(operand))
    return Code(node)


@functions.builtin("eval", "X", context=True)
def evaluate(context: Context, code: Value) -> Value:
    if isinstance(code, Code):
        return context.evaluate(code.node)
    if isinstance(code, AnyVector):
        return AnyVector([evaluate(context, item) for item in code.items])
    return code


def _parsed(text: str) -> Any:
    try:
        return parse_expression(text)
    except ScriptSyntaxError:
        pass
    try:
        statements = parse(text).statements
    except ScriptSyntaxError as error:
        raise ScriptError(str(error)) from error
    if len(statements) != 1:
        raise ScriptError("parseExpr: one expression is expected.")
    statement = statements[0]
    return statement.value if isinstance(statement, syntax.ExpressionStatement) else statement


@functions.builtin("parseExpr", "X, [varDict], [modules], [overloadedOperators]")
def parse_expr(text: Value, variables: Value = NOTHING, *_rest: Value) -> Value:
    if isinstance(text, Vector):
        return AnyVector([parse_expr(item, variables) for item in elements(text)])
    if not isinstance(text, Scalar) or text.type not in LITERAL:
        raise ScriptError("Usage: parseExpr(X). X must be a string.")
    node = _parsed(str(text.value or ""))
    if isinstance(variables, Dictionary):
        known = {str(key): value for key, value in variables.items.items()}
        node = substitute(node, known)
    return Code(node)


def substitute(node: Any, known: dict[str, Value]) -> Any:
    """The tree with names replaced by values."""
    from dataclasses import fields, replace

    if isinstance(node, syntax.Name) and node.id in known:
        return node_of(known[node.id])
    if isinstance(node, tuple):
        return tuple(substitute(item, known) for item in node)
    if not isinstance(node, syntax.Node):
        return node
    changed = {
        field.name: substitute(getattr(node, field.name), known)
        for field in fields(node)
        if isinstance(getattr(node, field.name), syntax.Node | tuple)
    }
    return replace(node, **changed)


@functions.builtin("funcByName", "name, [qualifier]", context=True)
def func_by_name(context: Context, name: Value, _qualifier: Value = NOTHING) -> Value:
    text = str(name.value or "") if isinstance(name, Scalar) else ""
    found = context.session.functions.get(text) or context.node.functions.get(text) or context.registry.find(text)
    if found is None:
        found = context.registry.find(OPERATOR_NAMES.get(text, ""))
    if found is None:
        raise ScriptError(f"Can't recognize function name {text}.")
    return found


@functions.builtin("callByName", "name, args...", context=True)
def call_by_name(context: Context, name: Value, *arguments: Value) -> Value:
    return context.call(function_argument(func_by_name(context, name), "callByName"), list(arguments))


@functions.builtin("makeCall", "F, args...")
def make_call(function: Value, *arguments: Value) -> Value:
    return Code(_call_node(function_argument(function, "makeCall"), [node_of(each) for each in arguments]))


@functions.builtin("makeUnifiedCall", "func, args")
def make_unified_call(function: Value, arguments: Value) -> Value:
    if isinstance(arguments, Code):
        inner = arguments.node
        nodes = list(inner.items) if isinstance(inner, syntax.TupleLiteral | syntax.VectorLiteral) else [inner]
    else:
        nodes = [node_of(each) for each in (arguments.items if isinstance(arguments, AnyVector) else [arguments])]
    return Code(_call_node(function_argument(function, "makeUnifiedCall"), nodes))


@functions.builtin("partial", "func, args...")
def partial(function: Value, *arguments: Value) -> Value:
    return Partial(function_argument(function, "partial"), arguments)


@functions.builtin("objByName", "name, [sharedVar]", context=True)
def obj_by_name(context: Context, name: Value, shared: Value = NOTHING) -> Value:
    text = str(name.value or "") if isinstance(name, Scalar) else ""
    only_shared = isinstance(shared, Scalar) and bool(shared.value)
    scope = getattr(context, "scope", None)
    value = None if only_shared or scope is None else scope.lookup(text)
    if value is None:
        value = context.node.shared.get(text)
    if value is None:
        raise ScriptError(f"The object [{text}] does not exist.")
    return value


# --- queries as data -------------------------------------------------------------------------


def _texts(value: Value) -> list[str]:
    return [] if isinstance(value, Nothing) else [str(text) for text in as_vector(value).strings()]


@functions.builtin("sqlCol", "colName, [func], [alias], [qualifier]")
def sql_col(names: Value, function: Value = NOTHING, alias: Value = NOTHING, qualifier: Value = NOTHING) -> Value:
    columns, aliases, owner = _texts(names), _texts(alias), _texts(qualifier)
    out = []
    for index, name in enumerate(columns):
        node: Any = syntax.Name(span=_SPAN, id=name)
        if owner:
            node = syntax.Member(span=_SPAN, target=syntax.Name(span=_SPAN, id=owner[0]), name=name)
        if not isinstance(function, Nothing) and not (isinstance(function, Scalar) and function.is_null):
            node = _call_node(function_argument(function, "sqlCol"), [node])
        chosen = (aliases[index],) if index < len(aliases) and aliases[index] else ()
        out.append(Code(_item(node, chosen)))
    return out[0] if isinstance(names, Scalar) else AnyVector(list(out))


@functions.builtin("sqlTuple", "colNames")
def sql_tuple(names: Value) -> Value:
    items = tuple(syntax.Name(span=_SPAN, id=name) for name in _texts(names))
    return Code(syntax.TupleLiteral(span=_SPAN, items=items))


_OBJECT_TYPES: dict[type, str] = {
    syntax.Name: "VAR", syntax.Member: "ATTR", syntax.TupleLiteral: "TUPLE", syntax.Call: "EXPRESSION",
    syntax.Binary: "EXPRESSION", syntax.Unary: "EXPRESSION", syntax.Ternary: "EXPRESSION", syntax.Index: "EXPRESSION",
    syntax.SelectItem: "COLUMNDEF", syntax.Select: "SQLQUERY", syntax.ColumnName: "COLUMN",
}  # fmt: skip


@functions.builtin("objectType", "obj")
def object_type(value: Value) -> Value:
    """What kind of object metacode stands for; CONSTOBJ for data."""
    kind = _OBJECT_TYPES.get(type(value.node), "CONSTOBJ") if isinstance(value, Code) else "CONSTOBJ"
    return Scalar(Type.STRING, kind)


def _item(node: Any, aliases: tuple[str, ...] = ()) -> Any:
    if isinstance(node, syntax.SelectItem):
        return node
    return syntax.SelectItem(span=_SPAN, value=node, aliases=aliases)


@functions.builtin("sqlColAlias", "colDefs, [colNames]")
def sql_col_alias(definition: Value, names: Value = NOTHING) -> Value:
    """A column with its name; of several columns, each with its own."""
    if isinstance(definition, AnyVector | Vector):
        definitions = list(elements(definition))
        given = _texts(names) or [""] * len(definitions)
        if len(given) != len(definitions):
            raise CallError("colNames must have as many names as there are columns.")
        pairs = zip(definitions, given, strict=True)
        return AnyVector([sql_col_alias(each, Scalar(Type.STRING, name) if name else NOTHING) for each, name in pairs])
    node = code_argument(definition, "sqlColAlias")
    if isinstance(node, syntax.SelectItem):
        node = node.value
    aliases = tuple(_texts(names))
    if not aliases and isinstance(node, syntax.Call | syntax.Binary):
        aliases = (column_name(node),)
    return Code(_item(node, aliases))


def _nodes(value: Value, name: str) -> list[Any]:
    if isinstance(value, Nothing) or (isinstance(value, Scalar) and value.type is Type.VOID):
        return []
    if isinstance(value, AnyVector):
        return [node for item in value.items for node in _nodes(item, name)]
    if isinstance(value, Vector):
        return [code_argument(item, name) for item in elements(value)]
    return [code_argument(value, name)]


def _table_node(value: Value) -> Any:
    if isinstance(value, Scalar) and value.type in LITERAL:
        return syntax.Name(span=_SPAN, id=str(value.value or ""))
    return node_of(value)


def _flags(value: Value, count: int, default: int = 1) -> list[int]:
    if isinstance(value, Nothing):
        return [default] * count
    raws = [int(raw) for raw in as_vector(value).data.tolist()]
    return raws * count if len(raws) == 1 else raws


def _orders(value: Value, ascending: Value, name: str) -> tuple[Any, ...]:
    nodes: list[Any] = [node.value if isinstance(node, syntax.SelectItem) else node for node in _nodes(value, name)]
    flags = _flags(ascending, len(nodes))
    return tuple(
        syntax.OrderItem(span=_SPAN, value=node, descending=not flag) for node, flag in zip(nodes, flags, strict=True)
    )


def _having(value: Value) -> Any:
    nodes = _nodes(value, "sql")
    node: Any = nodes[0] if nodes else None
    for other in nodes[1:]:
        node = syntax.Binary(span=_SPAN, operator="and", left=node, right=other)
    return node


def _is_set(value: Value) -> bool:
    return isinstance(value, Scalar) and bool(value.value)


@functions.builtin(
    "sql",
    "select, from, [where], [groupBy], [groupFlag=1], [csort], [ascSort=1], [having], [orderBy], [ascOrder=1], [limit],"
    " [hint], [exec=false], [map=false], [cgroupBy]",
)
def sql(
    select: Value,
    table: Value,
    where: Value = NOTHING,
    group_by: Value = NOTHING,
    group_flag: Value = NOTHING,
    csort: Value = NOTHING,
    asc_sort: Value = NOTHING,
    having: Value = NOTHING,
    order_by: Value = NOTHING,
    asc_order: Value = NOTHING,
    limit: Value = NOTHING,
    hint: Value = NOTHING,
    exec_: Value = NOTHING,
    map_: Value = NOTHING,
    cgroup_by: Value = NOTHING,
) -> Value:
    """The code of a select statement."""
    keys = tuple(_item(node) for node in _nodes(group_by, "sql"))
    flag = whole(group_flag, "groupFlag", 1)
    grouping = pivot = None
    if keys and flag == 2:
        pivot = syntax.Grouping(span=_SPAN, kind="pivot", keys=keys)
    elif keys:
        grouping = syntax.Grouping(span=_SPAN, kind="group" if flag else "context", keys=keys)
    cumulative = tuple(_item(node) for node in _nodes(cgroup_by, "sql"))
    if cumulative:
        pivot = syntax.Grouping(span=_SPAN, kind="cgroup", keys=cumulative)
    limit_node = None if isinstance(limit, Nothing) else node_of(limit)
    is_top = isinstance(limit, Scalar) and isinstance(limit.value, int) and limit.value >= 0
    return Code(
        syntax.Select(
            span=_SPAN,
            kind="exec" if _is_set(exec_) else "select",
            items=tuple(_star(_item(node)) for node in _nodes(select, "sql")),
            source=syntax.Source(span=_SPAN, value=_table_node(table)),
            where=tuple(_nodes(where, "sql")),
            grouping=grouping,
            pivot=pivot,
            csort=_orders(csort, asc_sort, "sql"),
            having=_having(having),
            order=_orders(order_by, asc_order, "sql"),
            top=limit_node if is_top else None,
            limit=None if is_top else limit_node,
            hints=tuple(str(int(raw)) for raw in ([] if isinstance(hint, Nothing) else as_vector(hint).data.tolist())),
            map=_is_set(map_),
        )
    )


def _star(item: Any) -> Any:
    if isinstance(item.value, syntax.Name) and item.value.id == "*":
        return syntax.SelectItem(span=_SPAN, value=None)
    return item


@functions.builtin("sqlUpdate", "table, updates, [from], [where], [contextBy], [csort], [ascSort], [having]")
def sql_update(
    table: Value,
    updates: Value,
    source: Value = NOTHING,
    where: Value = NOTHING,
    context_by: Value = NOTHING,
    csort: Value = NOTHING,
    asc_sort: Value = NOTHING,
    having: Value = NOTHING,
) -> Value:
    """The code of an update statement; each update is `<expression as column>`."""
    sets: list[tuple[str, Any]] = []
    for node in _nodes(updates, "sqlUpdate"):
        if not isinstance(node, syntax.SelectItem) or not node.aliases:
            raise ScriptError("sqlUpdate: write each update as <expression as column>.")
        sets.append((node.aliases[0], node.value))
    keys = tuple(_item(node) for node in _nodes(context_by, "sqlUpdate"))
    return Code(
        syntax.Update(
            span=_SPAN,
            target=_table_node(table),
            sets=tuple(sets),
            source=None if isinstance(source, Nothing) else syntax.Source(span=_SPAN, value=_table_node(source)),
            where=tuple(_nodes(where, "sqlUpdate")),
            grouping=syntax.Grouping(span=_SPAN, kind="context", keys=keys) if keys else None,
            csort=_orders(csort, asc_sort, "sqlUpdate"),
            having=_having(having),
        )
    )


@functions.builtin("sqlDelete", "table, [where], [from]")
def sql_delete(table: Value, where: Value = NOTHING, source: Value = NOTHING) -> Value:
    origin = None if isinstance(source, Nothing) else syntax.Source(span=_SPAN, value=_table_node(source))
    nodes = tuple(_nodes(where, "sqlDelete"))
    return Code(syntax.Delete(span=_SPAN, target=_table_node(table), where=nodes, source=origin))


@functions.builtin("runScript", "script", context=True)
def run_script(context: Context, script: Value) -> Value:
    """Run a text as a script of this session."""
    return context.run(text_argument(script, "script"))


@functions.builtin("runSQL", "X, [sqlStd='ddb'], [variables]", context=True)
def run_sql(context: Context, text: Value, dialect: Value = NOTHING, variables: Value = NOTHING) -> Value:
    """Run a query given as text; the variables are there while it runs."""
    if choice_argument(dialect, "sqlStd", ("ddb", "oracle", "mysql"), "ddb") != "ddb":
        raise UnsupportedError("The SQL dialects of Oracle and MySQL")
    if not isinstance(variables, Dictionary | Nothing):
        raise CallError("variables must be a dictionary.")
    given = {} if isinstance(variables, Nothing) else {str(name): value for name, value in variables.items.items()}
    held = context.session.variables
    before = {name: held[name] for name in given if name in held}
    held.update(given)
    try:
        return context.run(text_argument(text, "X"))
    finally:
        for name in given:
            held.pop(name, None)
        held.update(before)
