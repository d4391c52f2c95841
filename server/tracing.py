"""OpenTelemetry traces, sent to a collector over HTTP. The packages are those of the extra `tracing`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, TypeAlias

from core.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Span
    from opentelemetry.trace import Tracer as OpenTelemetryTracer

Tracer: TypeAlias = "OpenTelemetryTracer"


@asynccontextmanager
async def open_tracer(endpoint: str | None) -> AsyncIterator[Tracer | None]:
    """A tracer that sends to `endpoint` (`http://host:4318`), None without one. Raises ConfigurationError."""
    if endpoint is None:
        yield None
        return
    async with tracing(await asyncio.to_thread(_sending, endpoint)) as tracer:
        yield tracer


@asynccontextmanager
async def tracing(processor: SpanProcessor) -> AsyncIterator[Tracer]:
    """A tracer that hands its spans to `processor`. What is left is sent at the end."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider(resource=Resource({"service.name": "ddb-agent"}), shutdown_on_exit=False)
    provider.add_span_processor(processor)
    try:
        yield provider.get_tracer("ddb-agent")
    finally:
        await asyncio.to_thread(provider.shutdown)


def _sending(endpoint: str) -> SpanProcessor:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigurationError(
            f"Traces need a package that is not there: {error.name}.",
            "Install ddb-agent[tracing], or unset DDB_AGENT_OTLP_ENDPOINT.",
        ) from None
    return BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces"))


@contextmanager
def span(tracer: Tracer | None, name: str, attributes: Mapping[str, str | int]) -> Iterator[Span | None]:
    """The current span meanwhile. Of an exception its kind is kept, not its text, which may quote anything."""
    if tracer is None:
        yield None
        return
    with tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except BaseException as error:
            current.set_attribute("error.type", type(error).__name__)
            raise
