"""What a tool of the agent is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel, ValidationError

from core.errors import UserError
from dolphin.environment import Environment
from dolphin.script.effects import Effect
from provision.records import EnvironmentRecord


@dataclass(frozen=True)
class ToolScope:
    """Where a call runs: whose, on which thread, against which environment: `reference` is what the thread holds,
    `environment()` what it means now. `call_key` is the same when a call is sent again after a kill, and no other
    call's. `continued` tells that the thread has run scripts there before, so that its model may count on their
    variables."""

    owner: str
    thread_id: str
    reference: str
    environment: Callable[[], Awaitable[Environment]]
    timeout: float
    call_key: str
    continued: bool = False


@dataclass(frozen=True)
class ToolResult:
    """`content` is for the model; `artifacts` are the ids of what was kept for the user; `environment` is what the
    thread is bound to from now on."""

    content: str
    artifacts: list[str] = field(default_factory=list)
    environment: str | None = None


@dataclass(frozen=True)
class Review:
    """For a tool whose call a person must agree to unless the policy allows `effect`; with None no policy does.
    `describe` says what a call of this owner would do; it raises UserError for one that cannot be carried out. With
    `resumes`, a call that is sent again after a kill goes on where it stopped; any other is entered in the ledger."""

    effect: Effect | None
    describe: Callable[[Any, str], Awaitable[str]]
    resumes: bool = False


def everywhere(_environment: EnvironmentRecord | None) -> bool:
    return True


@dataclass(frozen=True)
class Tool:
    """One tool. `arguments` is its schema; the schema's docstring is what the model reads.

    `script` gives the DolphinDB script a call would run: it is what the approval gate judges. `review` is for calls
    that change something else. Without `run`, the graph itself answers the call. `available` tells whether the model
    has the tool on a thread that works in this environment, None being the default one. With `moves`, a call may change
    what the thread works in: those before it in a reply run first, and those after it not at all. A tool `for_renters`
    is not shown to the model as long as its user has no environment.
    """

    name: str
    arguments: type[BaseModel]
    run: Callable[[Any, ToolScope], Awaitable[ToolResult]] | None = None
    script: Callable[[Any], str] | None = None
    review: Review | None = None
    available: Callable[[EnvironmentRecord | None], bool] = everywhere
    moves: bool = False
    for_renters: bool = False

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The tool in OpenAI's function format."""
        described = convert_to_openai_tool(self.arguments)
        described["function"]["name"] = self.name
        return described

    def parse(self, arguments: dict[str, Any]) -> BaseModel:
        """Validated arguments; raises UserError that says what is wrong with which one."""
        try:
            return self.arguments.model_validate(arguments)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(str(part) for part in item['loc']) or 'arguments'}: {item['msg']}"
                for item in error.errors(include_url=False)
            )
            raise UserError(
                f"The arguments of {self.name} are wrong: {problems}.", "Call it again, corrected."
            ) from None
