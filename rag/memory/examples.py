"""Examples: questions and the scripts that answered them. Saved when the user says so, never by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from langgraph.store.base import BaseStore, PutOp

from core.errors import ConflictError, InvalidInputError, NotFoundError
from dolphin.script import parse
from dolphin.script.builtin_names import BUILTIN_NAMES
from dolphin.script.errors import ScriptSyntaxError
from dolphin.script.syntax import Name, walk
from rag.analysis import terms
from rag.lexical import LexicalIndex
from rag.memory import identifier, namespace, write
from rag.memory.texts import checked

KIND = "examples"
PAGE = 200
MAX_EXAMPLES = 2_000
MAX_QUESTION, MAX_SCRIPT, MAX_SCHEMA = 2_000, 20_000, 4_000
# The part of a question's words, weighted by their rarity, that an example must share to be like it.
LIKENESS = 0.4
MAX_NAMES = 40
SCHEMA_WEIGHT = 0.3


class ForbiddenError(InvalidInputError):
    """Something only an administrator may do."""

    status = 403


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
    """Every call carries the owner: nobody reads or changes another's, but everybody reads what is shared.

    With `admin`, what is shared can be changed too.
    """

    def __init__(self, store: BaseStore) -> None:
        self._store = store

    async def save(
        self, owner: str, question: str, script: str, *, schema: str = "", shared: bool = False, admin: bool = False
    ) -> Example:
        """Call it after the user confirmed. The same question again replaces its script. Only an admin shares. Without
        a `schema` the names in the script stand for it.

        Raises InvalidInputError, ForbiddenError, and ConflictError when there are too many.
        """
        question, script, schema = _checked(question, script, schema)
        _may_share(shared, admin)
        known = await self._find(owner, identifier(owner, question))
        if known is None:
            await self._check_room(owner)
        example = Example(
            id=identifier(owner, question),
            question=question,
            script=script,
            schema=schema or ", ".join(_names(script)),
            shared=shared,
            owner=owner,
            saved_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        if known is not None and known.shared and not shared:
            if not admin:
                raise ForbiddenError("This example is shared; only an administrator changes it.")
            example = Example(**{**asdict(example), "shared": True})
        await write(self._store, _put(example))
        return example

    async def get(self, owner: str, example_id: str) -> Example:
        """The owner's own, or a shared one; NotFoundError for any other."""
        found = await self._find(owner, example_id)
        if found is None:
            raise NotFoundError("There is no such example.", "List your examples to see their ids.")
        return found

    async def edit(
        self,
        owner: str,
        example_id: str,
        *,
        question: str | None = None,
        script: str | None = None,
        schema: str | None = None,
        shared: bool | None = None,
        admin: bool = False,
    ) -> Example:
        """Change what is given. What is shared, and whether something is, only an admin changes."""
        old = await self._own(owner, example_id, admin)
        values = _checked(
            old.question if question is None else question,
            old.script if script is None else script,
            old.schema if schema is None else schema,
        )
        sharing = old.shared if shared is None else shared
        _may_share(sharing != old.shared, admin)
        new = Example(old.id, *values, sharing, old.owner, old.saved_at)
        moved = [_remove(old)] if sharing != old.shared else []
        await write(self._store, *moved, _put(new))
        return new

    async def delete(self, owner: str, example_id: str, *, admin: bool = False) -> None:
        await write(self._store, _remove(await self._own(owner, example_id, admin)))

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

    async def _find(self, owner: str, example_id: str) -> Example | None:
        for place in (namespace(KIND, owner), namespace(KIND, None)):
            item = await self._store.aget(place, example_id)
            if item is not None:
                return Example(**item.value)
        return None

    async def _own(self, owner: str, example_id: str, admin: bool) -> Example:
        found = await self.get(owner, example_id)
        if not admin and (found.owner != owner or found.shared):
            if found.owner != owner:
                raise NotFoundError("There is no such example of yours.", "List your examples to see their ids.")
            raise ForbiddenError("This example is shared; only an administrator changes it.", "Ask one.")
        return found

    async def _check_room(self, owner: str) -> None:
        if await self._store.asearch(namespace(KIND, owner), limit=1, offset=MAX_EXAMPLES - 1):
            raise ConflictError(f"You have {MAX_EXAMPLES} examples, which is all there can be.", "Delete some.")


class ExampleIndex:
    """Examples by likeness of their question, then of their schema."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = {example.id: example for example in examples}
        self._all = list(examples)
        self._words = [frozenset(terms(example.question)) for example in examples]
        self._index = LexicalIndex.build([{"name": each.question, "text": each.schema} for each in examples])

    def similar(self, question: str, *, schema: str = "", count: int = 3) -> list[Example]:
        """The most alike, best first; none when none is alike."""
        asked = frozenset(terms(question))
        if not self._all or not asked:
            return []
        weights = {term: self._index.rarity(term) for term in asked}
        total = sum(weights.values())
        shares = [sum(weights[term] for term in asked & words) / total for words in self._words]
        scores = self._index.score(dict.fromkeys(asked, 1.0))
        if schema:
            scores = scores + SCHEMA_WEIGHT * self._index.score(dict.fromkeys(terms(schema), 1.0))
        alike = [number for number, share in enumerate(shares) if share >= LIKENESS]
        return [self._all[number] for number in sorted(alike, key=lambda number: -scores[number])[:count]]


def _checked(question: str, script: str, schema: str) -> tuple[str, str, str]:
    texts = (
        checked("question", question, MAX_QUESTION),
        checked("script", script, MAX_SCRIPT),
        checked("schema", schema, MAX_SCHEMA),
    )
    if not texts[0] or not texts[1]:
        raise InvalidInputError("An example needs a question and a script.", "Give both.")
    return texts


def _names(script: str) -> list[str]:
    """The tables, columns and variables of a script; none of one that does not parse."""
    try:
        nodes = walk(parse(script))
    except ScriptSyntaxError:
        return []
    found = dict.fromkeys(node.id for node in nodes if isinstance(node, Name) and node.id not in BUILTIN_NAMES)
    return list(found)[:MAX_NAMES]


def _put(example: Example) -> PutOp:
    place = namespace(KIND, None if example.shared else example.owner)
    return PutOp(place, example.id, asdict(example), index=False)


def _remove(example: Example) -> PutOp:
    return PutOp(namespace(KIND, None if example.shared else example.owner), example.id, None)


def _may_share(changes: bool, admin: bool) -> None:
    if changes and not admin:
        raise ForbiddenError("Only an administrator shares examples.", "Save it for yourself, or ask one.")
