"""Identifiers of threads, runs and assistants: UUIDs as text."""

from __future__ import annotations

from uuid import UUID, uuid5

from langchain_core.utils.uuid import uuid7

from core.errors import InvalidInputError

# The namespace LangGraph's clients know the assistants of graphs by.
GRAPH_NAMESPACE = UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")


def new_id() -> str:
    """A new id; ids sort by their time of making."""
    return str(uuid7())


def uuid_or_none(text: str) -> str | None:
    try:
        return str(UUID(text)) if len(text) in (32, 36) else None
    except ValueError:
        return None


def checked_uuid(text: str, what: str) -> str:
    """`text` in canonical form; InvalidInputError naming `what` when it is not a UUID."""
    found = uuid_or_none(text)
    if found is None:
        raise InvalidInputError(f"Invalid {what} ID: must be a UUID")
    return found


def graph_assistant_id(graph_id: str) -> str:
    """The id of the assistant that stands for a graph itself."""
    return str(uuid5(GRAPH_NAMESPACE, graph_id))
