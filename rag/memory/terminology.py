"""Terminology: what a user means by a word. Proposed from the conversation, used once the user has confirmed it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from langgraph.store.base import BaseStore

from core.errors import InvalidInputError, NotFoundError
from rag.memory import identifier, namespace

KIND = "terminology"
MAX_TERMS = 1_000


@dataclass(frozen=True)
class Term:
    id: str
    term: str
    meaning: str
    status: Literal["proposed", "confirmed"]


class Terminology:
    """Each user's own words."""

    def __init__(self, store: BaseStore) -> None:
        self._store = store

    async def propose(self, owner: str, term: str, meaning: str) -> Term:
        """Keep a term for the user to confirm; it changes nothing before. Raises InvalidInputError."""
        if not term.strip() or not meaning.strip():
            raise InvalidInputError("A term needs a meaning.", "Give both.")
        key = identifier(term.strip().lower())
        proposed = Term(f"{key}-proposed", term.strip(), meaning.strip(), "proposed")
        await self._store.aput(namespace(KIND, owner), proposed.id, asdict(proposed), index=False)
        return proposed

    async def confirm(self, owner: str, term_id: str) -> Term:
        """From now on the term is used; an earlier meaning of it is forgotten."""
        proposed = await self._get(owner, term_id)
        confirmed = Term(term_id.removesuffix("-proposed"), proposed.term, proposed.meaning, "confirmed")
        await self._store.aput(namespace(KIND, owner), confirmed.id, asdict(confirmed), index=False)
        if confirmed.id != term_id:
            await self._store.adelete(namespace(KIND, owner), term_id)
        return confirmed

    async def forget(self, owner: str, term_id: str) -> None:
        """Reject a proposal, or stop using a term."""
        await self._get(owner, term_id)
        await self._store.adelete(namespace(KIND, owner), term_id)

    async def list(self, owner: str) -> list[Term]:
        items = await self._store.asearch(namespace(KIND, owner), limit=MAX_TERMS)
        return sorted((Term(**item.value) for item in items), key=lambda term: (term.term.lower(), term.status))

    async def meanings(self, owner: str) -> dict[str, str]:
        """Confirmed terms and their meanings, as `rewrite` takes them."""
        return {term.term: term.meaning for term in await self.list(owner) if term.status == "confirmed"}

    async def _get(self, owner: str, term_id: str) -> Term:
        item = await self._store.aget(namespace(KIND, owner), term_id)
        if item is None:
            raise NotFoundError("There is no such term.", "List the terms to see their ids.")
        return Term(**item.value)
