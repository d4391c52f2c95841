"""Functions, modules and comments of a script."""

from __future__ import annotations

from dolphin.script.symbols import symbols

SCRIPT = """module factors::basic
use common::math

/*
 * Volume weighted price.
 */
defg vwap(price, qty) { return sum(price*qty) \\ sum(qty) }

// second line counts
// too
@jit
def spread(mutable t, width=5) {
  x = helper(t)
  return math::clean(x)
}
y = spread(z)
"""


def test_functions_with_signature_comment_and_lines() -> None:
    found = symbols(SCRIPT)
    assert (found.module, found.uses, found.complete) == ("factors::basic", ("common::math",), True)
    vwap, spread = found.functions
    assert (vwap.kind, vwap.signature, vwap.comment, vwap.line) == (
        "defg",
        "vwap(price, qty)",
        "Volume weighted price.",
        7,
    )
    assert spread.signature == "spread(mutable t, width=5)"
    assert spread.comment == "second line counts\ntoo"
    assert spread.calls == ("helper", "math::clean")
    assert spread.end_line - spread.line == 3
    assert found.assigned == ("x", "y")


def test_a_broken_script_still_shows_its_headers() -> None:
    found = symbols("module m\n// adds\ndef add2(a, b) { return a + }\ndef second(x) { x }")
    assert not found.complete
    assert [(item.signature, item.comment) for item in found.functions] == [("add2(a, b)", "adds"), ("second(x)", "")]
