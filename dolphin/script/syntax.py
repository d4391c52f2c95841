"""The syntax tree of DolphinDB script.

Pure data, with the `Span` of text it is from: the parser makes it, the engine, `effects` and `lint` read it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias
from typing import Literal as OneOf


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open offsets into the source text; `line` and `column` of the start count from 1."""

    start: int
    end: int
    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    span: Span = field(compare=False, repr=False)


# --- expressions -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A constant.

    `type` is DolphinDB's type name (`INT`, `DATE`, `STRING`, `SYMBOL` never, `VOID` for NULL).
    `value` is None for a typed null (`00i`), otherwise bool, int, float, str, or for temporal types
    the integer DolphinDB stores (days, months, milliseconds … as in the wire protocol); a DURATION
    is the tuple `(amount, unit)`, unit as written (`ns us ms s m H d w M y B`, or a calendar name).
    """

    type: str
    value: Any


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A variable, function or column name; `a::b::c` keeps its module path in the id."""

    id: str


@dataclass(frozen=True, slots=True)
class ColumnName(Node):
    """`_"any text"`: a column by its exact name."""

    text: str


@dataclass(frozen=True, slots=True)
class Macro(Node):
    """`_$name` (one column) or `_$$name` (several): a variable spliced into quoted code."""

    id: str
    many: bool


