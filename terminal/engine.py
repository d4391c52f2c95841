"""`ddb-agent engine`: the embedded engine as a standalone server, as an evaluator of scripts, and what it can do."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.settings import Settings


def serve(*, host: str, port: int, data: Path | None, user: str, password: str | None, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then exit with the server's status."""
    from engine.server import serve as run

    folder = (data or settings.data_dir / "standalone").expanduser().resolve()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(f"error: the data folder {folder} cannot be made: {error.strerror}. Choose another with --data.")
    sys.exit(run(folder, host=host, port=port, user=user, password=password))


def evaluate_file(file: Path, *, jobs: int, seconds: float) -> None:
    """Run every `{id, script}` line and print `{id, actual}` or `{id, error}` for it, in the order of the file."""
    from engine.evaluate import evaluate

    rows = list(_rows(file))
    outcomes = evaluate([row["script"] for row in rows if "script" in row], jobs=jobs, seconds=seconds)
    for row in rows:
        result = {"id": row["id"], **next(outcomes)} if "script" in row else row
        print(json.dumps(result, ensure_ascii=False), flush=True)


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    """`{id, script}` for every line that is not blank, `{id, error}` for one that is no such object."""
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield {"id": None, "error": f"Line {number} is not JSON: {error}."}
            continue
        identity = row.get("id") if isinstance(row, dict) else None
        if isinstance(row, dict) and isinstance(row.get("script"), str):
            yield {"id": identity, "script": row["script"]}
        else:
            yield {"id": identity, "error": f'Line {number} is not an object like {{"id": "1", "script": "1 + 1"}}.'}


def list_functions(*, as_json: bool) -> None:
    """Print every built-in function: its name, family, signature and what it does."""
    from engine.functions import families

    found = [
        {
            "name": name,
            "family": family,
            "signature": function.signature,
            "doc": function.doc.partition("\n")[0],
        }
        for family, registry in families().items()
        for name, function in registry.functions.items()
    ]
    found.sort(key=lambda each: (each["name"].lower(), each["name"]))
    if as_json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
        return
    for each in found:
        print(f"{each['signature']}  [{each['family']}]{'  ' + each['doc'] if each['doc'] else ''}")
