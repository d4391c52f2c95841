"""Every route of the server and who may use it.

`own` is what the owner of the things in the path is answered, `other` what other users are answered about them,
administrators too where `admin` says nothing else, `nobody` those who say not who they are. Names in braces are those
of the owner's things.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Right:
    """`own` is None where another test makes what is needed. Of what is `endless` only the status is read."""

    own: int | None = 200
    other: int = 404
    admin: int | None = None
    nobody: int = 401
    body: Any = None
    params: dict[str, str] = field(default_factory=dict)
    endless: bool = False


def everybody(**options: Any) -> Right:
    """A route about nobody's things in particular: each sees or makes their own."""
    return Right(**{"other": 200, **options})


RUN = {"assistant_id": "echo", "input": {"text": "x"}}
OWN_RUN = {**RUN, "assistant_id": "{assistant_id}"}
CRON = {**RUN, "schedule": "0 0 1 1 *"}
SUPERSTEPS = [{"updates": [{"values": {"text": "x"}, "as_node": "echo"}]}]

RIGHTS: dict[str, Right] = {
    "GET /": everybody(nobody=200),
    "GET /ok": everybody(nobody=200),
    "GET /info": everybody(nobody=200),
    "GET /metrics": everybody(nobody=200),
    "GET /openapi.json": everybody(nobody=200),
    "GET /docs": everybody(nobody=200),
    "GET /docs/oauth2-redirect": everybody(nobody=200),
    "GET /usage": Right(params={"owner": "{owner}"}, other=403, admin=200),
    "POST /auth/token": everybody(own=422, other=422, nobody=422),
    "POST /auth/refresh": everybody(own=401, other=401, body={"refresh_token": "x"}),
    # With an API key, as here, there is no token to revoke.
    "POST /auth/revoke": everybody(own=422, other=422),
    "GET /auth/me": everybody(),
    "POST /auth/keys": everybody(body={"label": "x"}),
    "GET /auth/keys": everybody(),
    "DELETE /auth/keys/{key_id}": Right(204),
    "POST /assistants": everybody(body={"graph_id": "echo"}),
    "POST /assistants/search": everybody(body={"limit": 1000}),
    "POST /assistants/count": everybody(body={}),
    "GET /assistants/{assistant_id}": Right(),
    "PATCH /assistants/{assistant_id}": Right(body={"description": "x"}),
    "GET /assistants/{assistant_id}/graph": Right(),
    "GET /assistants/{assistant_id}/schemas": Right(),
    "GET /assistants/{assistant_id}/subgraphs": Right(),
    "GET /assistants/{assistant_id}/subgraphs/{namespace}": Right(),
    "POST /assistants/{assistant_id}/versions": Right(body={}),
    "POST /assistants/{assistant_id}/latest": Right(body={"version": 1}),
    "POST /threads": everybody(body={}),
    "POST /threads/search": everybody(body={"limit": 1000}),
    "POST /threads/count": everybody(body={}),
    "POST /threads/prune": everybody(body={"thread_ids": ["{thread_id}"], "strategy": "keep_latest"}),
    "GET /threads/{thread_id}": Right(),
    "PATCH /threads/{thread_id}": Right(body={"metadata": {"seen": True}}),
    "POST /threads/{thread_id}/copy": Right(),
    "GET /threads/{thread_id}/storage": Right(),
    "GET /threads/{thread_id}/state": Right(),
    "GET /threads/{thread_id}/state/{checkpoint_id}": Right(),
    "POST /threads/{thread_id}/state/checkpoint": Right(body={"checkpoint": {"checkpoint_id": "{checkpoint_id}"}}),
    "PATCH /threads/{thread_id}/state": Right(body={"metadata": {"seen": True}}),
    "POST /threads/{thread_id}/state": Right(body={"values": {"text": "x"}}),
    "GET /threads/{thread_id}/history": Right(),
    "POST /threads/{thread_id}/history": Right(body={}),
    "GET /threads/{thread_id}/stream": Right(endless=True),
    "POST /threads/{thread_id}/stream/events": Right(body={"channels": ["values"]}, endless=True),
    "WS /threads/{thread_id}/stream/events": Right(101),
    # A command that cannot be carried out is answered in the protocol's own words.
    "POST /threads/{thread_id}/commands": Right(other=200, body={"id": 1, "method": "run.start", "params": RUN}),
    "POST /threads/{thread_id}/runs": Right(body=RUN),
    "POST /threads/{thread_id}/runs/stream": Right(body=RUN),
    "POST /threads/{thread_id}/runs/wait": Right(body=RUN),
    "GET /threads/{thread_id}/runs": Right(),
    "GET /threads/{thread_id}/runs/{run_id}": Right(),
    "GET /threads/{thread_id}/runs/{run_id}/join": Right(),
    "GET /threads/{thread_id}/runs/{run_id}/stream": Right(),
    "POST /threads/{thread_id}/runs/{run_id}/cancel": Right(404),
    "POST /runs": Right(body=OWN_RUN),
    "POST /runs/stream": Right(body=OWN_RUN),
    "POST /runs/wait": Right(body=OWN_RUN),
    "POST /runs/batch": Right(body=[OWN_RUN]),
    "POST /runs/cancel": Right(404, body={"run_ids": ["{run_id}"]}),
    "GET /runs/{run_id}/stream": Right(),
    "POST /threads/{thread_id}/runs/crons": Right(body=CRON),
    "POST /runs/crons": Right(body={**CRON, "assistant_id": "{assistant_id}"}),
    "POST /runs/crons/search": everybody(body={}),
    "POST /runs/crons/count": everybody(body={}),
    "GET /runs/crons/{cron_id}": Right(),
    "PATCH /runs/crons/{cron_id}": Right(body={"enabled": False}),
    "PUT /store/items": everybody(own=204, other=204, body={"namespace": ["x"], "key": "x", "value": {}}),
    "GET /store/items": everybody(params={"namespace": "seen", "key": "k"}),
    "POST /store/items/search": everybody(body={"limit": 1000}),
    "POST /store/namespaces": everybody(body={}),
    "POST /feedback": Right(body={"thread_id": "{thread_id}", "run_id": "{run_id}", "score": "like"}),
    "GET /feedback": everybody(),
    "GET /feedback/export": everybody(),
    "GET /threads/{thread_id}/artifacts": Right(),
    "GET /artifacts/{artifact_id}": Right(),
    "POST /script/check": everybody(body={"script": "1 + 1"}),
    "GET /databases": Right(None),
    "GET /tables": Right(None, params={"thread_id": "{thread_id}"}),
    "GET /databases/{database:path}/tables": Right(None, params={"environment": "{environment_id}"}),
    "GET /databases/{database:path}/tables/{table}": Right(None, params={"environment": "{environment_id}"}),
    "GET /environments": Right(None),
    "POST /environments": Right(None),
    "POST /environments/estimate": Right(None),
    "POST /environments/static": Right(None),
    "GET /environments/{environment_id}": Right(None),
    "DELETE /environments/{environment_id}": Right(None),
    "POST /environments/{environment_id}/extend": Right(None, body={"hours": 1}),
    "GET /environments/{environment_id}/connection": Right(None),
    "GET /environments/{environment_id}/schema": Right(None),
    "POST /environments/{environment_id}/workspace/ticket": Right(None),
    "MOUNT /environments/{environment_id}/workspace": Right(None),
    "POST /a2a/{assistant_id}": everybody(own=404, other=404, nobody=404),
    "POST /mcp": everybody(body={"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
    "GET /memory/examples": everybody(),
    "POST /memory/examples": everybody(body={"question": "how many trades?", "script": "exec count(*) from trades"}),
    "GET /memory/examples/export": everybody(),
    "GET /memory/examples/{example_id}": Right(),
    "PATCH /memory/examples/{example_id}": Right(body={"question": "how many?"}),
    "GET /memory/terms": everybody(),
    "POST /memory/terms": everybody(body={"term": "x", "meaning": "y"}),
    "GET /memory/terms/export": everybody(),
    "PATCH /memory/terms/{term_id}": Right(body={"meaning": "another"}),
    # What deletes comes last.
    "DELETE /memory/examples/{example_id}": Right(204),
    "DELETE /memory/terms/{term_id}": Right(204),
    "DELETE /store/items": everybody(own=204, other=204, body={"namespace": ["seen"], "key": "k"}),
    "DELETE /runs/crons/{cron_id}": Right(204),
    "DELETE /threads/{thread_id}/runs/{run_id}": Right(204),
    "DELETE /threads/{thread_id}": Right(204),
    "DELETE /assistants/{assistant_id}": Right(204),
}
