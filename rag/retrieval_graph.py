"""The retrieval subgraph.

START -> understand -> retrieve -> rerank -> fit -> answer | END
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage
from langgraph.channels import EphemeralValue
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict

from core.errors import UserError
from core.models import OFFLINE, ModelRegistry
from core.tokens import TokenCounter
from rag.documents import language_of
from rag.knowledge import KnowledgeBase
from rag.passages import Passage, fit
from rag.prompts import prompt
from rag.rewriting.follow_up import joined, refers_back
from rag.searcher import Result

# Nearly all questions that the documentation answers lie above, most about other things below.
CONFIDENT = 0.35
DEEP = 20
NOT_FOUND = "NOT_FOUND"
NOTHING = {
    "en": "Not found in the documentation.",
    "zh": "文档中未找到相关内容。",
}
_CITATION = re.compile(r"\s?\[(\d+(?:\s*,\s*\d+)*)\]")
_FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_HEADING = re.compile(r"^## (.*)$", re.MULTILINE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])\s*")


class Citation(TypedDict):
    """What a number in the answer stands for."""

    number: int
    title: str
    heading: str
    source: str
    url: str
    lines: list[int]


class RetrievalInput(TypedDict, total=False):
    """A question, or a conversation that ends in one. `mode` passages leaves the answering to the caller;
    `limit` is how many passages at most."""

    question: str
    messages: list[AnyMessage]
    mode: Literal["answer", "passages"]
    limit: int


class RetrievalState(TypedDict, total=False):
    """What a run is given is gone after its first step, so that the next run on a thread does not find it again."""

    question: Annotated[str, EphemeralValue]
    messages: Annotated[list[AnyMessage], add_messages]
    mode: Annotated[Literal["answer", "passages"], EphemeralValue]
    limit: Annotated[int, EphemeralValue]
    passages_only: bool
    at_most: int
    standalone: str
    language: Literal["en", "zh"]
    functions: list[str]
    confidence: float
    results: list[dict[str, Any]]
    passages: list[Passage]
    found: bool
    answer: str
    citations: list[Citation]


class RetrievalOutput(TypedDict, total=False):
    """`found` false: the documentation does not answer; `answer` says so and there are no citations. A conversation in
    `messages` has the answer as its last message."""

    messages: list[AnyMessage]
    standalone: str
    language: Literal["en", "zh"]
    confidence: float
    passages: list[Passage]
    found: bool
    answer: str
    citations: list[Citation]


@dataclass(frozen=True)
class RetrievalDeps:
    """`budget` is what the passages may take, in tokens. `rerank_with_model` spends a model call on their order."""

    knowledge: KnowledgeBase
    models: ModelRegistry
    budget: int = 1_600
    count: int = 6
    rerank_with_model: bool = False
    counter: TokenCounter = field(default_factory=TokenCounter)

    @classmethod
    def configured(cls, knowledge: KnowledgeBase, models: ModelRegistry) -> RetrievalDeps:
        """As the settings of the knowledge base say."""
        return cls(knowledge, models, rerank_with_model=knowledge.settings.rerank == "model")

    @property
    def has_model(self) -> bool:
        return self.models.entry("planner").provider != OFFLINE


class Node(Protocol):
    async def __call__(self, state: RetrievalState) -> dict[str, Any]: ...


def build_retrieval_graph(
    deps: RetrievalDeps,
) -> StateGraph[RetrievalState, None, RetrievalInput, RetrievalOutput]:
    """The retrieval graph, not compiled."""
    graph = StateGraph(RetrievalState, input_schema=RetrievalInput, output_schema=RetrievalOutput)
    graph.add_node("understand", _understand(deps))
    graph.add_node("retrieve", _retrieve(deps))
    graph.add_node("rerank", _rerank(deps))
    graph.add_node("fit", _fit(deps))
    graph.add_node("answer", _answer(deps))
    graph.add_edge(START, "understand")
    graph.add_edge("understand", "retrieve")
    graph.add_edge("retrieve", "rerank")
    graph.add_edge("rerank", "fit")
    graph.add_conditional_edges("fit", _after_fit, ["answer", END])
    graph.add_edge("answer", END)
    return graph


def _after_fit(state: RetrievalState) -> str:
    return END if state["passages_only"] else "answer"


def _understand(deps: RetrievalDeps) -> Node:
    async def understand(state: RetrievalState) -> dict[str, Any]:
        messages = state.get("messages") or []
        asked = [message.text for message in messages if isinstance(message, HumanMessage)]
        question = (state.get("question") or (asked[-1] if asked else "")).strip()
        if not question:
            raise UserError("There is no question.", "Give `question`, or messages that end in one.")
        earlier = asked[:-1] if asked and asked[-1].strip() == question else asked
        previous = earlier[-1] if earlier else state.get("standalone", "")
        standalone = question
        if previous and refers_back(question):
            standalone = await _standalone(deps, messages, previous, question)
        asked_for = await asyncio.to_thread(lambda: deps.knowledge.searcher().understand(standalone))
        _progress("understand", question=standalone, language=asked_for.language)
        return {
            "standalone": standalone,
            "passages_only": state.get("mode") == "passages",
            "at_most": state.get("limit") or deps.count,
            "language": "zh" if language_of(question) == "zh" else asked_for.language,
            "functions": [name for name, sure in asked_for.functions.items() if sure >= 0.6],
        }

    return understand


async def _standalone(deps: RetrievalDeps, messages: list[AnyMessage], previous: str, question: str) -> str:
    """By the model when there is one; else, and when it fails, both questions together."""
    together = joined(previous, question)
    if not deps.has_model:
        return together
    conversation = "\n".join(f"{message.type}: {message.text[:2000]}" for message in messages[-6:])
    request = [SystemMessage(prompt("standalone")), HumanMessage(f"{conversation}\n\nLast question: {question}")]
    try:
        reply = await deps.models.chat_model("planner").ainvoke(request, config={"tags": ["nostream"]})
    except UserError:
        return together
    return reply.text.strip() or together


def _retrieve(deps: RetrievalDeps) -> Node:
    async def retrieve(state: RetrievalState) -> dict[str, Any]:
        found = await asyncio.to_thread(lambda: deps.knowledge.searcher().find(state["standalone"], DEEP))
        _progress("retrieve", count=len(found.results), confidence=found.confidence)
        return {"results": [vars(result) for result in found.results], "confidence": found.confidence}

    return retrieve


def _rerank(deps: RetrievalDeps) -> Node:
    async def rerank(state: RetrievalState) -> dict[str, Any]:
        results = state["results"]
        by_model = deps.rerank_with_model and deps.has_model and len(results) > 1
        if by_model:
            results = await _by_model(deps, state["standalone"], results)
        _progress("rerank", by="model" if by_model else "local", best=[item["title"] for item in results[: deps.count]])
        return {"results": results}

    return rerank


async def _by_model(deps: RetrievalDeps, question: str, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The model's order; what it leaves out or numbers wrongly keeps its place behind."""
    listed = "\n".join(f"{number}. {item['title']}: {item['text'][:300]}" for number, item in enumerate(results, 1))
    request = [SystemMessage(prompt("rerank")), HumanMessage(f"Question: {question}\n\nPassages:\n{listed}")]
    try:
        reply = await deps.models.chat_model("planner").ainvoke(request, config={"tags": ["nostream"]})
    except UserError:
        return results
    numbers = [int(text) - 1 for text in re.findall(r"\d+", reply.text)]
    order = [number for number in dict.fromkeys(numbers) if 0 <= number < len(results)]
    return [results[number] for number in order + [n for n in range(len(results)) if n not in order]]


