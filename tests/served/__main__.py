"""Servers and workers as processes of their own: `python tests/served serve PORT` or `… work`."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

if __name__ == "__main__":
    from core.settings import load_settings
    from terminal.serve import serve, work

    config = HERE.parents[1] / "langgraph.json" if "--agent" in sys.argv else HERE / "langgraph.json"
    if sys.argv[1] == "serve":
        without_worker = "--no-worker" in sys.argv
        sys.exit(
            serve(load_settings(), host="127.0.0.1", port=int(sys.argv[2]), config=config, worker=not without_worker)
        )
    sys.exit(work(load_settings(), config=config))
