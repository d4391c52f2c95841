"""Terminology: what a user means by a word. Kept when the user has confirmed it, used to rewrite questions."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from langgraph.store.base import BaseStore, PutOp

from core.errors import ConflictError, InvalidInputError, NotFoundError
from rag.memory import identifier, namespace, write
from rag.memory.texts import checked

KIND = "terminology"
MAX_TERMS = 1_000
MAX_TERM, MAX_MEANING = 60, 300


@dataclass(frozen=True)
class Term:
    id: str
    term: str
    meaning: str


class Terminology:
    """Each user's own words; nobody sees another's."""

    def __init__(self, store: BaseStore) -> None:
        self._store = store

    async def define(self, owner: str, term: str, meaning: str) -> Term:
        """Call it after the user confirmed. An earlier meaning of the term, in whatever letters, is forgotten.

        Raises InvalidInputError, and ConflictError when there are too many.
        """
        term = checked("term", " ".join(term.split()), MAX_TERM)
        meaning = checked("meaning", " ".join(meaning.split()), MAX_MEANING)
        if not term or not meaning:
            raise InvalidInputError("A term needs a meaning.", "Give both.")
        place = namespace(KIND, owner)
        defined = Term(identifier(term.lower()), term, meaning)
        if await self._store.aget(place, defined.id) is None and await self._store.asearch(
            place, limit=1, offset=MAX_TERMS - 1
        ):
            raise ConflictError(f"You have {MAX_TERMS} terms, which is all there can be.", "Delete some.")
        await write(self._store, PutOp(place, defined.id, asdict(defined), index=False))
        return defined

    async def get(self, owner: str, term: str) -> Term:
        """By its id, or by the word itself. Raises NotFoundError."""
        for key in (term, identifier(" ".join(term.split()).lower())):
            item = await self._store.aget(namespace(KIND, owner), key)
            if item is not None:
                return Term(**item.value)
        raise NotFoundError("There is no such term.", "List the terms to see their ids.")

    async def forget(self, owner: str, term: str) -> Term:
        """Stop using a term, given by its id or the word itself. Raises NotFoundError."""
        found = await self.get(owner, term)
        await write(self._store, PutOp(namespace(KIND, owner), found.id, None))
        return found

    async def list(self, owner: str) -> list[Term]:
        items = await self._store.asearch(namespace(KIND, owner), limit=MAX_TERMS)
        return sorted((Term(**item.value) for item in items), key=lambda term: term.term.lower())
