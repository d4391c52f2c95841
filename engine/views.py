"""Function views: functions that all sessions may call, and that run with the rights of who added them."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from dolphin.script import ScriptSyntaxError
from engine.errors import ScriptError
from engine.storage.files import read_document, write_document
from engine.stored_functions import Document, function_document, stored_function
from engine.users import GUEST
from engine.values import Closure, Function

if TYPE_CHECKING:
    from engine.functions.registry import Registry
    from engine.session import Session

logger = logging.getLogger("engine")


@dataclass(frozen=True)
class FunctionView:
    """`name` may have a namespace (`module::function`); `created` is in seconds since 1970."""

    name: str
    owner: str
    created: float
    function: Document

    @property
    def source(self) -> str:
        definitions: list[Document] = self.function["definitions"]
        return str(definitions[0]["text"])

    @property
    def namespace(self) -> str:
        return self.name.rpartition("::")[0]


class FunctionViews:
    """The views of a node, kept in a file. `functions` are those every session of the node finds by name."""

    def __init__(self, path: Path, functions: dict[str, Function], registry: Registry) -> None:
        self._path = path
        self._functions = functions
        self._registry = registry
        self._views: dict[str, FunctionView] = {}
        self._lock = RLock()
        if path.exists():
            for document in read_document(path)["views"]:
                self._open(FunctionView(**document))

    def _open(self, view: FunctionView) -> None:
        self._views[view.name] = view
        try:
            self._define(view)
        except (ScriptError, ScriptSyntaxError):
            logger.exception("the function view %s can't be read", view.name)

    def _define(self, view: FunctionView) -> None:
        closure = stored_function(view.function, self._registry, self._functions, view.owner)
        assert isinstance(closure, Closure)
        closure.name, closure.is_view = view.name, True
        self._functions[view.name] = closure

    def add(self, closures: Mapping[str, Closure], owner: str, functions: Mapping[str, Function]) -> None:
        """Add functions by name, all or none; `functions` are those of the session they come from."""
        now = time.time()
        fresh = [
            FunctionView(name, owner, now, function_document(closure, functions)) for name, closure in closures.items()
        ]
        with self._lock:
            for view in fresh:
                if view.name in self._views:
                    raise ScriptError(
                        f"The function view [{view.name}] already exists. Drop it first with dropFunctionView."
                    )
                if self._registry.find(view.name) is not None:
                    raise ScriptError(f"[{view.name}] is a built-in function and can't be a function view.")
            self._save([*self._views.values(), *fresh])
            for view in fresh:
                self._views[view.name] = view
                self._define(view)

    def drop(self, names: list[str]) -> None:
        with self._lock:
            kept = [view for name, view in self._views.items() if name not in names]
            self._save(kept)
            for name in names:
                del self._views[name]
                self._functions.pop(name, None)

    def _save(self, views: list[FunctionView]) -> None:
        write_document(self._path, {"views": [asdict(view) for view in views]})

    def views(self) -> list[FunctionView]:
        with self._lock:
            return list(self._views.values())

    def view(self, name: str) -> FunctionView:
        with self._lock:
            found = self._views.get(name)
        if found is None:
            raise ScriptError(f"The function view [{name}] does not exist.")
        return found

    def namespace(self, name: str) -> list[FunctionView]:
        """The views of a module."""
        return [view for view in self.views() if view.namespace == name]


def require_view(session: Session, name: str) -> None:
    """Only who was granted a function view, its owner and administrators may call it."""
    node, user = session.node, session.acting_user
    if node.users is None or user == node.views.view(name).owner or node.users.may_execute(user, name):
        return
    remedy = "Log in first." if user == GUEST else f'An administrator can grant("{user}", VIEW_EXEC, "{name}").'
    raise ScriptError(f"<NoPrivilege>Not granted to execute the function view [{name}]. {remedy}")
