"""What an operator wants to see, in Prometheus' terms."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SLOW = (0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)


class Metrics:
    """Metrics of one application; each has its own registry, so that several may live in a process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Histogram(
            "ddb_agent_http_request_seconds", "Time to the response's start.", ["method", "route", "status"],
            registry=self.registry, buckets=FAST,
        )  # fmt: skip
        self._active = Gauge("ddb_agent_runs_active", "Runs that execute in this process.", registry=self.registry)
        self._ended = Counter(
            "ddb_agent_runs_ended", "Runs by how they ended.", ["graph", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "ddb_agent_run_seconds", "Time an attempt took.", ["graph"], registry=self.registry, buckets=SLOW
        )
        self._errors = Counter("ddb_agent_errors", "Errors of runs by kind.", ["kind"], registry=self.registry)
        self.queue_age = Gauge(
            "ddb_agent_queue_age_seconds", "Age of the oldest run that waits.", registry=self.registry
        )
        self.queue_length = Gauge("ddb_agent_queue_length", "Runs that wait.", registry=self.registry)
        self.database_seconds = Histogram(
            "ddb_agent_database_seconds",
            "Time of a query that looks at the queue.",
            registry=self.registry,
            buckets=FAST,
        )
        self.streams = Gauge("ddb_agent_streams", "Event streams that are open.", registry=self.registry)

    @asynccontextmanager
    async def run(self, graph: str) -> AsyncIterator[None]:
        begun = time.perf_counter()
        self._active.inc()
        try:
            yield
        finally:
            self._active.dec()
            self._seconds.labels(graph).observe(time.perf_counter() - begun)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        self._requests.labels(method, route, str(status)).observe(seconds)

    def ended(self, graph: str, status: str) -> None:
        self._ended.labels(graph, status).inc()

    def error(self, kind: str) -> None:
        self._errors.labels(kind).inc()

    def text(self) -> bytes:
        return generate_latest(self.registry)