@dataclass(frozen=True, slots=True)
class VectorLiteral(Node):
    """`[a, b]`, `1 2 3`, `` `A`B ``."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class TupleLiteral(Node):
    """`(a, b)`: an ANY vector."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class DictLiteral(Node):
    """`{a: 1, "b": 2}`; bare keys are STRING literals."""

    items: tuple[tuple[Expression, Expression], ...]


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """`-x`, `!x`, `not x`."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Node):
    r"""`left operator right`; operators as written, keywords in lower case.

    Includes `:` (pair), `..` (sequence), `$` (cast), `<-` (join), `in`, `like`, `between`,
    `and`, `or`, `**` (dot), `\` (ratio), `is` (right is a VOID literal; negated with Unary not).
    """

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Ternary(Node):
    """`test ? then : otherwise`."""

    test: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Index(Node):
    """`x[i]`, `m[i, j]`, `m[, j]`: an omitted index is None."""

    target: Expression
    indices: tuple[Expression | None, ...]


@dataclass(frozen=True, slots=True)
class Member(Node):
    """`t.price`, `d.key`, `catalog.schema.table`: an attribute that is not called."""

    target: Expression
    name: str


@dataclass(frozen=True, slots=True)
class Argument(Node):
    """One argument of a call: `name=value`, `value`, or nothing (`f(a, , c)`, `f{, b}`)."""

    value: Expression | None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function application. style: `call` f(x), `space` f x (with two arguments: x f y),
    `method` x.f(y) (then `arguments[0]` is x and `function` a Name), `partial` f{x,}."""

    function: Expression
    arguments: tuple[Argument, ...]
    style: OneOf["call", "space", "method", "partial"] = "call"


@dataclass(frozen=True, slots=True)
class OperatorFunction(Node):
    """An operator used as a function: `+:E(x)`, `each(+, x, y)`; the argument of `count(*)` too."""

    operator: str


@dataclass(frozen=True, slots=True)
class Adverb(Node):
    """A function pattern: `f:E`, `f:L`, `f:R`, `f:P`, `f:O`, `f:C`, `f:A`, `f:T`, `f:G`, `f:X`, `f:U`, `f:M`, `f:H`."""

    function: Expression
    letter: str


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    name: str
    default: Expression | None = None
    mutable: bool = False
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Lambda(Node):
    """`x -> x + 1`, `def(x) {…}`, `def(x): x + 1`; `name` when it is the value of a definition, `text` its source.
    A `mapr` body is a tuple of one or two tuples, the reducer last in each."""

    parameters: tuple[Parameter, ...]
    body: Expression | Block
    name: str | None = None
    kind: OneOf["def", "defg", "mapr", "reduce"] = "def"
    text: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Quote(Node):
    """`<expression>`: code as a value."""

    body: Expression | Statement


@dataclass(frozen=True, slots=True)
class Case(Node):
    """`case [subject] when … then … else … end`."""

    subject: Expression | None
    branches: tuple[tuple[Expression, Expression], ...]
    otherwise: Expression | None


@dataclass(frozen=True, slots=True)
class Quantifier(Node):
    """`any (select …)`, `all (select …)`, `exists (select …)`."""

    kind: OneOf["any", "all", "exists"]
    query: Expression


# --- SQL -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SelectItem(Node):
    """One column of a select. `aliases` is empty, one name, or several (`f(x) as `a`b`).

    `value` None stands for `*`; `t.*` is `Member(t, "*")`. Any `x as y` is one: the argument of `table(1 2 as id)` too.
    """

    value: Expression | None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OrderItem(Node):
    value: Expression
    descending: bool = False
    nulls_first: bool | None = None


@dataclass(frozen=True, slots=True)
class Grouping(Node):
    """`group by`, `context by`, `pivot by`, `cgroup by`; `within`: the keys of `group by` beside `cgroup by`."""

    kind: OneOf["group", "context", "pivot", "cgroup"]
    keys: tuple[SelectItem, ...]
    within: tuple[SelectItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Source(Node):
    """A table expression with an optional alias."""

    value: Expression
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Join(Node):
    """Standard join syntax: kind is `inner`, `left`, `right`, `full`, `cross`, `left semi` …"""

    kind: str
    left: Source | Join
    right: Source
    on: Expression | None


@dataclass(frozen=True, slots=True)
class Over(Node):
    """`f(x) over (partition by … order by … rows between … and …)`."""

    call: Expression
    partition: tuple[Expression, ...]
    order: tuple[OrderItem, ...]
    frame: OneOf["rows", "range"] | None = None
    start: Expression | str | None = None
    stop: Expression | str | None = None


@dataclass(frozen=True, slots=True)
class Select(Node):
    """`select` or `exec`.

    `where` holds the comma-separated conditions in order. `top` and `limit` are an expression (a
    pair `a:b` included); `limit a, b` becomes a TupleLiteral.
    """

    kind: OneOf["select", "exec"]
    items: tuple[SelectItem, ...]
    source: Source | Join | None = None
    where: tuple[Expression, ...] = ()
    grouping: Grouping | None = None
    pivot: Grouping | None = None
    csort: tuple[OrderItem, ...] = ()
    having: Expression | None = None
    order: tuple[OrderItem, ...] = ()
    order_interval: Expression | None = None
    top: Expression | None = None
    limit: Expression | None = None
    distinct: bool = False
    hints: tuple[str, ...] = ()
    map: bool = False


@dataclass(frozen=True, slots=True)
class SetOperation(Node):
    """`union`, `union all`, `intersect`, `minus` … of two queries."""

    kind: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class With(Node):
    """`with a as (select …), b(x, y) as (…) select …`; `columns` are the new names, none or one for every column."""

    tables: tuple[tuple[str, Expression], ...]
    body: Expression
    columns: tuple[tuple[str, ...], ...] = ()


# --- statements ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExpressionStatement(Node):
    value: Expression


@dataclass(frozen=True, slots=True)
class Assign(Node):
    """`target operator value`; operator is `=` or `+=`, `-=` … Several targets unpack the value.

    Targets are Name, Index or Member. `reference` is set for `&x = y`. `shared` never: see Share.
    """

    targets: tuple[Expression, ...]
    value: Expression
    operator: str = "="
    reference: bool = False


@dataclass(frozen=True, slots=True)
class Block(Node):
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class FunctionDefinition(Node):
    """`def f(x) {…}`; a declaration without a body (`def f(x)`) has `function.body` an empty Block
    and `declaration` set. `decorators` are the names after `@`."""

    name: str
    function: Lambda
    decorators: tuple[str, ...] = ()
    declaration: bool = False


@dataclass(frozen=True, slots=True)
class ClassDefinition(Node):
    name: str
    base: str | None
    body: Block


@dataclass(frozen=True, slots=True)
class Attribute(Node):
    """`name :: TYPE` in the body of a class."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class If(Node):
    test: Expression
    then: Block
    otherwise: Block | None = None


@dataclass(frozen=True, slots=True)
class For(Node):
    """`for (x in values) {…}`; several names when values is a `zip`-like tuple or table."""

    names: tuple[str, ...]
    values: Expression
    body: Block


@dataclass(frozen=True, slots=True)
class While(Node):
    """`while (test) {…}` and, with `check_last`, `do {…} while (test)`."""

    test: Expression
    body: Block
    check_last: bool = False


@dataclass(frozen=True, slots=True)
class Break(Node): ...


@dataclass(frozen=True, slots=True)
class Continue(Node): ...


@dataclass(frozen=True, slots=True)
class Return(Node):
    value: Expression | None = None


@dataclass(frozen=True, slots=True)
class Throw(Node):
    value: Expression


@dataclass(frozen=True, slots=True)
class Assert(Node):
    """`assert test`, `assert label, test`."""

    test: Expression
    label: Expression | None = None


@dataclass(frozen=True, slots=True)
class Try(Node):
    body: Block
    name: str
    handler: Block


@dataclass(frozen=True, slots=True)
class Timer(Node):
    """`timer body`, `timer(n) body`."""

    body: Statement
    count: Expression | None = None


@dataclass(frozen=True, slots=True)
class Transaction(Node):
    body: Block


@dataclass(frozen=True, slots=True)
class Go(Node):
    """Ends a parsing unit: what follows is resolved after what precedes has run."""


@dataclass(frozen=True, slots=True)
class Share(Node):
    """`share value as name`."""

    value: Expression
    name: str


@dataclass(frozen=True, slots=True)
class Module(Node):
    """`module a::b`."""

    name: str


@dataclass(frozen=True, slots=True)
class Use(Node):
    """`use a::b` (`include` set for `#include "file"`, `catalog` for `use catalog c`)."""

    name: str
    include: bool = False
    catalog: bool = False


