"""Users, tokens and keys, and who a request is from."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from psycopg.errors import UniqueViolation
from starlette.requests import HTTPConnection

from core.errors import ConfigurationError, ConflictError, InvalidInputError, NotFoundError
from core.postgres import Pool
from core.settings import Settings
from server.errors import ForbiddenError, UnauthorizedError
from server.identity import LOCAL, STUDIO_USER, Principal, Role
from server.json import dumps

ALGORITHM = "HS256"
KEY_PREFIX = "ddba_"
MIN_PASSWORD = 10
CACHE_SECONDS = 5.0


class Users:
    """Users in Postgres. Names are matched exactly; passwords are kept as argon2 hashes."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._hasher = PasswordHasher()
        self._nobody = ""

    async def exist(self) -> bool:
        async with self._pool.connection() as held:
            cursor = await held.execute("SELECT 1 FROM users LIMIT 1")
            return await cursor.fetchone() is not None

    async def add(self, name: str, password: str, *, role: Role = "user") -> None:
        _check_name(name)
        hashed = await self._hash(password)
        async with self._pool.connection() as held:
            try:
                await held.execute(
                    "INSERT INTO users (name, password_hash, role) VALUES (%s, %s, %s)", (name, hashed, role)
                )
            except UniqueViolation:
                raise ConflictError(f"There is a user {name} already.", "Use another name.") from None

    async def list(self) -> list[dict[str, Any]]:
        async with self._pool.connection() as held:
            cursor = await held.execute("SELECT name, role, disabled, created_at FROM users ORDER BY name")
            return await cursor.fetchall()

    async def disable(self, name: str, *, disabled: bool = True) -> None:
        """A disabled user's tokens and keys stop working."""
        async with self._pool.connection() as held, held.transaction():
            cursor = await held.execute(
                "UPDATE users SET disabled = %s, updated_at = now() WHERE name = %s RETURNING name", (disabled, name)
            )
            if await cursor.fetchone() is None:
                raise NotFoundError(f"There is no user {name}.")
            await held.execute("DELETE FROM refresh_tokens WHERE user_name = %s", (name,))

    async def set_password(self, name: str, password: str) -> None:
        hashed = await self._hash(password)
        async with self._pool.connection() as held, held.transaction():
            cursor = await held.execute(
                "UPDATE users SET password_hash = %s, updated_at = now() WHERE name = %s RETURNING name", (hashed, name)
            )
            if await cursor.fetchone() is None:
                raise NotFoundError(f"There is no user {name}.")
            await held.execute("DELETE FROM refresh_tokens WHERE user_name = %s", (name,))

    async def verify(self, name: str, password: str) -> Principal:
        """The user by name and password. Takes as long for a name that nobody has."""
        row = await self._row(name)
        if not self._nobody:
            self._nobody = await asyncio.to_thread(self._hasher.hash, secrets.token_hex(16))
        hashed = row["password_hash"] if row is not None else self._nobody
        right = await asyncio.to_thread(self._verify, hashed, password)
        if row is None or not right or row["disabled"]:
            raise UnauthorizedError("The name or the password is wrong.")
        return Principal(row["name"], row["role"])

    async def get(self, name: str) -> Principal | None:
        row = await self._row(name)
        return None if row is None or row["disabled"] else Principal(row["name"], row["role"])

    async def _row(self, name: str) -> dict[str, Any] | None:
        async with self._pool.connection() as held:
            cursor = await held.execute(
                "SELECT name, password_hash, role, disabled FROM users WHERE name = %s", (name,)
            )
            return await cursor.fetchone()

    async def _hash(self, password: str) -> str:
        if len(password) < MIN_PASSWORD or len(password) > 1000:
            raise InvalidInputError(f"A password has {MIN_PASSWORD} to 1000 characters.")
        return await asyncio.to_thread(self._hasher.hash, password)

    def _verify(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False


class Tokens:
    """Short-lived access tokens, refresh tokens that work once, and API keys."""

    def __init__(self, pool: Pool, users: Users, settings: Settings) -> None:
        self._pool = pool
        self._users = users
        self._settings = settings
        self._secret: str | None = settings.token_secret.get_secret_value() if settings.token_secret else None

    async def issue(self, principal: Principal, *, family: str | None = None) -> dict[str, Any]:
        # Imported at the first use, with the cryptography below it: a server without users issues none.
        import jwt

        now = datetime.now(UTC)
        seconds = self._settings.access_token_seconds
        family = family or uuid4().hex
        access = jwt.encode(
            {
                "sub": principal.identity,
                "role": principal.role,
                "jti": uuid4().hex,
                "family": family,
                "iat": now,
                "exp": now + timedelta(seconds=seconds),
            },
            await self._key(),
            algorithm=ALGORITHM,
        )
        refresh = secrets.token_urlsafe(32)
        async with self._pool.connection() as held:
            await held.execute(
                "INSERT INTO refresh_tokens (token_hash, family, user_name, expires_at)"
                " VALUES (%s, %s, %s, now() + make_interval(secs => %s))",
                (_digest(refresh), family, principal.identity, self._settings.refresh_token_seconds),
            )
        return {"access_token": access, "token_type": "bearer", "expires_in": seconds, "refresh_token": refresh}

    async def refresh(self, token: str) -> dict[str, Any]:
        """New tokens for old. A refresh token that comes a second time was stolen: its whole family ends."""
        async with self._pool.connection() as held:
            cursor = await held.execute(
                "UPDATE refresh_tokens SET used_at = now() WHERE token_hash = %s AND used_at IS NULL"
                " AND expires_at > now() RETURNING family, user_name",
                (_digest(token),),
            )
            row = await cursor.fetchone()
            if row is None:
                await held.execute(
                    "DELETE FROM refresh_tokens WHERE family IN"
                    " (SELECT family FROM refresh_tokens WHERE token_hash = %s AND used_at IS NOT NULL)",
                    (_digest(token),),
                )
        principal = await self._users.get(row["user_name"]) if row is not None else None
        if principal is None or row is None:
            raise UnauthorizedError("The refresh token is not valid.", "Log in again.")
        return await self.issue(principal, family=row["family"])

    async def revoke(self, access: str) -> None:
        """Ends an access token and the refresh tokens that came with it."""
        claims = await self._claims(access)
        async with self._pool.connection() as held, held.transaction():
            await held.execute(
                "INSERT INTO revoked_tokens (token_id, expires_at) VALUES (%s, to_timestamp(%s))"
                " ON CONFLICT DO NOTHING",
                (claims["jti"], claims["exp"]),
            )
            await held.execute("DELETE FROM refresh_tokens WHERE family = %s", (claims["family"],))

    async def principal(self, access: str) -> Principal:
        claims = await self._claims(access)
        async with self._pool.connection() as held:
            cursor = await held.execute(
                "SELECT name, role FROM users WHERE name = %s AND NOT disabled"
                " AND NOT EXISTS (SELECT 1 FROM revoked_tokens WHERE token_id = %s)",
                (claims["sub"], claims["jti"]),
            )
            row = await cursor.fetchone()
        if row is None:
            raise UnauthorizedError("The token is not valid any more.", "Log in again.")
        return Principal(row["name"], row["role"])

    async def make_key(self, owner: str, label: str) -> dict[str, Any]:
        """A new API key; it is shown this once."""
        key = KEY_PREFIX + secrets.token_urlsafe(32)
        async with self._pool.connection() as held:
            cursor = await held.execute(
                "INSERT INTO api_keys (key_id, key_hash, user_name, label) VALUES (%s, %s, %s, %s)"
                " RETURNING key_id, label, created_at",
                (uuid4().hex, _digest(key), owner, label),
            )
            row = await cursor.fetchone()
        assert row is not None
        return {**row, "key": key}

    async def keys(self, owner: str) -> list[dict[str, Any]]:
        async with self._pool.connection() as held:
            cursor = await held.execute(
                "SELECT key_id, label, created_at, last_used_at FROM api_keys WHERE user_name = %s ORDER BY created_at",
                (owner,),
            )
            return await cursor.fetchall()

    async def delete_key(self, owner: str, key_id: str) -> None:
        async with self._pool.connection() as held:
            cursor = await held.execute(
                "DELETE FROM api_keys WHERE user_name = %s AND key_id = %s RETURNING key_id", (owner, key_id)
            )
            if await cursor.fetchone() is None:
                raise NotFoundError(f"There is no API key {key_id}.")

    async def key_principal(self, key: str) -> Principal:
        async with self._pool.connection() as held:
            cursor = await held.execute(
                "SELECT u.name, u.role, k.key_id, k.last_used_at < now() - interval '1 minute'"
                " OR k.last_used_at IS NULL AS stale FROM api_keys k JOIN users u ON u.name = k.user_name"
                " WHERE k.key_hash = %s AND NOT u.disabled",
                (_digest(key),),
            )
            row = await cursor.fetchone()
            if row is None:
                raise UnauthorizedError("The API key is not valid.")
            if row["stale"]:
                await held.execute("UPDATE api_keys SET last_used_at = now() WHERE key_id = %s", (row["key_id"],))
        return Principal(row["name"], row["role"])

    async def _claims(self, access: str) -> dict[str, Any]:
        import jwt

        try:
            return jwt.decode(
                access, await self._key(), algorithms=[ALGORITHM], options={"require": ["exp", "sub", "jti"]}
            )
        except jwt.InvalidTokenError:
            raise UnauthorizedError("The token is not valid.", "Log in or refresh it.") from None

    async def _key(self) -> str:
        if self._secret is None:
            async with self._pool.connection() as held:
                await held.execute(
                    "INSERT INTO server_secrets (name, value) VALUES ('token', %s) ON CONFLICT DO NOTHING",
                    (secrets.token_hex(32),),
                )
                cursor = await held.execute("SELECT value FROM server_secrets WHERE name = 'token'")
                row = await cursor.fetchone()
            assert row is not None
            self._secret = str(row["value"])
        return self._secret


class Authenticator:
    """Who a request is from. Without users everybody on loopback is the one local user, an administrator."""

    def __init__(self, users: Users, tokens: Tokens, *, local: bool, hook: Any = None, studio: bool = False) -> None:
        self._users = users
        self._tokens = tokens
        self._local = local
        self._hook = hook
        self._studio = studio

    async def __call__(self, request: Any) -> Principal:
        if self._hook is not None:
            if self._studio and self._local and request.headers.get("x-auth-scheme") == "langsmith":
                return Principal(STUDIO_USER, permissions=["authenticated"])
            return await _hooked(self._hook, request)
        return await self.from_headers(request.headers)

    async def from_headers(self, headers: Mapping[str, str]) -> Principal:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        key = headers.get("x-api-key", "")
        if scheme.lower() == "bearer" and token.startswith(KEY_PREFIX):
            key, token = token, ""
        if self._local:
            # Clients send the key of another service here unasked; it is not for us.
            return Principal(LOCAL, "admin")
        if scheme.lower() == "bearer" and token:
            return await self._tokens.principal(token.strip())
        if key:
            return await self._tokens.key_principal(key)
        raise UnauthorizedError("Log in first.", "Send a bearer token of POST /auth/token, or an API key as X-Api-Key.")


_HOOK_GIVES = {
    "request", "headers", "authorization", "method", "path", "path_params", "query_params", "body", "scope", "scopes",
    "user",
}  # fmt: skip


async def _hooked(hook: Any, request: HTTPConnection) -> Principal:
    """Runs the `authenticate` handler of a LangGraph `Auth` object."""
    from langgraph_sdk.auth.exceptions import HTTPException

    handler = hook._authenticate_handler
    known = {
        "request": request,
        "headers": {name.encode(): value.encode() for name, value in request.headers.items()},
        "authorization": request.headers.get("authorization"),
        "method": request.scope.get("method", "GET"),
        "path": request.url.path,
        "path_params": request.path_params,
        "query_params": dict(request.query_params),
        "scope": request.scope,
        "scopes": [],
    }
    arguments = {name: known.get(name) for name in inspect.signature(handler).parameters if name in _HOOK_GIVES}
    try:
        if inspect.iscoroutinefunction(handler):
            found = await handler(**arguments)
        else:
            found = await asyncio.to_thread(handler, **arguments)
    except HTTPException as error:
        refusal = UnauthorizedError if error.status_code == 401 else ForbiddenError
        raise refusal(str(error.detail)) from error
    except AssertionError as error:
        raise UnauthorizedError(str(error) or "Log in first.") from error
    permissions: Any = None
    if isinstance(found, tuple) and len(found) == 2:
        permissions, found = found
    fields = {"identity": found} if isinstance(found, str) else _user_fields(found)
    if not fields.get("identity"):
        raise ConfigurationError("The auth handler gave no identity.")
    more = {key: value for key, value in fields.items() if key not in ("identity", "role", "permissions")}
    return Principal(
        str(fields["identity"]),
        "admin" if fields.get("role") == "admin" else "user",
        list(permissions or fields.get("permissions") or []),
        orjson.loads(dumps(more)),
    )


def _user_fields(found: Any) -> dict[str, Any]:
    """What a handler says of the user: a mapping, or an object with attributes."""
    if isinstance(found, Mapping):
        return dict(found)
    if hasattr(found, "model_dump"):
        dumped: dict[str, Any] = found.model_dump()
        return dumped
    given = {name: value for name, value in getattr(found, "__dict__", {}).items() if not name.startswith("_")}
    for name in ("identity", "role", "permissions", "display_name"):
        if hasattr(found, name):
            given[name] = getattr(found, name)
    return given


def check_hook(hook: Any) -> Any:
    """A LangGraph `Auth` object that this server can honour."""
    handler = getattr(hook, "_authenticate_handler", None)
    if handler is None:
        raise ConfigurationError("auth.path names no Auth object with an authenticate handler.")
    for name, parameter in inspect.signature(handler).parameters.items():
        if name not in _HOOK_GIVES and parameter.default is inspect.Parameter.empty:
            raise ConfigurationError(
                f"The authenticate handler of auth.path wants {name!r}, which this server does not give.",
                f"It gives: {', '.join(sorted(_HOOK_GIVES))}.",
            )
    return hook


def _check_name(name: str) -> None:
    if not name or len(name) > 100 or not name.isprintable() or name != name.strip() or name == LOCAL:
        raise InvalidInputError(f"A user's name has 1 to 100 printable characters and is not {LOCAL!r}.")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
