"""What an operator wants to see, in Prometheus' terms."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
    start_http_server,
)

from core.errors import ConfigurationError

if TYPE_CHECKING:
    from core.postgres import Pool
    from server.runs import Run

FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SLOW = (0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)
NAMES = 50
LIVE = ("PENDING", "PROVISIONING", "RUNNING", "DELETING")


class Metrics:
    """Metrics of one application; each has its own registry, so that several may live in a process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Histogram(
            "ddb_agent_http_request_seconds", "Time to the response's start.", ["method", "route", "status"],
            registry=registry, buckets=FAST,
        )  # fmt: skip
        self._active = Gauge("ddb_agent_runs_active", "Runs that execute in this process.", registry=registry)
        self._ended = Counter("ddb_agent_runs_ended", "Runs by how they ended.", ["graph", "status"], registry=registry)
        self._seconds = Histogram(
            "ddb_agent_run_seconds", "Time an attempt took.", ["graph"], registry=registry, buckets=SLOW
        )
        self._waited = Histogram(
            "ddb_agent_queue_seconds", "Time a run waited to begin.", registry=registry, buckets=FAST
        )
        self._errors = Counter("ddb_agent_errors", "Errors by where they came from and their kind.", ["source", "kind"],
            registry=registry,
        )  # fmt: skip
        self._model_seconds = Histogram(
            "ddb_agent_model_seconds", "Time a call of a model took.", ["model"], registry=registry, buckets=SLOW
        )
        self._tokens = Counter(
            "ddb_agent_model_tokens", "Tokens to and from models.", ["model", "direction"], registry=registry
        )
        self._dolphindb_seconds = Histogram(
            "ddb_agent_dolphindb_seconds", "Time a script or call took in DolphinDB.", registry=registry, buckets=SLOW
        )
        self._rows = Counter("ddb_agent_dolphindb_rows", "Rows brought from DolphinDB.", registry=registry)
        self._queue_age = Gauge("ddb_agent_queue_age_seconds", "Age of the oldest run that waits.", registry=registry)
        self._queue_length = Gauge("ddb_agent_queue_length", "Runs that wait.", registry=registry)
        self._running = Gauge("ddb_agent_runs_running", "Runs that execute in all processes.", registry=registry)
        self._database_seconds = Histogram(
            "ddb_agent_database_seconds", "Time of a query that looks at the queue.", registry=registry, buckets=FAST
        )
        self._connections = Gauge(
            "ddb_agent_database_connections", "Connections to Postgres.", ["pool", "state"], registry=registry
        )
        self._environments = Gauge(
            "ddb_agent_environments", "Environments of all users.", ["provider", "state"], registry=registry
        )
        self.streams = Gauge("ddb_agent_streams", "Event streams that are open.", registry=registry)
        self._names: set[str] = set()

    @asynccontextmanager
    async def run(self, run: Run) -> AsyncIterator[None]:
        begun = time.perf_counter()
        if run.attempt == 1:
            self._waited.observe(max((datetime.now(UTC) - run.available_at).total_seconds(), 0.0))
        self._active.inc()
        try:
            yield
        finally:
            self._active.dec()
            self._seconds.labels(run.graph_id).observe(time.perf_counter() - begun)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        self._requests.labels(method, route, str(status)).observe(seconds)

    def ended(self, graph: str, status: str) -> None:
        self._ended.labels(graph, status).inc()

    def error(self, kind: str, source: str = "run") -> None:
        self._errors.labels(source, kind).inc()

    def model_call(self, model: str, seconds: float, *, input_tokens: int = 0, output_tokens: int = 0) -> None:
        # The names come from configurations, which clients can choose among but also, in other graphs, make up.
        if model not in self._names:
            model = "other" if len(self._names) >= NAMES else model
            self._names.add(model)
        self._model_seconds.labels(model).observe(seconds)
        self._tokens.labels(model, "input").inc(input_tokens)
        self._tokens.labels(model, "output").inc(output_tokens)

    def dolphindb_call(self, seconds: float, rows: int) -> None:
        self._dolphindb_seconds.observe(seconds)
        self._rows.inc(rows)

    async def look(self, pools: Mapping[str, Pool]) -> None:
        """Looks at the queue, the environments and the pools, the first of which it asks."""
        pool = next(iter(pools.values()))
        begun = time.perf_counter()
        async with pool.connection() as held:
            cursor = await held.execute(
                "SELECT count(*) FILTER (WHERE status = 'pending' AND available_at <= now()) AS waiting,"
                " count(*) FILTER (WHERE status = 'running') AS running,"
                " coalesce(extract(epoch FROM now() - min(greatest(available_at, created_at))"
                " FILTER (WHERE status = 'pending' AND available_at <= now())), 0) AS age"
                " FROM runs WHERE status IN ('pending', 'running')"
            )
            row = await cursor.fetchone()
            self._database_seconds.observe(time.perf_counter() - begun)
            cursor = await held.execute(
                "SELECT provider, state, count(*) AS n FROM environments WHERE state = ANY(%s) GROUP BY 1, 2",
                (list(LIVE),),
            )
            environments = await cursor.fetchall()
        assert row is not None
        self._queue_length.set(row["waiting"])
        self._running.set(row["running"])
        self._queue_age.set(float(row["age"]))
        self._environments.clear()
        for found in environments:
            self._environments.labels(found["provider"], found["state"]).set(found["n"])
        for name, each in pools.items():
            stats = each.get_stats()
            self._connections.labels(name, "open").set(stats.get("pool_size", 0))
            self._connections.labels(name, "idle").set(stats.get("pool_available", 0))
            self._connections.labels(name, "wanted").set(stats.get("requests_waiting", 0))

    def text(self) -> bytes:
        return generate_latest(self.registry)


@contextmanager
def shown_on_port(metrics: Metrics, port: int) -> Iterator[None]:
    """The metrics of a process that serves nothing else, for this machine only. Raises ConfigurationError."""
    try:
        server, thread = start_http_server(port, addr="127.0.0.1", registry=metrics.registry)
    except OSError as error:
        raise ConfigurationError(
            f"Metrics cannot be shown on port {port}: {error.strerror}.", "Set another DDB_AGENT_WORKER_METRICS_PORT."
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
