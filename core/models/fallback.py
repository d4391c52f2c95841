"""A chat model that retries, falls back, and restarts an answer that broke off."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolCall
from langchain_core.messages.tool import invalid_tool_call
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from pydantic import Field, SecretStr

from core.models.backoff import Backoff, retry_after_seconds
from core.models.entries import ModelEntry
from core.models.errors import RETRYABLE, Kind, ModelCallError, StreamCutError, call_error, describe, kind_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """An entry with its model, which must not retry by itself. The key is kept to strike it from error texts."""

    entry: ModelEntry
    model: BaseChatModel
    key: SecretStr | None = field(default=None, repr=False)

    @property
    def secret(self) -> str | None:
        return self.key.get_secret_value() if self.key else None


class FallbackChatModel(BaseChatModel):
    """Asks the candidates in turn, each several times; asynchronous only.

    `ainvoke` reports every token to the callbacks as it comes. When an answer breaks off after tokens were reported,
    the next attempt has a new message id, and its first chunk names the void one in `response_metadata["replaces"]`;
    the returned message is that of the last attempt alone. Iterating over `astream` cannot take tokens back: there,
    an answer that breaks off after its first token is an error. Raises ModelCallError.
    """

    candidates: tuple[Candidate, ...] = Field(min_length=1)
    backoff: Backoff = Backoff()

    @property
    def _llm_type(self) -> str:
        return "openai-with-fallbacks"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"models": [candidate.entry.name for candidate in self.candidates]}

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools for every candidate, in the form of the first one (that of OpenAI)."""
        bound: Any = self.candidates[0].model.bind_tools(tools, tool_choice=tool_choice, **kwargs)
        return self.bind(**bound.kwargs)

    # `ainvoke` streams by itself, in `_agenerate`, where an answer can be restarted.
    def _should_stream(self, *, async_api: bool, run_manager: Any = None, **kwargs: Any) -> bool:  # noqa: ARG002
        return async_api and bool(kwargs.get("stream"))

    def _should_use_protocol_streaming(
        self,
        *,
        async_api: bool,  # noqa: ARG002
        run_manager: Any = None,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> bool:
        return False

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise NotImplementedError("This chat model is asynchronous: use ainvoke or astream.")

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        call = _Call(self.candidates, self.backoff, messages, stop, kwargs)
        base_id = f"lc_run--{run_manager.run_id if run_manager else uuid.uuid4()}"
        message_id, replaced = base_id, None
        chunks: list[ChatGenerationChunk] = []
        async with aclosing(call.events()) as events:
            async for event in events:
                if event is None:
                    if chunks:
                        call.restarts += 1
                        message_id, replaced = f"{base_id}-{call.restarts}", message_id
                    chunks = []
                    continue
                event.message.id = message_id
                if replaced is not None:
                    event.message.response_metadata["replaces"] = replaced
                    replaced = None
                chunks.append(event)
                if run_manager:
                    await run_manager.on_llm_new_token(event.text, chunk=event)
        result = generate_from_stream(iter(chunks))
        message = _strict_message(chunks, result.generations[0].message)
        message.response_metadata["model_entry"] = call.entry.name
        generation_info = result.generations[0].generation_info
        return ChatResult(generations=[ChatGeneration(message=message, generation_info=generation_info)])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        call = _Call(self.candidates, self.backoff, messages, stop, kwargs, restartable=False)
        async with aclosing(call.events()) as events:
            async for event in events:
                if event is not None:
                    yield event


class _Call:
    """One call of the model over all candidates and attempts."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        backoff: Backoff,
        messages: list[BaseMessage],
        stop: list[str] | None,
        kwargs: dict[str, Any],
        *,
        restartable: bool = True,
    ) -> None:
        self._candidates = candidates
        self._backoff = backoff
        self._messages = messages
        self._stop = stop
        self._kwargs = kwargs
        self._restartable = restartable
        self.restarts = 0
        self.entry = candidates[0].entry

    async def events(self) -> AsyncGenerator[ChatGenerationChunk | None]:
        """The chunks of the answer; None means that all chunks before it are void."""
        failure: ModelCallError | None = None
        failures: list[str] = []
        for candidate in self._candidates:
            if not _may_help(failure, self.entry, candidate.entry):
                continue
            if failure is not None:
                logger.warning("Falling back from model %s to %s", self.entry.name, candidate.entry.name)
                yield None
            self.entry = candidate.entry
            failure = None
            async with aclosing(self._attempts(candidate)) as attempts:
                async for event in attempts:
                    if isinstance(event, ModelCallError):
                        failure = event
                        break
                    yield event
            if failure is None:
                return
            failures.append(failure.message)
        assert failure is not None
        if len(failures) > 1:
            failure = ModelCallError(" ".join(failures), failure.remedy, model=failure.model, kind=failure.kind)
        raise failure

    async def _attempts(self, candidate: Candidate) -> AsyncGenerator[ChatGenerationChunk | ModelCallError | None]:
        entry = candidate.entry
        deadline = time.monotonic() + entry.total_timeout
        attempt = 0
        while True:
            attempt += 1
            emitted = False
            try:
                async with aclosing(self._chunks(candidate, deadline)) as chunks:
                    async for chunk in chunks:
                        emitted = True
                        yield chunk
                return
            except Exception as error:
                kind = kind_of(error)
                if kind is None:
                    raise
                detail = describe(error, candidate.secret)
                retry_after = retry_after_seconds(error)
            failure = call_error(entry, kind, detail or kind, attempt)
            if emitted and not self._restartable:
                raise failure
            wait = self._backoff.seconds(attempt, retry_after)
            if kind not in RETRYABLE or attempt > entry.max_retries or time.monotonic() + wait >= deadline:
                yield failure
                return
            logger.warning(
                "Model %s: attempt %d of %d failed (%s: %s); next in %.1f s",
                entry.name, attempt, entry.max_retries + 1, kind, detail, wait,
            )  # fmt: skip
            await asyncio.sleep(wait)
            if emitted:
                yield None

    async def _chunks(self, candidate: Candidate, deadline: float) -> AsyncGenerator[ChatGenerationChunk]:
        finished = False
        stream: Any = candidate.model._astream(self._messages, stop=self._stop, **self._kwargs)
        async with aclosing(stream):
            while True:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    chunk = await anext(stream, None)
                if chunk is None:
                    break
                info = {**(chunk.generation_info or {}), **chunk.message.response_metadata}
                finished = finished or bool(info.get("finish_reason"))
                yield chunk
        if not finished:
            raise StreamCutError("the stream ended before the answer did")


def _may_help(failure: ModelCallError | None, failed: ModelEntry, entry: ModelEntry) -> bool:
    """Whether asking `entry` makes sense after `failed` gave up: a request that is refused as such is not repeated."""
    if failure is None:
        return True
    hopeless: set[Kind] = {"invalid_request"}
    if failure.kind == "context":
        return entry.context_tokens > failed.context_tokens
    return failure.kind not in hopeless


def _strict_message(chunks: Sequence[ChatGenerationChunk], message: BaseMessage) -> AIMessage:
    """The message with tool calls parsed strictly: langchain completes cut-off JSON, and a script cut short may run."""
    assert isinstance(message, AIMessage)
    merged = AIMessageChunk(content="")
    for chunk in chunks:
        assert isinstance(chunk.message, AIMessageChunk)
        merged = merged + chunk.message
    calls: list[ToolCall] = []
    invalid = []
    seen: set[str] = set()
    for part in merged.tool_call_chunks:
        call_id = part["id"] or ""
        if not call_id or call_id in seen:
            call_id = f"call_{uuid.uuid4().hex}"
        seen.add(call_id)
        text = part["args"] or "{}"
        try:
            args = json.loads(text)
            problem = None if isinstance(args, dict) else "The arguments are not a JSON object."
        except json.JSONDecodeError as error:
            problem = f"The arguments are not valid JSON: {error}."
        if problem is None and part["name"]:
            calls.append(ToolCall(name=part["name"], args=args, id=call_id, type="tool_call"))
        else:
            invalid.append(
                invalid_tool_call(name=part["name"], args=text, id=call_id, error=problem or "The call names no tool.")
            )
    return message.model_copy(update={"tool_calls": calls, "invalid_tool_calls": invalid})
