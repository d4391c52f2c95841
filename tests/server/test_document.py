"""The OpenAPI document, and what answers requests that are made up from it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
import served
from served.packages import schemathesis_folder
from served.people import People

# Streams without an end, what would log the user out, and what needs a DolphinDB server.
LEFT_OUT = r"(\{thread_id\}/stream|/auth/revoke|^/environments|^/databases|^/tables)"
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "ignored_auth", "shows_nothing_of_others",
)  # fmt: skip


@pytest.mark.timeout(300)
async def test_made_up_requests(people: People) -> None:
    folder = await asyncio.to_thread(schemathesis_folder)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), str(Path(served.__file__).parent)]),
        "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
        "OTHERS_SECRET": people.secret,
        "OTHERS_THINGS": json.dumps(people.things),
    }
    arguments = [
        "run", f"{people.url}/openapi.json", "--header", f"X-Api-Key: {people.other.headers['x-api-key']}",
        "--exclude-path-regex", LEFT_OUT, "--checks", ",".join(CHECKS), "--phases", "fuzzing", "--max-examples", "3",
        "--seed", "1", "--generation-database", "none", "--request-timeout", "10", "--continue-on-failure",
        "--no-color", "--warnings", "off",
    ]  # fmt: skip
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", *arguments,
        env=environment, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(120):
            said, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    assert child.returncode == 0, said.decode()


async def test_the_document_says_who_may(people: People) -> None:
    document = (await people.nobody.get("/openapi.json")).json()
    assert set(document["components"]["securitySchemes"]) == {"token", "key"}
    assert document["paths"]["/ok"]["get"]["security"] == []
    assert document["paths"]["/threads"]["post"]["security"] == [{"token": []}, {"key": []}]
    answers = document["paths"]["/threads/{thread_id}/state"]["get"]["responses"]
    assert answers["200"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ThreadState"}
    assert answers["4XX"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
