"""What users told the agent to remember, in LangGraph's store."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

SHARED = "shared"


def namespace(kind: str, owner: str | None) -> tuple[str, ...]:
    """Where an owner's items of a kind lie; None is what everybody may read. The store allows no dots in names."""
    return (kind, SHARED) if owner is None else (kind, "user", quote(owner, safe="").replace(".", "%2E"))


def identifier(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]
