"""Built-in functions. Every module here with a `functions` registry is a family."""

from __future__ import annotations

import importlib
import pkgutil

from engine.functions.registry import Registry


def builtin_functions() -> Registry:
    """All families in one registry; raises ValueError when two families declare the same name."""
    merged = Registry()
    for module_info in pkgutil.walk_packages(__path__, prefix=f"{__name__}."):
        family = getattr(importlib.import_module(module_info.name), "functions", None)
        if isinstance(family, Registry):
            merged.update(family)
    return merged
