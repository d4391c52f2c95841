"""Recursive descent from tokens to the syntax tree."""

from __future__ import annotations

from dolphin.script.parser.statements import parse, parse_expression

__all__ = ["parse", "parse_expression"]
