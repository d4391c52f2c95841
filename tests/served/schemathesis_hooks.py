"""Half of the paths lead to another user's things, whose secret no answer may have."""

from __future__ import annotations

import json
import os
from typing import Any

import schemathesis

SECRET = os.environ["OTHERS_SECRET"]
THINGS: dict[str, str] = json.loads(os.environ["OTHERS_THINGS"])


@schemathesis.check
def shows_nothing_of_others(_context: Any, response: Any, _case: Any) -> None:
    assert SECRET not in response.text, "the answer has what is another user's"


@schemathesis.hook
def map_path_parameters(_context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    for name in path_parameters or {}:
        if path_parameters is not None and name in THINGS and sum(map(ord, str(path_parameters[name]))) % 2:
            path_parameters[name] = THINGS[name]
    return path_parameters
