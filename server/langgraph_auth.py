"""The same users under LangGraph's own server: name this file as `auth.path` in langgraph.json.

"auth": {"path": "./server/langgraph_auth.py:auth"}
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from langgraph_sdk import Auth

from core.errors import UserError
from core.migrations import migrate
from core.postgres import Pool, database_url, open_pool
from core.settings import load_settings
from server.auth import Authenticator, Tokens, Users

auth = Auth()

_opened: dict[asyncio.AbstractEventLoop, Authenticator] = {}
_opening = asyncio.Lock()
_open_for_good = AsyncExitStack()


async def _authenticator() -> Authenticator:
    """Opened once per event loop; it lives as long as the process."""
    loop = asyncio.get_running_loop()
    if loop not in _opened:
        async with _opening:
            if loop not in _opened:
                settings = await asyncio.to_thread(load_settings)
                pool: Pool = await _open_for_good.enter_async_context(
                    open_pool(partial(database_url, settings), max_size=4)
                )
                await migrate(pool)
                users = Users(pool)
                _opened[loop] = Authenticator(users, Tokens(pool, users, settings), local=False)
    return _opened[loop]


@auth.authenticate
async def authenticate(headers: dict[bytes, bytes]) -> Auth.types.MinimalUserDict:
    """The user of a bearer token or an API key, as the program's own server tells them."""
    authenticator = await _authenticator()
    found = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers.items()}
    try:
        principal = await authenticator.from_headers(found)
    except UserError as error:
        raise Auth.exceptions.HTTPException(status_code=error.status, detail=str(error)) from error
    return {
        "identity": principal.identity,
        "display_name": principal.identity,
        "is_authenticated": True,
        "permissions": [principal.role],
    }


@auth.on
async def owned(ctx: Auth.types.AuthContext, value: Any) -> dict[str, str]:
    """Everybody sees and changes only what is their own."""
    owner = {"owner": ctx.user.identity}
    if isinstance(value, dict):
        value.setdefault("metadata", {}).update(owner)
    return owner


@auth.on.store()
async def own_items(ctx: Auth.types.AuthContext, value: Any) -> None:
    """Items of the store lie under the user's own namespace."""
    namespace = tuple(value.get("namespace") or ())
    if not namespace or namespace[0] != ctx.user.identity:
        value["namespace"] = (ctx.user.identity, *namespace)
