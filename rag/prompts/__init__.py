"""The prompts of retrieval, kept as Markdown files so that they can be read and reviewed as text."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def prompt(name: str) -> str:
    """The text of `name`.md beside this module."""
    return files(__name__).joinpath(f"{name}.md").read_text("utf-8").strip()
