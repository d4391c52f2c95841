"""The engines of the emulated containers, all in one process of their own.

Reads lines of JSON `{"op": "start" | "stop", "folder", "address"}` and answers each with an empty line.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

DATABASE_PORT = 8848
DEFAULT_PASSWORD = "123456"


def main() -> None:
    from engine.functions import builtin_functions
    from engine.server import Server
    from engine.server.connection import Limits
    from engine.server_node import assemble

    registry = builtin_functions()
    servers: dict[str, Server] = {}
    threading.stack_size(16 * 2**20)
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["op"] == "start":
            node = assemble(Path(asked["folder"]), registry, admin_password=DEFAULT_PASSWORD, memory_limit=2**30)
            server = Server(node, registry, Limits(memory=2**30))
            server.start(asked["address"], DATABASE_PORT)
            servers[asked["folder"]] = server
        else:
            found = servers.pop(asked["folder"], None)
            if found is not None:
                threading.Thread(target=found.stop, daemon=True).start()
        print(flush=True)


if __name__ == "__main__":
    main()
