"""What a script can do to the world, told from its syntax tree without running it.

A seat belt, not a wall: it errs on the side of the greater effect. What cannot be parsed or resolved counts as `admin`.
"""

from __future__ import annotations

from dolphin.script import syntax as s
from dolphin.script.effects.model import Effect, Effects, Finding, Touched, function_effect
from dolphin.script.effects.reader import Reader
from dolphin.script.errors import ScriptSyntaxError
from dolphin.script.parser import parse


def effects(script: s.Script | str) -> Effects:
    """The effects of a script. Text that does not parse counts as `admin`."""
    if isinstance(script, str):
        try:
            script = parse(script)
        except ScriptSyntaxError as error:
            reason = f"cannot be parsed: {error.message}"
            return Effects((Finding(Effect.admin, error.span, "script", reason),), ())
    try:
        return Reader(script).run()
    except RecursionError:
        finding = Finding(Effect.admin, script.span, "script", "nested too deeply to be resolved")
        return Effects((finding,), ())


__all__ = ["Effect", "Effects", "Finding", "Touched", "effects", "function_effect"]
