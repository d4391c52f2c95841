"""Whether a model's endpoint can be used, asked without spending tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.models.errors import Kind, call_error, describe, kind_of
from core.models.fallback import FallbackChatModel

if TYPE_CHECKING:
    from core.models.entries import Role
    from core.models.registry import ModelRegistry

# The client's own errors: only those of chat requests are mapped to LangChain's.
KINDS: dict[str, Kind] = {
    "APIConnectionError": "connection",
    "APITimeoutError": "timeout",
    "AuthenticationError": "authentication",
    "PermissionDeniedError": "permission",
    "RateLimitError": "rate_limit",
}
PROBE_SECONDS = 10.0
# An endpoint without a list of models is no worse for it.
NO_LIST = (404, 405, 501)


async def probe(registry: ModelRegistry, role: Role) -> bool:
    """Asks the role's endpoint for its models. False when it lists some and not this one.

    Raises ModelCallError when it cannot be reached or refuses the key, ConfigurationError when the key is missing.
    """
    model = registry.chat_model(role)
    if not isinstance(model, FallbackChatModel):
        return True
    candidate = model.candidates[0]
    client: Any = getattr(candidate.model, "root_async_client", None)
    if client is None:
        return True
    try:
        listed = await client.models.list(timeout=PROBE_SECONDS)
    except Exception as error:
        status = getattr(error, "status_code", None)
        if status in NO_LIST:
            return True
        kind = KINDS.get(type(error).__name__) or kind_of(error)
        if kind is None:
            raise
        raise call_error(candidate.entry, kind, describe(error, candidate.secret), 1) from None
    names = {each.id for each in listed.data}
    return not names or candidate.entry.model in names
