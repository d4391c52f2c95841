"""Calls of the ECI API: what their errors mean, and which are tried again."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from provision.provider import NoStockError, ProviderError, ProviderUnavailableError, TokenConflictError

T = TypeVar("T")

log = logging.getLogger(__name__)

NO_STOCK = ("NoStock", "OperationDenied.NoStock", "StockClose", "Zone.NotOnSale")
NOT_FOUND = ("NotFound", "NoFound")
TOKEN_REUSED = ("IdempotentParameterMismatch", "IdempotentParamNotMatch", "Idempotent")
REMEDIES = {
    "Quota": "Delete environments you no longer need, or raise the quota of the cloud account.",
    "Balance": "Top up the cloud account.",
    "Forbidden": "Give the access key the rights for ECI.",
    "AccessKey": "Check ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET.",
    "Signature": "Check ALIBABA_CLOUD_ACCESS_KEY_SECRET and the clock of this machine.",
    "InvalidParameter": "Check the DDB_AGENT_ECI_ settings.",
}


class Calls:
    """Makes a call up to `attempts` times, with pauses that double from `pause` seconds and are spread by chance."""

    def __init__(self, attempts: int, pause: float) -> None:
        self._attempts = attempts
        self._pause = pause

    async def __call__(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        """Raises ProviderError; ProviderUnavailableError when the last attempt failed in a way that may pass."""
        for attempt in range(self._attempts):
            try:
                return await call()
            except Exception as error:
                cause = _cause(error)
                if not _passing(cause):
                    raise _refusal(what, cause) from None
                if attempt + 1 == self._attempts:
                    raise _unavailable(what, cause) from None
                log.info("%s failed and is tried again: %s", what, _described(cause))
                await asyncio.sleep(self._wait(cause, attempt))
        raise AssertionError

    def _wait(self, error: BaseException, attempt: int) -> float:
        longest: float = self._pause * 2.0**attempt
        advised = getattr(error, "retry_after", None)
        least = float(advised) / 1000 if isinstance(advised, int | float) else 0.0
        spread = 0.5 + random.random()  # noqa: S311
        return max(least, longest * spread)


def is_missing(error: ProviderError) -> bool:
    """Whether the group does not exist (any more)."""
    return any(mark in error.code for mark in NOT_FOUND)


def _cause(error: BaseException) -> BaseException:
    """The client wraps what happened."""
    inner = getattr(error, "inner_exception", None) or error.__cause__
    if type(error).__name__ in ("UnretryableException", "RetryError") and isinstance(inner, BaseException):
        return inner
    return error


def _passing(error: BaseException) -> bool:
    import aiohttp

    code, status = _code(error), getattr(error, "status_code", None)
    if isinstance(error, TimeoutError | OSError | aiohttp.ClientError) or type(error).__name__ == "RetryError":
        return True
    if code.startswith("Throttling") or status == 429 or "Throttling" in type(error).__name__:
        return True
    return isinstance(status, int) and status >= 500 and not any(code.startswith(mark) for mark in NO_STOCK)


def _code(error: BaseException) -> str:
    return str(getattr(error, "code", None) or "")


def _described(error: BaseException) -> str:
    text = str(getattr(error, "message", None) or error).strip()
    return f"{_code(error) or type(error).__name__}: {text}" if text else type(error).__name__


def _recommend(error: BaseException) -> str:
    data: Any = getattr(error, "data", None)
    return str(data.get("Recommend") or "") if isinstance(data, dict) else ""


def _refusal(what: str, error: BaseException) -> ProviderError:
    code = _code(error)
    if type(error).__name__ == "CredentialException":
        return ProviderError(f"ECI has no credentials: {error}.", REMEDIES["AccessKey"], code="NoCredentials")
    if not code:
        raise error
    remedy = next((text for mark, text in REMEDIES.items() if mark in code), "")
    kind: type[ProviderError] = ProviderError
    if any(code.startswith(mark) for mark in NO_STOCK):
        kind, remedy = NoStockError, "Try another size, or later."
    elif any(code.startswith(mark) for mark in TOKEN_REUSED):
        kind = TokenConflictError
    return kind(f"ECI refused {what}: {_described(error)}.", remedy, code=code, recommend=_recommend(error))


def _unavailable(what: str, error: BaseException) -> ProviderUnavailableError:
    return ProviderUnavailableError(
        f"ECI did not answer {what}: {_described(error)}.",
        "Try again later.",
        code=_code(error),
        recommend=_recommend(error),
    )
