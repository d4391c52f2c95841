"""Runs command lines of `ddb-agent` in forks of one process, so that each need not import everything again.

Reads lines of JSON `{"arguments", "environment", "output", "errors"}`, the last two being files to write to, and
answers each with the exit code.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from typing import Any, NoReturn

import cli


def run(arguments: list[str], environment: dict[str, str], output: str, errors: str) -> NoReturn:
    os.environ.clear()
    os.environ.update(environment)
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, output, os.O_WRONLY | os.O_CREAT),
        (2, errors, os.O_WRONLY | os.O_CREAT),
    ):
        os.dup2(os.open(path, flags), number)
    sys.argv = ["ddb-agent", *arguments]
    code: Any = 0
    try:
        cli.main()
    except SystemExit as end:
        code = end.code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


def main() -> None:
    import dolphindb  # noqa: F401

    import terminal.ask
    import terminal.chat
    import terminal.doctor
    import terminal.threads  # noqa: F401

    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(**json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


main()
