"""Built-in functions. Every module here with a `functions` registry is a family."""

from __future__ import annotations

import importlib
import pkgutil

from engine.functions.registry import Registry


def families() -> dict[str, Registry]:
    """The registries of functions by the name of their module here, such as `strings` or `tables.rows`."""
    found: dict[str, Registry] = {}
    for module_info in pkgutil.walk_packages(__path__, prefix=f"{__name__}."):
        family = getattr(importlib.import_module(module_info.name), "functions", None)
        if isinstance(family, Registry):
            found[module_info.name.removeprefix(f"{__name__}.")] = family
    return found


def builtin_functions() -> Registry:
    """All families in one registry; raises ValueError when two families declare the same name."""
    merged = Registry()
    for family in families().values():
        merged.update(family)
    return merged
