"""The offline model as a chat model of LangChain."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import ToolCall, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from core.offline.conversation import read_conversation
from core.offline.policy import Action, next_action

_PIECE = re.compile(r"\s*\S{1,24}|\s+")
_WORD = re.compile(r"[\u3400-\u9fff]|[A-Za-z]+|\d{1,3}|[^\w\s]")


class OfflineModel(BaseChatModel):
    """Follows rules instead of a language model, without network. Only the ids of its tool calls vary.

    It reads the messages and calls only tools that were bound to it. `usage_metadata` is an estimate.
    """

    model_name: str = "offline"

    @property
    def _llm_type(self) -> str:
        return "offline"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name}

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools in OpenAI's form. `tool_choice` is passed on and has no effect: the rules choose."""
        formatted = [convert_to_openai_tool(tool) for tool in tools]
        options = {**kwargs, **({"tool_choice": tool_choice} if tool_choice is not None else {})}
        return self.bind(tools=formatted, **options)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        action = _decide(messages, kwargs.get("tools") or [])
        calls = []
        if action.tool is not None:
            calls = [ToolCall(name=action.tool, args=action.args, id=_call_id(), type="tool_call")]
        message = AIMessage(
            content=action.text,
            tool_calls=calls,
            usage_metadata=_usage(messages, action),
            response_metadata={"model_name": self.model_name, "finish_reason": "tool_calls" if calls else "stop"},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        return self._generate(messages, stop, **kwargs)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        action = _decide(messages, kwargs.get("tools") or [])
        for piece in _PIECE.findall(action.text):
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
        if action.tool is not None:
            start = tool_call_chunk(name=action.tool, args="", id=_call_id(), index=0)
            yield ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=[start]))
            for piece in _PIECE.findall(json.dumps(action.args, ensure_ascii=False)):
                part = tool_call_chunk(name=None, args=piece, id=None, index=0)
                yield ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=[part]))
        reason = "stop" if action.tool is None else "tool_calls"
        last = AIMessageChunk(
            content="",
            usage_metadata=_usage(messages, action),
            response_metadata={"model_name": self.model_name, "finish_reason": reason},
            chunk_position="last",
        )
        yield ChatGenerationChunk(message=last, generation_info={"finish_reason": reason})

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._stream(messages, stop, **kwargs):
            yield chunk


def _decide(messages: Sequence[BaseMessage], tools: Sequence[dict[str, Any]]) -> Action:
    functions = [tool["function"] for tool in tools if "function" in tool]
    parameters = {}
    for function in functions:
        properties = list(function.get("parameters", {}).get("properties", {}))
        if properties:
            parameters[function["name"]] = properties[0]
    return next_action(read_conversation(messages), [function["name"] for function in functions], parameters)


def _call_id() -> str:
    return f"call_{uuid.uuid4().hex}"


def _usage(messages: Sequence[BaseMessage], action: Action) -> UsageMetadata:
    read = sum(_tokens(message.text) + 4 for message in messages)
    written = _tokens(action.text) + (_tokens(json.dumps(action.args, ensure_ascii=False)) if action.tool else 0)
    return UsageMetadata(input_tokens=read, output_tokens=written, total_tokens=read + written)


def _tokens(text: str) -> int:
    """A rough count: one for each Chinese character, word, group of digits or punctuation mark."""
    return len(_WORD.findall(text))
