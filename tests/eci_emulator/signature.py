"""ACS3-HMAC-SHA256 as the API's documentation describes it, checked from the raw request."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

from eci_emulator.faults import ApiError

AUTHORIZATION = re.compile(r"ACS3-HMAC-SHA256 Credential=([^,]+),\s*SignedHeaders=([^,]+),\s*Signature=([0-9a-f]{64})$")
CLOCK_SKEW = timedelta(minutes=15)


def check(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    secrets: Mapping[str, str],
    nonces: set[str],
) -> None:
    """Raises ApiError like the gateway does."""
    lower = {name.lower(): value for name, value in headers.items()}
    found = AUTHORIZATION.match(lower.get("authorization", ""))
    if found is None:
        raise ApiError(400, "MissingAuthorization", "The Authorization header is missing or malformed.")
    key, signed, signature = found.groups()
    if key not in secrets:
        raise ApiError(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
    names = signed.split(";")
    needed = {"host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"}
    if not needed <= set(names) or names != sorted(names):
        raise ApiError(400, "IncompleteSignature", "Headers that must be signed are not.")
    if hashlib.sha256(body).hexdigest() != lower["x-acs-content-sha256"]:
        raise ApiError(400, "SignatureDoesNotMatch", "The body does not have the hash that was signed.")
    when = datetime.strptime(lower["x-acs-date"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    if abs(datetime.now(UTC) - when) > CLOCK_SKEW:
        raise ApiError(400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")
    nonce = lower["x-acs-signature-nonce"]
    if nonce in nonces:
        raise ApiError(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
    nonces.add(nonce)
    parameters = sorted(parse_qsl(query, keep_blank_values=True))
    canonical = "\n".join(
        [
            method,
            path,
            "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in parameters),
            *(f"{name}:{lower[name].strip()}" for name in names),
            "",
            signed,
            lower["x-acs-content-sha256"],
        ]
    )
    text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    wanted = hmac.new(secrets[key].encode(), text.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted, signature):
        raise ApiError(400, "SignatureDoesNotMatch", "Specified signature does not match our calculation.")
