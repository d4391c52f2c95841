"""What a script can do, and that nothing hides it."""

from __future__ import annotations

import pytest

from dolphin.script import effect_table, parse
from dolphin.script.builtin_names import BUILTIN_NAMES
from dolphin.script.effects import Effect, Touched, effects, function_effect

READ = """
select * from t
x = 1..10; sum(x)
select top 3 * from loadTable("dfs://a", "b") where date = 2020.01.01
select run, test, share, file from t where shell > 1
def f(a) { dropTable(a, "t") }; 1
def g(f, x) { return f(x) }; g(sum, 1 2)
eval(<1 + 2>)
eval(parseExpr("1 + 2"))
t = table(1 as a); c = sql(select=sqlCol(`a), from=t); c.eval()
file("a.txt")
db = database("dfs://a"); select count(*) from loadTable(db, `t)
select avg(x) from ej(t1, t2, `id) group by bar(ts, 5m)
1 2 3 $ DECIMAL32(2)
each(x -> x + 1, 1 2 3)
"""
SESSION = """
t = table(1 2 as a); t.append!(table(3 as a))
t = table(1 2 as a); delete from t where a = 1
t = table(1 2 as a); insert into t values (3)
t = table(1 2 as a); update t set a = 3
x = dict(STRING, ANY); x[`a] = 1
def f(mutable v) { v.append!(1) }; x = 1 2; f(x)
db = database("", VALUE, 1..3); t = table(1 as a); p = db.createPartitionedTable(t, `p, `a); p.append!(t)
undef(`x)
undef all
"""
WRITE = """
share t as s
insert into t values (3)
x[`a] = 1
p = loadTable("dfs://a", "b"); p.append!(x)
update loadTable("dfs://a", "b") set x = 1
tableInsert(loadTable("dfs://a", "b"), x)
db = database("dfs://x", VALUE, 1..3)
create table "dfs://a"."t" (id INT)
alter table t add x INT
createTimeSeriesEngine("x", 1, 2, <sum(a)>)
def f(mutable v) { v.append!(1) }; f(loadTable("dfs://a", "b"))
def f() { t.append!(1) }; t = table(1 as a); f()
t = objByName("t"); t.append!(1)
trading.stock.quote.append!(x)
saveText(t, "a.csv", , true)
for (d in 1 2) { if (d > 1) { insert into other values (1) } }
"""
DESTROY = """
delete from t
delete from trading.stock.quote
t = table(1 as a); share t as st; delete from t
t = table(1 as a); share(t, "st"); delete from t
dropTable(database("dfs://a"), "t")
db = database("dfs://a"); db.dropTable("t")
f = dropTable; f(db, "t")
each(dropTable{db}, `a`b)
each(dropTable, x, y)
dropTable:E(x, y)
x dropTable y
loop(rm, files("/tmp").filename)
rm "a.txt"
"a.txt".rm()
call(rm, "a")
partial(dropTable, db)
funcByName("dropTable")(db, "t")
[dropTable][0](db, "t")
d = {a: dropTable}
(x -> dropTable(x, "t"))(db)
{x -> x.dropDatabase()}:E(["dfs://a"])
select each(rm, name) from t
if (false) { dropTable = 1 }; f = dropTable
if (false) { def dropTable(a, b) {} }; dropTable(db, "t")
dropTable = 1; undef(`dropTable); f = dropTable
def f(a) { dropTable(a, "t") }; f(database("dfs://x"))
def f() { 1 }; def h() { f() }; h(); def f() { dropDatabase("dfs://a") }; h()
def f() { dropDatabase("dfs://a") }; if (false) { def f() { 1 } }; f()
def f() { rm("a") }; each(f, 1 2)
def f(x) { rm(x) }; mapr f(x) {sum(x) -> sum}; f("a")
def f() { rm("a") }; h = f; h()
eval(parseExpr("dropTable(db, `t)"))
x = <delete from t>
x = 1 > 2 ? dropTable : sum
def f(a = rm("x")) { a }
truncate("dfs://a", "t")
drop table if exists "dfs://a"."t"
drop catalog trading
drop database trading.stock
dropSchema("trading", "stock")
restore("backups", "dfs://a", "t", "%")
saveTable(db, t)
alter table t drop x
timer dropDatabase("dfs://a")
try { 1 } catch (ex) { dropDatabase("dfs://a") }
undef("x", SHARED)
file("a.txt", "w")
saveText(t, "a.csv")
clear!(loadTable("dfs://a", "b"))
"""
ADMIN = """
shell("ls")
run("a.dos")
runScript("1")
submitJob("a", "b", f)
login("a", "b")
grant("u", TABLE_READ, "*")
loadPlugin("x")
rpc("node", sum, 1)
use a::b
foo(1)
a::b(1)
x.unknownMethod()
handlers[0](x)
objByName("f")(1)
f = sessionFunction; f(1)
each(sessionFunction, 1 2)
def g(f, x) { return f(x) }; g(sessionFunction, 1)
mr(ds, sessionFunction)
pipeline([sessionFunction], x -> x)
pipeline(x, (sum, sessionFunction))
scheduleJob(`a, "", now, 09:00m, 2030.01.01, 2030.01.02, 'D')
submitJobEx2(`a, "", 1, 1, x -> x, now)
addFunctionView(f)
lockUser("u")
setDynamicConfig("maxMemSize", 4)
select _$f(x) from t
eval(x)
"x".parseExpr().foo()
parseExpr("drop" + "Table").eval()
c = (exec code from x)[0]; eval(c)
sql(select=c, from=t).eval()
funcByName("dr" + "opTable")
def g(f, x) { return f(x) }; g(shell, "x")
{x -> shell(x)}:E(["ls"])
g = x -> shell(x); 1
class A { x :: INT
 def m() { shell("x") } }; A().m()
def f() { shell("x") }; if (false) { def f() { 1 } }; f()
select each(run, x) from t
Select * from t
(((
"""


