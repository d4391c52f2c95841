"""The graphs that every server serves: an echo, and a model that says 200 tokens.

Without postponed annotations: aegra-api loads graphs in a way that leaves them unresolved.
"""

import asyncio
import operator
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langgraph.graph import END, START, MessagesState, StateGraph
from typing_extensions import TypedDict

TOKENS = 200


class Echo(TypedDict, total=False):
    text: str
    log: Annotated[list[str], operator.add]


class Talker(BaseChatModel):
    """Says TOKENS tokens, as many milliseconds apart as the last message says. The first tells the time it was said."""

    @property
    def _llm_type(self) -> str:
        return "talker"

    def _generate(self, *_arguments: Any, **_options: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(" ".join(["word"] * TOKENS)))])

    async def _astream(
        self, messages: list[BaseMessage], *_arguments: Any, **_options: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        pause = float(str(messages[-1].content)) / 1000
        for number in range(TOKENS):
            text = f"{time.time_ns()} " if number == 0 else f"w{number} "
            yield ChatGenerationChunk(message=AIMessageChunk(content=text))
            await asyncio.sleep(pause)


async def _echo(state: Echo) -> Echo:
    return {"log": [state.get("text", "")]}


async def _talk(state: MessagesState) -> dict[str, Any]:
    return {"messages": [await Talker().ainvoke(state["messages"])]}


_echoing = StateGraph(Echo)
_echoing.add_node("echo", _echo)
_echoing.add_edge(START, "echo")
_echoing.add_edge("echo", END)
echo = _echoing.compile()

_talking = StateGraph(MessagesState)
_talking.add_node("talk", _talk)
_talking.add_edge(START, "talk")
_talking.add_edge("talk", END)
tokens = _talking.compile()
