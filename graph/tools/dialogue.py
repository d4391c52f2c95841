"""Tools by which the model talks to the human. They have no code: the graph routes them."""

from __future__ import annotations

from pydantic import BaseModel, Field

from graph.tools.base import Tool


class AskForHumanFeedback(BaseModel):
    """Ask the user a question when you cannot go on without their answer: an ambiguous table or column, a missing
    choice, a decision that is theirs. Ask one clear question."""

    question: str = Field(description="The question, in the user's language.")
    options: list[str] = Field(default_factory=list, description="Short answers to choose from, if there are any.")


class PlanStepArguments(BaseModel):
    title: str
    detail: str = ""


class PlanModeResponse(BaseModel):
    """Present your plan for the user's approval, or ask what you must know before you can plan. Nothing is carried
    out before the user approves."""

    plan: str = Field(description="The plan in a few sentences, in the user's language.")
    steps: list[PlanStepArguments] = Field(default_factory=list, description="The steps, in order.")
    question: str = Field(default="", description="A question to the user instead of a plan to approve.")
    needs_more_exploration: bool = Field(
        default=False, description="True to go on looking around first; the plan is then only a note."
    )


class AttemptCompletion(BaseModel):
    """End the task with its answer. Call it alone, after you have seen the results that the answer rests on."""

    answer: str = Field(description="The answer for the user, in the user's language, with the numbers that matter.")
    script: str = Field(default="", description="The script that produced the answer, if there is one.")
    artifact_ids: list[str] = Field(default_factory=list, description="Artifacts that belong to the answer.")


ASK = "ask_for_human_feedback"
PLAN = "plan_mode_response"
COMPLETE = "attempt_completion"


def dialogue_tools() -> list[Tool]:
    return [Tool(ASK, AskForHumanFeedback), Tool(PLAN, PlanModeResponse), Tool(COMPLETE, AttemptCompletion)]
