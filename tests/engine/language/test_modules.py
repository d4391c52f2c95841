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
