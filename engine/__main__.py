"""`python -m engine serve`: the embedded engine as a process of its own."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m engine", description="A small DolphinDB-compatible engine.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve a data folder until terminated")
    serve.add_argument("--data", type=Path, required=True, help="folder for databases, files and users")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: loopback only)")
    serve.add_argument("--port", type=int, default=0, help="port; 0 takes a free one")
    serve.add_argument("--user", default="admin", help="name of the administrator")
    given = serve.add_mutually_exclusive_group()
    given.add_argument("--password", help="the administrator's password (visible in the list of processes)")
    given.add_argument("--password-file", type=Path, help="file that holds the administrator's password")
    serve.add_argument("--idle-seconds", type=float, help="end when nobody was connected for so long")
    serve.add_argument("--memory-gb", type=float, default=8.0, help="memory the process may use")
    serve.add_argument("--max-result-gb", type=float, default=4.0, help="largest result sent to a client")
    serve.add_argument("--max-connections", type=int, default=256)
    serve.add_argument("--frozen-seconds", type=float, default=60.0, help="end when nothing could run for so long")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    password = options.password
    if options.password_file is not None:
        password = options.password_file.read_text(encoding="utf-8").strip()
    from engine.server import serve as run
    from engine.server.connection import Limits

    return run(
        options.data.resolve(),
        host=options.host,
        port=options.port,
        user=options.user,
        password=password,
        idle_seconds=options.idle_seconds,
        frozen_seconds=options.frozen_seconds,
        limits=Limits(
            connections=options.max_connections,
            result_bytes=int(options.max_result_gb * 2**30),
            memory=int(options.memory_gb * 2**30),
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
