"""`ddb-agent threads`: list, show and delete conversations."""

from __future__ import annotations

import json

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from rich.console import Console
from rich.table import Table

from core.settings import Settings
from graph.host import open_host, unfinished
from terminal.ask import LOCAL_USER


async def list_threads(settings: Settings, *, limit: int, as_json: bool) -> None:
    async with open_host(settings) as host:
        threads = await host.threads.list(LOCAL_USER, limit=limit)
    if as_json:
        rows = [{"thread_id": t.thread_id, "title": t.title, "updated_at": t.updated_at.isoformat()} for t in threads]
        print(json.dumps(rows, ensure_ascii=False))
        return
    table = Table("thread", "title", "last used")
    for thread in threads:
        table.add_row(thread.thread_id, thread.title, f"{thread.updated_at:%Y-%m-%d %H:%M}")
    Console().print(table)


async def show_thread(settings: Settings, thread_id: str) -> None:
    console = Console()
    async with open_host(settings) as host:
        state = await host.state(LOCAL_USER, thread_id)
    for message in state.values.get("messages", []):
        if isinstance(message, HumanMessage):
            console.print(f"\nyou: {message.text}", style="bold", markup=False, highlight=False)
        elif isinstance(message, ToolMessage):
            console.print(f"  {message.name}: {message.text}", style="dim", markup=False, highlight=False)
        elif isinstance(message, AIMessage):
            for call in message.tool_calls:
                shown = call["args"].get("script") or json.dumps(call["args"], ensure_ascii=False)
                console.print(f"→ {call['name']}\n{shown}", style="cyan", markup=False, highlight=False)
            if message.text.strip():
                console.print(f"agent: {message.text}", markup=False, highlight=False)
    if unfinished(state):
        waits = "for you" if state.interrupts else "to be gone on with"
        console.print(f"\nThis thread waits {waits}: ddb-agent ask --thread {thread_id}", highlight=False)


async def delete_thread(settings: Settings, thread_id: str) -> None:
    async with open_host(settings) as host:
        await host.threads.delete(LOCAL_USER, thread_id)
    Console().print(f"deleted {thread_id}", highlight=False)
