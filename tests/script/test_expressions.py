"""Operators by precedence, application, function patterns, lambdas: told by the fully bracketed form."""

from __future__ import annotations

import pytest

from dolphin.script import parse, parse_expression
from dolphin.script import syntax as s


def shape(node: s.Node | None) -> str:
    """An expression with every grouping in parentheses."""
    match node:
        case None:
            return ""
        case s.Binary():
            return f"({shape(node.left)} {node.operator} {shape(node.right)})"
        case s.Unary():
            return f"({node.operator} {shape(node.operand)})"
        case s.Call():
            arguments = ", ".join(shape(argument.value) for argument in node.arguments)
            brackets = "{}" if node.style == "partial" else "()"
            return f"{shape(node.function)}{brackets[0]}{arguments}{brackets[1]}"
        case s.Name():
            return node.id
        case s.Literal():
            return "NULL" if node.value is None else str(node.value)
        case s.VectorLiteral() | s.TupleLiteral():
            return f"[{' '.join(shape(item) for item in node.items)}]"
        case s.Ternary():
            return f"({shape(node.test)} ? {shape(node.then)} : {shape(node.otherwise)})"
        case s.Index():
            return f"{shape(node.target)}[{','.join(shape(index) for index in node.indices)}]"
        case s.Adverb():
            return f"{shape(node.function)}:{node.letter}"
        case s.OperatorFunction():
            return node.operator
        case s.Member():
            return f"{shape(node.target)}.{node.name}"
        case s.Lambda():
            names = ",".join(parameter.name for parameter in node.parameters)
            assert not isinstance(node.body, s.Block)
            return f"{{{names} -> {shape(node.body)}}}"
        case s.Quote():
            return f"<{shape(node.body)}>"
    raise AssertionError(type(node))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3+a*a", "(3 + (a * a))"),
        ("3*a..10", "(3 * (a .. 10))"),
        ("1:3+1", "((1 : 3) + 1)"),
        ("-n..n", "((- n) .. n)"),
        ("!x-1", "((! x) - 1)"),
        ("1..6$3:2", "((1 .. 6) $ (3 : 2))"),
        ("a+1<b*2", "((a + 1) < (b * 2))"),
        ("a || b && c", "(a || (b && c))"),
        ("a or b and c", "(a or (b and c))"),
        ("a | b ^ c & d", "(a | (b ^ (c & d)))"),
        ("a << 1 + 2", "(a << (1 + 2))"),
        ("a <- b", "(a <- b)"),
        ("x\\y/z", "((x \\ y) / z)"),
        ("a < b <= c", "((a < b) && (b <= c))"),
        ("a <> b", "(a != b)"),
        ("a ? b : c ? d : e", "(a ? b : (c ? d : e))"),
        ("5>3 ? 1:2", "((5 > 3) ? 1 : 2)"),
        ("sum x == 6", "sum((x == 6))"),
        ("sin x + cos x", "sin((x + cos(x)))"),
        ("isNull x || isNull y", "isNull((x || isNull(y)))"),
        ("avg sin abs -100..100", "avg(sin(abs((-100 .. 100))))"),
        ("2 add 3 sub 5 mul 5", "add(2, sub(3, mul(5, 5)))"),
        ("x at x>3", "at(x, (x > 3))"),
        ("x join y", "join(x, y)"),
        ("x -1", "(x - 1)"),
        ("not false and false", "(not (False and False))"),
        ("x not in y", "(not (x in y))"),
        ("x is not null", "(not (x is NULL))"),
        ("f(1)(2)", "f(1)(2)"),
        ("f{1,}(2)", "f{1, }(2)"),
        ("f(a,,c)", "f(a, , c)"),
        ("t.price.avg()", "avg(t.price)"),
        ("m[,1][0]", "m[,1][0]"),
        ("x[1:]", "x[(1 : NULL)]"),
        ("x[:3]", "x[(NULL : 3)]"),
        ("f:E(x)", "f:E(x)"),
        ("+:E(x, y)", "+:E(x, y)"),
        ("x +:L y", "+:L(x, y)"),
        ("x pow :R y", "pow:R(x, y)"),
        ("-:P x", "-:P(x)"),
        ("each(+, x, y)", "each(+, x, y)"),
        ("x -> x+1", "{x -> (x + 1)}"),
        ("(x, y) -> x*y", "{x,y -> (x * y)}"),
        ("{x, y -> x*y}:E(a, b)", "{x,y -> (x * y)}:E(a, b)"),
        ("<a + b>", "<(a + b)>"),
        ("f(<a > b>, 3)", "f(<(a > b)>, 3)"),
        ("<a>", "<a>"),
        ("a.b.c", "a.b.c"),
        ("module1::f(1)", "module1::f(1)"),
    ],
)
def test_grouping(text: str, expected: str) -> None:
    assert shape(parse_expression(text)) == expected


def test_a_variable_named_like_a_function_is_a_variable() -> None:
    script = parse("date = 5\ndate -1")
    assert isinstance(script.statements[1], s.ExpressionStatement)
    assert shape(script.statements[1].value) == "(date - 1)"


def test_named_and_aliased_arguments() -> None:
    call = parse_expression("table(1 2 as id, size=3)")
    assert isinstance(call, s.Call)
    first, second = call.arguments
    assert isinstance(first.value, s.SelectItem)
    assert first.value.aliases == ("id",)
    assert second.name == "size"


def test_dictionaries_have_string_keys() -> None:
    dictionary = parse_expression('{a: 1, "b c": [1,2], 3: x}')
    assert isinstance(dictionary, s.DictLiteral)
    assert [key.value for key, _ in dictionary.items if isinstance(key, s.Literal)] == ["a", "b c", 3]


def test_spans_cover_the_source_text() -> None:
    text = "x = a + f(b,\n c)"
    call = next(node for node in s.walk(parse(text)) if isinstance(node, s.Call))
    assert text[call.span.start : call.span.end] == "f(b,\n c)"
    assert (call.span.line, call.span.column) == (1, 9)
