"""Requests to the human and the answers to them, in the shape of LangChain's human-in-the-loop requests."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import TypedDict

from graph.state import Decision

DecisionType: TypeAlias = Literal["approve", "edit", "reject", "respond"]


class ActionRequest(TypedDict):
    """`name` and `args` are those of the tool call; `description` is for people."""

    name: str
    args: dict[str, Any]
    description: str


class ReviewConfig(TypedDict):
    action_name: str
    allowed_decisions: list[DecisionType]


class ReviewRequest(TypedDict):
    """The payload of every interrupt. The two lists run in parallel."""

    action_requests: list[ActionRequest]
    review_configs: list[ReviewConfig]


class EditedAction(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str = ""
    args: dict[str, Any]


class HumanDecision(BaseModel):
    """One of: approve; edit with `edited_action`; reject with an optional `message`; respond with a `message`."""

    type: DecisionType
    edited_action: EditedAction | None = None
    message: str = ""

    @model_validator(mode="after")
    def _complete(self) -> HumanDecision:
        if self.type == "edit" and self.edited_action is None:
            raise ValueError("a decision of type edit needs edited_action with args")
        if self.type == "respond" and not self.message.strip():
            raise ValueError("a decision of type respond needs a message")
        return self

    def as_decision(self) -> Decision:
        decision = Decision(type=self.type, message=self.message)
        if self.edited_action is not None:
            decision["args"] = self.edited_action.args
        return decision


class HumanResponse(BaseModel):
    """`{"decisions": […]}`, one decision per action request, in order. A bare text responds to everything."""

    decisions: list[HumanDecision] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _from_short_forms(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"decisions": [{"type": "respond", "message": value}]}
        if isinstance(value, list):
            return {"decisions": value}
        return value


def response_schema(request: ReviewRequest) -> type[HumanResponse]:
    """A response model that accepts only answers which fit `request`."""
    configs = request["review_configs"]

    class Response(HumanResponse):
        __doc__ = HumanResponse.__doc__

        @model_validator(mode="after")
        def _fits(self) -> Response:
            if len(self.decisions) != len(configs):
                raise ValueError(f"{len(configs)} decisions are needed, got {len(self.decisions)}")
            for decision, config in zip(self.decisions, configs, strict=True):
                if decision.type not in config["allowed_decisions"]:
                    allowed = ", ".join(config["allowed_decisions"])
                    raise ValueError(f"{config['action_name']} allows {allowed}, not {decision.type}")
            return self

    Response.__name__ = Response.__qualname__ = "HumanResponse"
    return Response


def review(*items: tuple[ActionRequest, list[DecisionType]]) -> ReviewRequest:
    """A request from pairs of action and allowed decisions."""
    return ReviewRequest(
        action_requests=[action for action, _ in items],
        review_configs=[
            ReviewConfig(action_name=action["name"], allowed_decisions=allowed) for action, allowed in items
        ],
    )
