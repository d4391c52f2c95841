"""The workspaces of environments, below the application's own address."""

from __future__ import annotations

import re

from starlette.types import Receive, Scope, Send

PLACE = "/environments/{environment_id}/workspace"
_WITHIN = re.compile(r"/environments/[^/]+/workspace/")


def is_workspace(path: str) -> bool:
    """Whether a request is code-server's to answer."""
    return _WITHIN.match(path) is not None


async def workspace_site(scope: Scope, receive: Receive, send: Send) -> None:
    """ASGI application, to be mounted at `PLACE`."""
    proxy = await scope["app"].state.services.workspaces()
    await proxy(scope, receive, send)