def _fit(deps: RetrievalDeps) -> Node:
    async def fit_passages(state: RetrievalState) -> dict[str, Any]:
        results = [Result(**item) for item in state["results"]][: state["at_most"]]
        found = state["confidence"] >= CONFIDENT
        passages: list[Passage] = []
        if found:
            searcher = await asyncio.to_thread(deps.knowledge.searcher)
            passages = await asyncio.to_thread(fit, results, searcher, deps.budget, deps.counter.count)
        _progress("fit", passages=len(passages), tokens=sum(item["tokens"] for item in passages))
        return {"passages": passages, "found": bool(passages), "results": [], "answer": "", "citations": []}

    return fit_passages


def _answer(deps: RetrievalDeps) -> Node:
    async def answer(state: RetrievalState) -> dict[str, Any]:
        passages = state["passages"]
        conversation = bool(state.get("messages"))

        def told(text: str, citations: list[Citation]) -> dict[str, Any]:
            said = [AIMessage(text)] if conversation else []
            return {"found": bool(citations), "answer": text, "citations": citations, "messages": said}

        nothing = told(NOTHING[state["language"]], [])
        if not passages:
            _progress("answer", found=False)
            return nothing
        if deps.has_model:
            request = [
                SystemMessage(prompt("answer")),
                HumanMessage(f"{as_data(passages)}\n\nQuestion: {state['standalone']}"),
            ]
            reply = await deps.models.chat_model("planner").ainvoke(request)
            text = cited_only(reply.text, passages)
        else:
            text = extract(passages, state["language"])
        citations = citations_in(text, passages)
        # A statement without a source is what retrieval exists to prevent.
        if NOT_FOUND in text or not citations:
            _progress("answer", found=False)
            return nothing
        _progress("answer", found=True, citations=[item["number"] for item in citations])
        return told(text, citations)

    return answer


