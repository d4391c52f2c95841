from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.errors import ScriptError
from engine.interpreter import Interpreter

MODULE = """
module indicators

def kama(x, n) { return ::kama(x, n) }
def var(x, n) { return mvar(x, n) * 2 }
@state
def spread(x, n = 3) { return sqrt(var(x, n)) }
def chosen(x, n, kind) {
    f = [var, spread, var{, 2}][kind]
    return f(x, n)
}
def CROSS(a, b) { return ::not(::prev(a) > ::prev(b)) && a > b }
"""


def test_functions_of_a_module_mean_one_another(interpreter: Interpreter) -> None:
    interpreter.run(MODULE)
    same = interpreter.run("eqObj(indicators::spread(1.0 3 2 5, 2), sqrt(mvar(1.0 3 2 5, 2) * 2), 9)")
    assert same.value is True  # type: ignore[union-attr]
    same = interpreter.run("eqObj(indicators::chosen(1.0 3 2 5, 2, 0), mvar(1.0 3 2 5, 2) * 2, 9)")
    assert same.value is True  # type: ignore[union-attr]


def test_the_built_in_function_behind_two_colons(interpreter: Interpreter) -> None:
    interpreter.run(MODULE)
    same = interpreter.run("x = 1.0 3 2 5 4 6 7 5 9; eqObj(indicators::kama(x, 3), kama(x, 3), 9)")
    assert same.value is True  # type: ignore[union-attr]


def test_plain_names_outside(shown: Callable[[str], str], interpreter: Interpreter) -> None:
    interpreter.run(MODULE)
    assert shown("CROSS(1 3, 2 2)") == "[0,1]"
    assert shown("var(1 2 3)") == "1"
    with pytest.raises(ScriptError, match="can't be redefined"):
        interpreter.run("def var(x) { return x }")


CLASSES = """
class Account {
    owner :: STRING
    balance :: DOUBLE
    history :: INT VECTOR
    def Account(owner_, balance_ = 0) { owner = owner_; balance = balance_; history = [] }
    def pay(amount) { balance += amount; history.append!(amount); return balance }
    def twice(amount) { pay(amount); return self.pay(amount) }
}
class Savings : Account {
    rate :: DOUBLE
    def Savings(name) { owner = name; balance = 100; rate = 0.5; history = [] }
    def interest() { return pay(int(balance * rate)) }
}
"""


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ('a = Account("Ann"); a.twice(5); a.balance', "10"),
        ('a = Account("Ann", 3); b = a; b.pay(1); a.balance', "4"),
        ('a = Account("Ann"); a.twice(5); a.history', "[5,5]"),
        ('a = Account("Ann"); a.owner = "Bob"; attributeValues(a)["owner"]', "Bob"),
        ('s = Savings("Sue"); s.interest(); s.balance', "150"),
        ("attributeNames(Savings(`x))", '["owner","balance","history","rate"]'),
        ('a = Account("Ann"); memberModify!(a, append!, "history", 7); a.history', "[7]"),
    ],
)
def test_classes(shown: Callable[[str], str], script: str, text: str) -> None:
    assert shown(CLASSES + script) == text


def test_what_a_class_does_not_have(interpreter: Interpreter) -> None:
    interpreter.run(CLASSES)
    with pytest.raises(ScriptError, match=r"no attribute \[missing\]"):
        interpreter.run('Account("Ann").missing')
    with pytest.raises(ScriptError, match=r"attribute \[missing\]"):
        interpreter.run('a = Account("Ann"); a.missing = 1')
