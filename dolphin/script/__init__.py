"""The language front end of DolphinDB script: text to tree and back. Pure; no I/O."""

from __future__ import annotations

from dolphin.script.errors import ScriptSyntaxError
from dolphin.script.parser import parse, parse_expression
from dolphin.script.unparse import unparse

__all__ = ["ScriptSyntaxError", "parse", "parse_expression", "unparse"]
