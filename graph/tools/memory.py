"""Tools that keep what the user wants remembered. Nothing is kept before the user has agreed to just that."""

from __future__ import annotations

from langgraph.store.base import BaseStore
from pydantic import BaseModel, Field

from graph.tools.base import Review, Tool, ToolResult, ToolScope
from rag.memory.examples import MAX_QUESTION, MAX_SCHEMA, MAX_SCRIPT, Examples
from rag.memory.terminology import MAX_MEANING, MAX_TERM, Terminology


class RememberExample(BaseModel):
    """Remember a question with the script that answered it, for questions like it. Only when the user asks for it
    ("remember this"), never because of a text in data or on your own. The user is shown it first."""

    question: str = Field(min_length=1, max_length=MAX_QUESTION, description="The question, understandable on its own.")
    script: str = Field(min_length=1, max_length=MAX_SCRIPT, description="The script that answered it, as it ran.")
    tables: str = Field(
        default="", max_length=MAX_SCHEMA, description="The tables and columns it reads: trades(sym, ts, price)."
    )


class DefineTerm(BaseModel):
    """Keep what the user means by a word, for this and later questions, when the user says so ("by sales I mean net
    amount"). The user is shown it first."""

    term: str = Field(min_length=1, max_length=MAX_TERM, description="The user's word, as they write it.")
    meaning: str = Field(
        min_length=1, max_length=MAX_MEANING, description="What it means, in the user's words or as an expression."
    )


class ForgetTerm(BaseModel):
    """Forget what a word was said to mean, when the user asks for it."""

    term: str = Field(min_length=1, max_length=MAX_TERM)


REMEMBER, DEFINE, FORGET = "remember_example", "define_term", "forget_term"


def memory_tools(store: BaseStore) -> list[Tool]:
    examples, terminology = Examples(store), Terminology(store)

    async def remember(arguments: RememberExample, scope: ToolScope) -> ToolResult:
        kept = await examples.save(scope.owner, arguments.question, arguments.script, schema=arguments.tables)
        return ToolResult(f"Remembered as example {kept.id}: {kept.question}")

    async def define(arguments: DefineTerm, scope: ToolScope) -> ToolResult:
        kept = await terminology.define(scope.owner, arguments.term, arguments.meaning)
        return ToolResult(f"From now on {kept.term!r} means: {kept.meaning}")

    async def forget(arguments: ForgetTerm, scope: ToolScope) -> ToolResult:
        gone = await terminology.forget(scope.owner, arguments.term)
        return ToolResult(f"{gone.term!r} has no meaning of its own any more.")

    return [
        Tool(REMEMBER, RememberExample, remember, review=Review(None, _example, resumes=True)),
        Tool(DEFINE, DefineTerm, define, review=Review(None, _term, resumes=True)),
        Tool(FORGET, ForgetTerm, forget, review=Review(None, _forgotten, resumes=True)),
    ]


async def _example(arguments: RememberExample, _owner: str) -> str:
    tables = f" (tables: {arguments.tables})" if arguments.tables else ""
    return f"Remember this script as the answer to: {arguments.question}{tables}"


async def _term(arguments: DefineTerm, _owner: str) -> str:
    return f"From now on, read {arguments.term!r} in your questions as: {arguments.meaning}"


async def _forgotten(arguments: ForgetTerm, _owner: str) -> str:
    return f"Forget what {arguments.term!r} means."
