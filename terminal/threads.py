"""`ddb-agent threads`: list, show and delete conversations."""

from __future__ import annotations

import json

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from rich.table import Column, Table
from rich.text import Text

from core.settings import Settings
from graph.host import open_host, unfinished
from terminal.ask import LOCAL_USER
from terminal.console import TextConsole, visible


async def list_threads(settings: Settings, *, limit: int, as_json: bool) -> None:
    async with open_host(settings) as host:
        threads = await host.threads.list(LOCAL_USER, limit=limit)
    if as_json:
        rows = [
            {"thread_id": t.name, "id": t.thread_id, "title": t.title, "updated_at": t.updated_at.isoformat()}
            for t in threads
        ]
        print(json.dumps(rows, ensure_ascii=False))
        return
    table = Table(Column("thread", no_wrap=True), "title", Column("last used", no_wrap=True))
    for thread in threads:
        title, used = visible(thread.title), f"{thread.updated_at.astimezone():%Y-%m-%d %H:%M}"
        table.add_row(Text(visible(thread.name)), Text(title), used)
    TextConsole().print(table)


async def show_thread(settings: Settings, name: str) -> None:
    console = TextConsole()

    def show(text: str, style: str = "") -> None:
        console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    async with open_host(settings) as host:
        thread = await host.threads.find(LOCAL_USER, name)
        state = await host.state(LOCAL_USER, thread.thread_id)
    for message in state.values.get("messages", []):
        if isinstance(message, HumanMessage):
            show(f"\nyou: {message.text}", "bold")
        elif isinstance(message, ToolMessage):
            show(f"  {message.name}: {message.text}", "dim")
        elif isinstance(message, AIMessage):
            for call in message.tool_calls:
                arguments = call["args"].get("script") or json.dumps(call["args"], ensure_ascii=False)
                show(f"→ {call['name']}\n{arguments}", "cyan")
            if message.text.strip():
                show(f"agent: {message.text}")
    if unfinished(state):
        waits = "for you" if state.interrupts else "to be gone on with"
        show(f"\nThis thread waits {waits}: ddb-agent ask --thread {thread.name}")


async def delete_thread(settings: Settings, name: str) -> None:
    async with open_host(settings) as host:
        thread = await host.threads.find(LOCAL_USER, name)
        await host.threads.delete(LOCAL_USER, thread.thread_id)
    TextConsole().print(f"deleted {thread.name}", markup=False, highlight=False, soft_wrap=True)