@dataclass(frozen=True, slots=True)
class Undef(Node):
    """The statement `undef all[, kind]` (the function form is an ordinary Call)."""

    name: str
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Insert(Node):
    """`insert into target [(columns)] values (…)[, (…)]` or with a query instead of rows.

    `rows` holds one tuple per parenthesised group; without parentheses, a single group.
    """

    target: Expression
    columns: tuple[str, ...]
    rows: tuple[tuple[Expression, ...], ...] = ()
    query: Expression | None = None


@dataclass(frozen=True, slots=True)
class Update(Node):
    """`update target set a = x [from source] [where …] [context by …] [csort …]`."""

    target: Expression
    sets: tuple[tuple[str, Expression], ...]
    source: Source | Join | None = None
    where: tuple[Expression, ...] = ()
    grouping: Grouping | None = None
    csort: tuple[OrderItem, ...] = ()
    having: Expression | None = None


@dataclass(frozen=True, slots=True)
class Delete(Node):
    target: Expression
    where: tuple[Expression, ...] = ()
    source: Source | Join | None = None


@dataclass(frozen=True, slots=True)
class ColumnDefinition(Node):
    """A column of `create table` or `alter table add`: the type as an expression (`INT`, `DECIMAL32(2)`)."""

    name: str
    type: Expression
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CreateDatabase(Node):
    """`create database "dfs://x" partitioned by VALUE(…), HASH(…), engine='TSDB'`."""

    name: Expression
    partitions: tuple[Expression, ...]
    options: tuple[tuple[str, Expression], ...] = ()


@dataclass(frozen=True, slots=True)
class CreateTable(Node):
    """`create [local temporary] table "dfs://x"."t" (…) partitioned by c1, c2, sortColumns=[…]`.

    `name` is a Name, a Member chain, or for `"dfs://x"."t"` a Member on a STRING literal.
    """

    name: Expression
    columns: tuple[ColumnDefinition, ...]
    partitions: tuple[Expression, ...] = ()
    options: tuple[tuple[str, Expression], ...] = ()
    temporary: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class Alter(Node):
    """`alter table t add|drop|rename …`; `columns` for add, `names` for drop and rename."""

    target: Expression
    action: OneOf["add", "drop", "rename"]
    columns: tuple[ColumnDefinition, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drop(Node):
    """`drop table|database [if exists] target`, `truncate table target`."""

    kind: OneOf["table", "database", "catalog", "schema", "truncate"]
    target: Expression
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class Script(Node):
    """A whole text, in order; `Go` statements stay where they are."""

    statements: tuple[Statement, ...]


Expression: TypeAlias = (
    Literal | Name | ColumnName | Macro | VectorLiteral | TupleLiteral | DictLiteral | Unary | Binary | Ternary
    | Index | Member | Call | OperatorFunction | Adverb | Lambda | Quote | Case | Quantifier | Over | Select
    | SetOperation | With | SelectItem
)  # fmt: skip

Statement: TypeAlias = (
    ExpressionStatement | Assign | Block | FunctionDefinition | ClassDefinition | Attribute | If | For | While
    | Break | Continue | Return | Throw | Assert | Try | Timer | Transaction | Go | Share | Module | Use | Undef
    | Insert | Update | Delete | CreateDatabase | CreateTable | Alter | Drop
)  # fmt: skip


def children(node: Node) -> Iterator[Node]:
    """The nodes directly below `node`, in source order of its fields."""
    for item in fields(node):
        yield from _nodes(getattr(node, item.name))


def walk(node: Node) -> Iterator[Node]:
    """`node` and every node below it, depth first. Iterative: deep trees do not overflow the stack."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        pending.extend(reversed(list(children(current))))


def _nodes(value: Any) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _nodes(item)
