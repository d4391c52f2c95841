"""Statements, definitions and how lines end them."""

from __future__ import annotations

import pytest

from dolphin.script import ScriptSyntaxError, parse
from dolphin.script import syntax as s


def kinds(text: str) -> list[str]:
    return [type(statement).__name__ for statement in parse(text).statements]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1\ny = 2; z", ["Assign", "Assign", "ExpressionStatement"]),
        ("a, b = f(1)", ["Assign"]),
        ("x[1] = 3; x[1, 2] += 4; t.c = 5; &r = x", ["Assign"] * 4),
        ("if (a) b = 1; else c = 2", ["If"]),
        ("if(a){\n b = 1 }\nelse if (c) { d }\nelse { e }\nf", ["If", "ExpressionStatement"]),
        ("for (i in 0..3) { print i }\nwhile(true) break", ["For", "While"]),
        ("do { x += 1 } while (x < 3)", ["While"]),
        ("try { f() } catch (ex) { throw ex }", ["Try"]),
        ("assert 1, x == 1; timer(10) sum(x); transaction { a }", ["Assert", "Timer", "Transaction"]),
        ('module a::b\nuse c::d\n#include "e.dos"\ngo\nuse catalog f', ["Module", "Use", "Use", "Go", "Use"]),
        ("share streamTable(1:0, `a`b, [INT,INT]) as st", ["Share"]),
        ("undef all; undef(`x)", ["Undef", "ExpressionStatement"]),
        ("def f(x, mutable y, z=3) { return x }\n@state\ndef g(x: INT): INT { x }", ["FunctionDefinition"] * 2),
        ("defg h(x): sum(x)\nmapr h(x){sum(x), count(x) -> div; cumsum, copy -> ratio}", ["FunctionDefinition"] * 2),
        ("class A : B {\n x :: INT\n def A(y) { x = y }\n}\nA(1)", ["ClassDefinition", "ExpressionStatement"]),
        ("drop(x, 1)\nupdate = 3\nset(1 2)", ["ExpressionStatement", "Assign", "ExpressionStatement"]),
        ("x = f(1,\n  2)\n   .g()\n   .h()", ["Assign"]),
        ("x = a +\n b\n// note\n/* more */ y", ["Assign", "ExpressionStatement"]),
        ("f = def(a, b) { a + b }\ng = x -> {\n y = x\n return y\n}", ["Assign", "Assign"]),
        ("return [1, 2]\nthrow [x][0]", ["Return", "Throw"]),
        ("timer\nselect a\nfrom t\ntimer { a }", ["Timer", "Timer"]),
        ('print "mean", x\nc, d = 1, 2', ["ExpressionStatement", "Assign"]),
        ("def f(from = 'q', to = 'm') { if (from == 'q') return 1 }", ["FunctionDefinition"]),
    ],
)
def test_kinds(text: str, expected: list[str]) -> None:
    assert kinds(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select *\nfrom t\nwhere a > 1\n  and b = 2\norder by c desc\nx = 1", ["ExpressionStatement", "Assign"]),
        ("update t set a = b + 1, c = 2 from u where d in (1, 2) context by e", ["Update"]),
        ("delete from loadTable('dfs://a', `b) where c between 1 and 2", ["Delete"]),
        ("insert into t values (1, `a)\ninsert into t (a, b) values (1, 2), (3, 4)", ["Insert"] * 2),
        ("insert into t select * from u", ["Insert"]),
        ('create database "dfs://a" partitioned by VALUE(1..3), HASH([INT, 5]), engine="TSDB"', ["CreateDatabase"]),
        ('create table "dfs://a"."t" (\n id INT,\n v DOUBLE[])\npartitioned by id, sortColumns=[`id]', ["CreateTable"]),
        ('create table t (d DECIMAL32(2) [comment="x", compress="delta"])', ["CreateTable"]),
        ("create local temporary table t (a INT)", ["CreateTable"]),
        ("alter table t add c INT\nalter table t drop c\nalter table t rename a to b", ["Alter"] * 3),
        ('drop table if exists "dfs://a"."t"\ndrop database "dfs://a"\ntruncate table "dfs://a"."t"', ["Drop"] * 3),
    ],
)  # fmt: skip
def test_data_statements(text: str, expected: list[str]) -> None:
    assert kinds(text) == expected


def test_a_function_may_be_declared_without_a_body() -> None:
    declared = parse("def f(x)\ndef f(x) { x }").statements
    assert [item.declaration for item in declared if isinstance(item, s.FunctionDefinition)] == [True, False]


def test_rows_of_an_insert() -> None:
    insert = parse("insert into t (a, b) values (1, 2), (3, 4)").statements[0]
    assert isinstance(insert, s.Insert)
    assert insert.columns == ("a", "b")
    assert [len(row) for row in insert.rows] == [2, 2]


@pytest.mark.parametrize(
    "text", ["x = ", "f(1", "if (a", "def f(x) {", "select from t", "x = 1 2 = 3", "select a fro t where"]
)
def test_what_is_no_script_is_refused(text: str) -> None:
    with pytest.raises(ScriptSyntaxError):
        parse(text)


def test_assignment_where_a_comparison_is_meant() -> None:
    with pytest.raises(ScriptSyntaxError, match="Please use '==' rather than '='"):
        parse("f(x) = 3")


def test_a_decorator_on_a_line_of_its_own_ends_the_statement_before() -> None:
    statements = parse("x = f(1)\n @state\ndef g(a) { return a }\ng(x)").statements
    assert [type(each) for each in statements] == [
        s.Assign,
        s.FunctionDefinition,
        s.ExpressionStatement,
    ]


def test_an_assignment_after_create_table_is_no_option_of_it() -> None:
    text = 'create table "dfs://d"."t"(\n a INT,\n b INT\n)\npartitioned by a,\nsortColumns = `a\nt = 1'
    created, assigned = parse(text).statements
    assert isinstance(created, s.CreateTable)
    assert [name for name, _ in created.options] == ["sortColumns"]
    assert isinstance(assigned, s.Assign)


def test_a_returned_value_may_be_named() -> None:
    (definition,) = parse("def f(x) { return (x - 1) \\ 2 as half }").statements
    assert isinstance(definition, s.FunctionDefinition)
    assert isinstance(definition.function.body, s.Block)
    assert isinstance(definition.function.body.statements[0], s.Return)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = sum(1\ny = 2", "[line #2] Cannot recognize the token y, [)] is expected: the ( of line #1 is not closed"),
        ("def f(x) {\n y = x\n", "[}] is missing: the { of line #1 is not closed"),
        ("x = 1]", "There is no [ before that it closes"),
        ("if x > 1:\n  y = 2", "The condition of if is written in parentheses"),
        ("while (x > 1):\n  y = 2", "Blocks are written in braces"),
        ("def f(x):\n  y = x + 1\n  return y", "A function of several statements is written in braces"),
        ("if (x = 1) { y = 2 }", "use '==' rather than '='"),
        ("x = 1 if true else 2", "iif(condition, a, b)"),
        ("# note", "Comments begin with //"),
        ("i = 0\ni++", "There is no ++"),
        ("s = `two words", "A string with spaces is written in quotes"),
        ("select a1...b3 from t", "Names in a sequence must have the same prefix"),
    ],
)
def test_messages_say_what_to_write(text: str, message: str) -> None:
    with pytest.raises(ScriptSyntaxError) as raised:
        parse(text)
    assert message in str(raised.value)
