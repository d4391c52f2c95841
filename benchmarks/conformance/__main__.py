"""`python -m benchmarks.conformance`: run the documentation's examples in the engine and count what agrees."""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from pathlib import Path

import platformdirs

from benchmarks.conformance.comparison import same
from benchmarks.conformance.documentation import PACKAGE, fetch, pages
from benchmarks.conformance.examples import Example, examples
from benchmarks.report import table

OUTCOMES = ("passed", "wrong", "unsupported", "error", "skipped")
MISSING = "(not there)"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conformance", description=__doc__)
    parser.add_argument("functions", nargs="*", metavar="FUNCTION", help="only the pages of these functions")
    parser.add_argument("--documentation", type=Path, help=f"docs.en.json of {PACKAGE}, if it is there already")
    parser.add_argument("--cache", type=Path, default=Path(platformdirs.user_cache_dir("ddb-agent")) / "documentation")
    parser.add_argument("--jobs", type=int, default=2, help="worker processes")
    parser.add_argument("--seconds", type=float, default=10.0, help="a script that takes longer is ended")
    parser.add_argument("--show", choices=OUTCOMES[1:4], action="append", help="print these examples in full")
    options = parser.parse_args()
    texts = pages(options.documentation or fetch(options.cache))
    if unknown := [name for name in options.functions if name not in texts]:
        parser.error(f"there is no page of {unknown[0]}")
    chosen = options.functions or list(texts)
    found = [example for name in chosen for example in examples(name, texts[name])]
    outcomes = run(found, jobs=options.jobs, seconds=options.seconds)
    for example, outcome, text in outcomes:
        if outcome in (options.show or ()):
            print(f"== {example.id}: {outcome}\n{example.script}\n-- stated\n{example.expected}\n-- shown\n{text}\n")
    print(summary(outcomes))
    return 0


def run(found: list[Example], *, jobs: int, seconds: float) -> list[tuple[Example, str, str]]:
    """Each example with its outcome and what the engine showed (or why it was skipped)."""
    from engine.evaluate import evaluate

    runnable = [example for example in found if example.needs is None]
    shown = dict(
        zip(
            (example.id for example in runnable),
            evaluate([example.script for example in runnable], jobs=jobs, seconds=seconds),
            strict=True,
        )
    )
    results = []
    for example in found:
        if example.needs is not None:
            results.append((example, "skipped", example.needs))
            continue
        got = shown[example.id]
        if "error" in got:
            outcome = "unsupported" if got["error"].endswith("is not supported by the embedded engine.") else "error"
            results.append((example, outcome, got["error"]))
        else:
            results.append((example, "passed" if same(example.expected, got["actual"]) else "wrong", got["actual"]))
    return results


def summary(outcomes: list[tuple[Example, str, str]]) -> str:
    """A table by family of functions, and why examples were skipped."""
    from engine.functions import families

    family = {name: key for key, registry in families().items() for name in registry.names()}
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for example, outcome, _ in outcomes:
        counts[family.get(example.function, MISSING)][outcome] += 1
    counts["all"] = sum(counts.values(), Counter())
    keys = [*sorted(counts.keys() - {"all"}), "all"]
    rows = [[key, *(str(counts[key][outcome]) for outcome in OUTCOMES), _share(counts[key])] for key in keys]
    reasons = Counter(text for _, outcome, text in outcomes if outcome == "skipped")
    return "\n".join(
        [
            table("Examples of the function documentation", ["family", *OUTCOMES, "passed of run"], rows),
            table("Skipped for want of", ["reason", "examples"], [[why, str(n)] for why, n in reasons.most_common()]),
        ]
    )


def _share(count: Counter[str]) -> str:
    tried = count.total() - count["skipped"]
    return f"{100 * count['passed'] / tried:.0f} %" if tried else ""


if __name__ == "__main__":
    sys.exit(main())
