"""Retrieval over the real documentation: build, latency, memory, hints, and quality where questions are given."""

from __future__ import annotations


def main() -> None:
    from benchmarks.retrieval import measure

    measure.main([])
