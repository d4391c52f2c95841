"""Runs scripts."""

from __future__ import annotations

from engine.interpreter.interpreter import Interpreter
from engine.interpreter.scope import Scope

__all__ = ["Interpreter", "Scope"]