def as_data(passages: list[Passage]) -> str:
    """Passages for a model, fenced off: a document cannot close its own fence."""
    parts = []
    for item in passages:
        signatures = f"signature: {'; '.join(item['signatures'])}\n" if item["signatures"] else ""
        text = re.sub(r"(?i)</?\s*passage", "(passage", item["text"])
        parts.append(f'<passage number="{item["number"]}" title={item["heading"]!r}>\n{signatures}{text}\n</passage>')
    return "\n".join(parts)


def cited_only(text: str, passages: list[Passage]) -> str:
    """The text without citations that lead nowhere."""
    known = {item["number"] for item in passages}

    def keep(match: re.Match[str]) -> str:
        numbers = [int(part) for part in match[1].split(",")]
        lead = " " if match[0].startswith(" ") else ""
        kept = "".join(f"[{number}]" for number in numbers if number in known)
        return lead + kept if kept else ""

    # Brackets inside script are indices, not citations.
    parts = re.split(r"(```.*?```|`[^`\n]*`)", text, flags=re.DOTALL)
    return "".join(part if number % 2 else _CITATION.sub(keep, part) for number, part in enumerate(parts)).strip()


def citations_in(text: str, passages: list[Passage]) -> list[Citation]:
    """The citations of a text in the order of their numbers."""
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    used = {int(part) for match in _CITATION.finditer(prose) for part in match[1].split(",")}
    return [
        Citation(
            number=item["number"],
            title=item["title"],
            heading=item["heading"],
            source=item["source"],
            url=item["url"],
            lines=item["lines"],
        )
        for item in passages
        if item["number"] in used
    ]


def extract(passages: list[Passage], language: str) -> str:
    """An answer without a model: the signatures and first sentences of the best passages, each with its number."""
    lines = ["According to the documentation:" if language == "en" else "根据文档："]
    for item in passages[:3]:
        prose = _told(item)
        first = " ".join(_SENTENCE.split(prose.replace("\n", " "))[:2]).strip()[:400]
        name = f"`{item['signatures'][0]}`" if item["signatures"] else item["heading"]
        lines.append(f"- {name}: {_CITATION.sub('', first)} [{item['number']}]")
    return "\n".join(lines)


def _told(passage: Passage) -> str:
    """What the passage says without its examples: of a function the details, else the section that is cited."""
    _, *found = _HEADING.split(_FENCED.sub("", passage["text"]))
    sections = {
        heading.strip(): text.strip() for heading, text in reversed(list(zip(found[::2], found[1::2], strict=True)))
    }
    own = passage["heading"].split(" > ")[-1]
    wanted = ("Details", "详情", own) if passage["function"] else (own,)
    told = next((sections[heading] for heading in wanted if sections.get(heading)), "")
    return told or next(iter(reversed(sections.values())), "")


def _progress(step: str, **more: Any) -> None:
    get_stream_writer()({"event": "retrieval", "step": step, **more})
