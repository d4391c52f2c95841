from __future__ import annotations

from collections.abc import Iterator

import pytest

from openai_server.server import ScriptedOpenAI


@pytest.fixture
def scripted_openai() -> Iterator[ScriptedOpenAI]:
    """A running server without steps: `scripted_openai.add(Text("…"))`."""
    with ScriptedOpenAI() as server:
        yield server
