"""The engine as a process: connections of clients, their sessions, and the watch that ends it when nobody needs it."""

from __future__ import annotations

from engine.server.server import Server, serve

__all__ = ["Server", "serve"]
