"""`python -m benchmarks [NAME…]`: run the named benchmarks, or all."""

from __future__ import annotations

import argparse
import importlib
import sys
import time

NAMES = ("graph_overhead", "thread_growth", "engine_queries", "engine_families", "server", "load")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(NAMES)}")
    names = parser.parse_args().names
    if unknown := [name for name in names if name not in NAMES]:
        parser.error(f"there is no benchmark {unknown[0]}; there are: {', '.join(NAMES)}")
    for name in names or NAMES:
        module = importlib.import_module(f"benchmarks.{name}")
        print(f"== {name}: {(module.__doc__ or '').strip().partition(chr(10))[0]}", flush=True)
        started = time.perf_counter()
        module.main()
        print(f"({time.perf_counter() - started:.0f} s)\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
