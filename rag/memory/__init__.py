"""What users told the agent to remember, in LangGraph's store.

No namespace of the HTTP store lies below ROOT: those begin with an owner's name, in which a percent sign is escaped.
"""

from __future__ import annotations

import hashlib
from urllib.parse import quote
from uuid import uuid4

from langgraph.store.base import BaseStore, GetOp, Item, PutOp

ROOT = "%memory"
SHARED = "shared"
VERSIONS = (ROOT, "versions")
# No owner's label is like it: a percent sign in one is escaped.
SHARED_KEY = "%shared"


def namespace(kind: str, owner: str | None) -> tuple[str, ...]:
    """Where an owner's items of a kind lie; None is what everybody may read. The store allows no dots in names."""
    return (ROOT, kind, SHARED) if owner is None else (ROOT, kind, "user", label(owner))


def label(owner: str) -> str:
    return quote(owner, safe="").replace(".", "%2E")


def identifier(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


async def write(store: BaseStore, *changes: PutOp) -> None:
    """Carries out changes in namespaces of `namespace`, and gives a new version to all of an owner's memory or to
    what is shared, so that processes which hold a copy see that it is old."""
    keys = dict.fromkeys(_version_key(change.namespace) for change in changes)
    await store.abatch([*changes, *(PutOp(VERSIONS, key, {"version": uuid4().hex}, index=False) for key in keys)])


async def versions(store: BaseStore, owner: str) -> tuple[str, str]:
    """The versions of the owner's memory and of what is shared; "" where nothing was ever kept."""
    found = await store.abatch([GetOp(VERSIONS, label(owner)), GetOp(VERSIONS, SHARED_KEY)])
    own, shared = (item.value["version"] if isinstance(item, Item) else "" for item in found)
    return own, shared


def _version_key(place: tuple[str, ...]) -> str:
    return SHARED_KEY if place[-1] == SHARED and len(place) == 3 else place[-1]
