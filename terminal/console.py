"""What is printed at the terminal. Text of models and data is shown, never obeyed."""

from __future__ import annotations

import re
from typing import Any

from rich.console import Console
from rich.syntax import Syntax

# Escape sequences would move the cursor or rewrite what was shown; direction marks would reorder a script to approve.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """`text` with control characters other than line ends and tabs written out, such as `\\x1b`."""
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text.replace("\r\n", "\n"))


class TextConsole(Console):
    """A console whose strings are made visible before they are printed."""

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(visible(item) if isinstance(item, str) else item for item in objects), **options)


def script_block(script: str) -> Syntax:
    return Syntax(visible(script), "sql", theme="ansi_dark", background_color="default", word_wrap=True)
