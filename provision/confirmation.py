"""What a person is asked before money is spent, in the shape of LangChain's human-in-the-loop requests."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from provision.specs import EnvironmentRequest, Price

ACTION = "create_environment"


def confirmation(request: EnvironmentRequest, price: Price, where: str) -> dict[str, Any]:
    """The payload of the interrupt."""
    action = {"name": ACTION, "args": request.model_dump(), "description": description(request, price, where)}
    return {
        "action_requests": [action],
        "review_configs": [{"action_name": ACTION, "allowed_decisions": ["approve", "edit", "reject"]}],
    }


def place(provider: str, region: str) -> str:
    return "this machine" if provider == "local" else f"{provider} {region}"


def description(request: EnvironmentRequest, price: Price, where: str) -> str:
    """For people: what is created, where, for how long and at what price."""
    parts = [f"Create a DolphinDB server with {request.cpu:g} vCPUs and {request.memory:g} GiB on {where}"]
    if request.workspace:
        parts.append("with a workspace")
    parts.append(f"for {request.hours} h" + (" on spot capacity" if request.spot else ""))
    return f"{' '.join(parts)}: {price}."


class EditedRequest(BaseModel):
    model_config = ConfigDict(extra="ignore")

    args: EnvironmentRequest


class Decision(BaseModel):
    """approve, edit with `edited_action`, or reject with an optional `message`."""

    type: Literal["approve", "edit", "reject"]
    edited_action: EditedRequest | None = None
    message: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Decision:
        if self.type == "edit" and self.edited_action is None:
            raise ValueError("a decision of type edit needs edited_action with args")
        return self


class Response(BaseModel):
    """`{"decisions": […]}` with one decision."""

    decisions: list[Decision] = Field(min_length=1, max_length=1)
