"""Examples: questions and the scripts that answered them. Saved when the user says so, never by themselves."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from langgraph.store.base import BaseStore

from core.errors import InvalidInputError, NotFoundError
from rag.analysis import terms
from rag.lexical import LexicalIndex
from rag.memory import identifier, namespace

KIND = "examples"
PAGE = 200
MAX_EXAMPLES = 2_000


@dataclass(frozen=True)
class Example:
    """`schema` names the tables and columns that the script reads, for telling whether it fits other data."""

    id: str
    question: str
    script: str
    schema: str
    shared: bool
    owner: str
    saved_at: str


class Examples:
    """Every call carries the owner: nobody reads or changes another's, but everybody reads what is shared."""

    def __init__(self, store: BaseStore) -> None:
        self._store = store

    async def save(
        self, owner: str, question: str, script: str, *, schema: str = "", shared: bool = False, admin: bool = False
    ) -> Example:
        """Call it after the user confirmed. The same question again replaces its script. Only an admin shares.

        Raises InvalidInputError.
        """
        if not question.strip() or not script.strip():
            raise InvalidInputError("An example needs a question and a script.", "Give both.")
        _may_share(shared, admin)
        example = Example(
            id=identifier(owner, question.strip()),
            question=question.strip(),
            script=script.strip(),
            schema=schema.strip(),
            shared=shared,
            owner=owner,
            saved_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        await self._put(example)
        return example

    async def get(self, owner: str, example_id: str) -> Example:
        """The owner's own, or a shared one; NotFoundError for any other."""
        for place in (namespace(KIND, owner), namespace(KIND, None)):
            item = await self._store.aget(place, example_id)
            if item is not None:
                return Example(**item.value)
        raise NotFoundError("There is no such example.", "List your examples to see their ids.")

    async def edit(self, owner: str, example_id: str, **changes: Any) -> Example:
        """Change question, script, schema or, with `admin`, whether it is shared."""
        admin = bool(changes.pop("admin", False))
        old = await self.get(owner, example_id)
        if old.owner != owner and not admin:
            raise NotFoundError("There is no such example of yours.", "List your examples to see their ids.")
        unknown = set(changes) - {"question", "script", "schema", "shared"}
        if unknown:
            raise InvalidInputError(f"{', '.join(sorted(unknown))} cannot be changed.", "Change question or script.")
        if changes.get("shared", old.shared) != old.shared:
            _may_share(True, admin)
        new = Example(**{**asdict(old), **changes})
        await self._remove(old)
        await self._put(new)
        return new

    async def delete(self, owner: str, example_id: str, *, admin: bool = False) -> None:
        old = await self.get(owner, example_id)
        if old.owner != owner and not admin:
            raise NotFoundError("There is no such example of yours.", "List your examples to see their ids.")
        await self._remove(old)

    async def similar(self, owner: str, question: str, *, schema: str = "", count: int = 3) -> list[Example]:
        """The most alike in question, and in schema where one is given; nothing when nothing is alike."""
        examples = await self.list(owner)
        if not examples:
            return []
        index = LexicalIndex.build([{"name": each.question, "text": each.schema} for each in examples])
        weights = dict.fromkeys(terms(question), 1.0)
        shares = sum(index.rarity(term) for term in weights) or 1.0
        scores = index.score(weights) + 0.3 * index.score(dict.fromkeys(terms(schema), 1.0))
        order = sorted(range(len(examples)), key=lambda number: -scores[number])
        held = index.score(weights)
        return [examples[number] for number in order[:count] if held[number] > 0.25 * shares]

    async def list(self, owner: str) -> list[Example]:
        """The owner's own and the shared ones, newest first; also what an export writes."""
        found: dict[str, Example] = {}
        for place in (namespace(KIND, None), namespace(KIND, owner)):
            for offset in range(0, MAX_EXAMPLES, PAGE):
                items = await self._store.asearch(place, limit=PAGE, offset=offset)
                found.update((item.key, Example(**item.value)) for item in items)
                if len(items) < PAGE:
                    break
        return sorted(found.values(), key=lambda example: (example.saved_at, example.id), reverse=True)

    async def _put(self, example: Example) -> None:
        place = namespace(KIND, None if example.shared else example.owner)
        await self._store.aput(place, example.id, asdict(example), index=False)

    async def _remove(self, example: Example) -> None:
        await self._store.adelete(namespace(KIND, None if example.shared else example.owner), example.id)


def _may_share(shared: bool, admin: bool) -> None:
    if shared and not admin:
        raise InvalidInputError("Only an administrator shares examples.", "Save it for yourself, or ask one.")
