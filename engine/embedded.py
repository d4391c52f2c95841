"""Values that stand inside a syntax tree without a literal form, as meta-programming puts them there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dolphin.script import syntax

if TYPE_CHECKING:
    from engine.values import Value


@dataclass(frozen=True, slots=True)
class Embedded(syntax.Node):
    """A value as an expression; equal only to itself."""

    value: Value
