"""A thread's tools as the offline model sees them, played without a database."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from core.offline import OfflineModel

SCHEMAS = {
    "trades": (["sym SYMBOL", "ts TIMESTAMP", "price DOUBLE", "qty INT"], {"sym": ["AAPL", "MSFT", "GOOG"]}),
    "quotes": (
        ["sym SYMBOL", "ts TIMESTAMP", "bid DOUBLE", "ask DOUBLE", "bidSize INT", "askSize INT"],
        {"sym": ["AAPL", "MSFT"]},
    ),
    "timeseries": (
        ["device SYMBOL", "ts TIMESTAMP", "temperature DOUBLE", "humidity DOUBLE"],
        {"device": ["d1", "d2"]},
    ),
    "stocks": (["symbol SYMBOL", "date DATE", "price DOUBLE"], {"symbol": ["MSFT"]}),
    "weather": (
        [
            "location SYMBOL",
            "date DATE",
            "precipitation DOUBLE",
            "temp_max DOUBLE",
            "temp_min DOUBLE",
            "wind DOUBLE",
            "weather SYMBOL",
        ],
        {"location": ["Seattle"], "weather": ["drizzle", "rain"]},
    ),
}

ALL_TOOLS = [
    "list_tables",
    "describe_table",
    "inspect_database",
    "run_dolphindb_script",
    "query_data",
    "create_sample_data",
    "validate_script",
    "optimize_query",
    "ask_for_human_feedback",
    "attempt_completion",
]
PLAN_TOOLS = ["list_tables", "describe_table", "inspect_database", "ask_for_human_feedback", "plan_mode_response"]

ONE_ROW = "TABLE 1 rows x 1 columns\ncolumns: value DOUBLE\n| value |\n|---|\n| 187.25 |"


def table_preview(columns: list[str], rows: list[list[object]], total: int | None = None) -> str:
    """A result as run_dolphindb_script prints it."""
    count = len(rows) if total is None else total
    names = [column.split(" ")[0] for column in columns]
    lines = [f"TABLE {count} rows x {len(columns)} columns", "columns: " + ", ".join(columns)]
    lines += ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    printed = ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    if count > len(rows):
        printed.insert(10, f"… ({count - len(rows)} rows not shown)")
    return "\n".join(lines + printed)


def documented(tables: list[str], found: str) -> World:
    """A world with a knowledge base in which every search finds the same."""
    return World(tables, documentation=found, tools=[*ALL_TOOLS, "search_knowledge_base"])


@dataclass
class World:
    """Tables by name, and what scripts return; `human` answers questions, `review` may refuse a script.

    `documentation` is what a search of the knowledge base finds, which is among the tools of `documented` worlds.
    """

    tables: list[str]
    run: Callable[[str], str] = lambda script: ONE_ROW
    human: Callable[[str, list[str]], str] | None = None
    review: Callable[[str], str | None] = lambda script: None
    databases: list[str] = field(default_factory=list)
    stored: list[dict[str, Any]] = field(default_factory=list)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    pinned: str = ""
    documentation: str = "Not found in the documentation."
    tools: list[str] = field(default_factory=lambda: list(ALL_TOOLS))
    mode: str = "act"
    messages: list[BaseMessage] = field(default_factory=list)

    def model(self) -> Any:
        schemas = [
            {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
            for name in self.tools
        ]
        return OfflineModel().bind_tools(schemas)

    def system(self) -> SystemMessage:
        return SystemMessage(
            f"You are an agent.\n\nMODE: {self.mode}\n\n## Pinned context\n{self.pinned}\n\n## Rules\n…"
        )

    def ask(self, question: str, limit: int = 20) -> str:
        """Run the question to its end; the final answer's text. Arguments of the completion are in `calls[-1]`."""
        self.messages.append(HumanMessage(question))
        return self.go(limit)

    def go(self, limit: int = 20) -> str:
        for _ in range(limit):
            message = self.model().invoke([self.system(), *self.messages])
            assert isinstance(message, AIMessage)
            self.messages.append(message)
            if not message.tool_calls:
                return message.text
            (call,) = message.tool_calls
            name, args = call["name"], call["args"]
            assert name in self.tools
            self.calls.append((name, args))
            if name == "plan_mode_response":
                return args["plan"]
            content, failed = self.answer(name, args)
            status = "error" if failed else "success"
            self.messages.append(ToolMessage(content, tool_call_id=call["id"], status=status))
            if name == "attempt_completion":
                return args["answer"]
        raise AssertionError(f"no end after {limit} calls: {self.calls}")

    def answer(self, name: str, args: dict[str, Any]) -> tuple[str, bool]:
        if name == "list_tables":
            tables = [
                {"name": t, "reference": t, "kind": "memory", "rows": 100, "columns": SCHEMAS[t][0]}
                for t in self.tables
            ]
            return json.dumps({"tables": [*tables, *self.stored], "databases": self.databases}), False
        if name == "describe_table":
            table = args["table"]
            if table not in SCHEMAS:
                return f"ERROR: no table {table}", True
            columns, samples = SCHEMAS[table]
            described = [dict(zip(("name", "type"), column.split(" "), strict=True)) for column in columns]
            rows = max((len(values) for values in samples.values()), default=1)
            sample = [
                {
                    column["name"]: samples.get(column["name"], ["1"])[i % len(samples.get(column["name"], ["1"]))]
                    for column in described
                }
                for i in range(rows)
            ]
            return json.dumps(
                {"name": table, "reference": table, "rows": 100, "columns": described, "sample": sample}
            ), False
        if name == "run_dolphindb_script":
            self.scripts.append(args["script"])
            refusal = self.review(args["script"])
            if refusal is not None:
                return f"The user rejected this script: {refusal}", True
            text = self.run(args["script"])
            return text, text.startswith("ERROR")
        if name == "ask_for_human_feedback":
            assert self.human is not None, f"unexpected question: {args['question']}"
            return self.human(args["question"], args["options"]), False
        if name == "search_knowledge_base":
            return self.documentation, False
        if name == "create_sample_data":
            self.tables.append(args["name"])
            return f"Created {args['name']}: {args['rows']} rows of {args['kind']}.", False
        if name == "validate_script":
            return json.dumps({"ok": True, "effects": ["read"], "level": "read", "findings": []}), False
        if name == "attempt_completion":
            return "done", False
        raise AssertionError(f"no answer for {name}")

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


def unknown_column(columns: list[str]) -> Callable[[str], str]:
    """A server that knows only these columns; any other word it is asked to aggregate is an error with a hint."""

    def run(script: str) -> str:
        for name in re.findall(r"\b(?:avg|sum|max|min|std|med)\((\w+)\)", script):
            if name not in columns:
                return (
                    f"ERROR: Unrecognized column name [{name}]\nHINT: columns of t: {', '.join(columns)}; read "
                    "documentation of avg"
                )
        return ONE_ROW

    return run