def cases(text: str) -> list[str]:
    lines: list[str] = []
    for line in text.strip("\n").split("\n"):
        if line.startswith(" "):
            lines[-1] += "\n" + line
        else:
            lines.append(line)
    return lines


@pytest.mark.parametrize(
    ("script", "level"),
    [
        (script, level)
        for text, level in (
            (READ, Effect.read),
            (SESSION, Effect.session),
            (WRITE, Effect.write),
            (DESTROY, Effect.destroy),
            (ADMIN, Effect.admin),
        )
        for script in cases(text)
    ],
)
def test_level(script: str, level: Effect) -> None:
    found = effects(script)
    assert found.level == level, found.findings


def test_effects_are_ordered() -> None:
    assert Effect.read < Effect.session < Effect.write < Effect.destroy < Effect.admin


def test_findings_say_what_and_where() -> None:
    script = 'x = 1\ndropTable(database("dfs://a"), "t")'
    finding = effects(script).findings[0]
    assert (finding.effect, finding.name, finding.span.line) == (Effect.destroy, "dropTable", 2)
    assert script[finding.span.start : finding.span.end].startswith("dropTable(")
    assert "unknown function" in effects("foo(1)").findings[0].reason
    assert "cannot be parsed" in effects("f(").findings[0].reason


def test_tables_named_by_literals_are_told() -> None:
    found = effects('db = database("dfs://a"); t = loadTable(db, "x"); dropTable(db, "y"); insert into t values (1)')
    assert found.databases == ("dfs://a",)
    assert found.tables == ("dfs://a/x", "dfs://a/y")
    assert Touched("dfs://a", "y", Effect.destroy) in found.touched
    assert Touched("dfs://a", "x", Effect.write) in found.touched


def test_a_tree_is_taken_too() -> None:
    assert effects(parse("delete from t")).level == Effect.destroy


def test_every_built_in_function_has_an_effect() -> None:
    assert all(function_effect(name) is not None for name in BUILTIN_NAMES)
    assert function_effect("noSuchFunction") is None
    assert function_effect("sum") == Effect.read
    lists = [effect_table.ADMIN, effect_table.DESTROY, effect_table.WRITE, effect_table.SESSION]
    named = [name for names in lists for name in names]
    assert len(named) == len(set(named))
    assert {name for name in named if "::" not in name} <= BUILTIN_NAMES


def test_recursion_and_many_calls_end() -> None:
    assert effects("def f(x) { return x > 0 ? f(x - 1) : rm('a') }; f(3)").level == Effect.destroy
    chain = "def f0(x) { x }\n" + "\n".join(f"def f{i}(x) {{ f{i - 1}(x); f{i - 1}([x]) }}" for i in range(1, 60))
    assert effects(chain + "\nf59(1)").level == Effect.admin
