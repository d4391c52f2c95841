"""Failed model calls in words a user can act on, free of keys."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
    ModelTimeoutError,
)

from core.errors import UserError
from core.models.entries import ModelEntry

Kind = Literal[
    "authentication", "permission", "not_found", "invalid_request", "context", "rate_limit", "server", "connection",
    "timeout", "cut",
]  # fmt: skip

RETRYABLE: frozenset[Kind] = frozenset({"rate_limit", "server", "connection", "timeout", "cut"})

_SECRET = re.compile(r"(?i)\b(?:sk|pk|key|bearer)[-_ ][\w*.~+/-]{6,}=*")
_MAX_DETAIL = 300


class ModelCallError(UserError):
    """A chat model gave no answer. `kind` says why, `model` is the name of the entry."""

    status: ClassVar[int] = 502

    def __init__(self, message: str, remedy: str = "", *, model: str, kind: Kind) -> None:
        super().__init__(message, remedy)
        self.model = model
        self.kind = kind


class StreamCutError(Exception):
    """The stream of an answer ended without saying that it is finished."""


def kind_of(error: Exception) -> Kind | None:
    """Why a call failed; None for what is no failure of the call but a bug."""
    if isinstance(error, StreamCutError):
        return "cut"
    classes: tuple[tuple[type[Exception], Kind], ...] = (
        (ContextOverflowError, "context"),
        (ModelAuthenticationError, "authentication"),
        (ModelPermissionDeniedError, "permission"),
        (ModelNotFoundError, "not_found"),
        (ModelInvalidRequestError, "invalid_request"),
        (ModelRateLimitError, "rate_limit"),
        (ModelAPIError, "server"),
        (ModelTimeoutError, "timeout"),
        (TimeoutError, "timeout"),
        (ModelConnectionError, "connection"),
    )
    for type_, kind in classes:
        if isinstance(error, type_):
            return kind
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        return "server" if status >= 500 or status in (408, 409) else "invalid_request"
    return "server" if type(error).__module__.startswith("openai") or _is_transport(error) else None


def _is_transport(error: Exception) -> bool:
    return type(error).__module__.split(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2")


def redact(text: str, key: str | None = None) -> str:
    """`text` without the key and without anything that looks like one, on one line, cut to a readable length."""
    if key:
        text = text.replace(key, "[key]")
    text = " ".join(_SECRET.sub("[key]", text).split())
    return text if len(text) <= _MAX_DETAIL else text[:_MAX_DETAIL] + "…"


def describe(error: Exception, key: str | None = None) -> str:
    body = getattr(error, "body", None)
    message = body.get("message") if isinstance(body, dict) else None
    return redact(str(message or getattr(error, "message", None) or error or type(error).__name__), key)


def call_error(entry: ModelEntry, kind: Kind, detail: str, attempts: int) -> ModelCallError:
    model = f"The model {entry.name} ({entry.model} at {entry.base_url})"
    tried = f" after {attempts} attempts" if attempts > 1 else ""
    sentences: dict[Kind, tuple[str, str]] = {
        "authentication": (
            "refused the key",
            f"Put a valid key into the environment variable {entry.key_variable}."
            if entry.key_variable
            else "Set api_key_env of this model to the environment variable that holds its key.",
        ),
        "permission": ("does not allow this request", "Use a key with access to the model, or another model."),
        "not_found": ("does not know the model or the address", "Correct model and base_url in the model file."),
        "invalid_request": ("refused the request", "Check that the model supports tool calls and streaming."),
        "context": (
            "was given more than fits its context",
            "Lower context_tokens of this model, or start a new thread.",
        ),
        "rate_limit": (f"is rate-limited{tried}", "Wait, raise the limit with the provider, or add fallbacks."),
        "server": (f"failed{tried}", "Try again later, or add fallbacks to the model file."),
        "connection": (f"cannot be reached{tried}", "Check base_url and the network, or add fallbacks."),
        "timeout": (f"did not answer in time{tried}", "Raise timeout in the model file, or add fallbacks."),
        "cut": (f"broke off its answer{tried}", "Try again later, or add fallbacks to the model file."),
    }
    sentence, remedy = sentences[kind]
    return ModelCallError(f"{model} {sentence}: {detail.rstrip('.')}.", remedy, model=entry.name, kind=kind)
