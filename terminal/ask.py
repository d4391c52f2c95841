"""`ddb-agent ask`: one question, one answer."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from typing import Any

from langchain_core.messages import AIMessage, ToolMessage
from rich.console import Console

from core.errors import UserError
from core.settings import Settings
from core.threads import Thread
from dolphin.script import parse
from dolphin.script.errors import ScriptSyntaxError
from dolphin.script.syntax import Assign
from graph.history import since_question
from graph.host import Host, open_host
from graph.judgement import script_of
from graph.review import ReviewRequest
from graph.state import Mode, RunContext
from graph.tools import toolbox
from terminal.console import TextConsole
from terminal.conversation import Display, Turn, looked_after, thread_for, turn
from terminal.review import Decisions, answer_all, approve_all, ask_person, prompt, show

LOCAL_USER = "local"
COMPLETED, FAILED, WAITING = 0, 1, 3
MAX_QUESTION = 1_000_000
SESSION_ENDS = (
    "What was set in the session (variables, in-memory tables) ends with this command: to go on with it, use"
    " ddb-agent chat, or save it to a database."
)


async def ask(
    settings: Settings,
    question: str | None,
    *,
    mode: Mode | None,
    thread_id: str | None,
    yes: bool,
    as_json: bool,
    rewrite: bool | None = None,
) -> int:
    """Ask, print, and return the exit code: 0 answered, 1 failed, 3 waiting for a person."""
    check_question(question, thread_id)
    console = TextConsole()
    interactive = sys.stdin.isatty() and not as_json

    def review(request: ReviewRequest) -> Decisions | None:
        if yes and (decisions := approve_all(request)) is not None:
            return decisions
        return ask_person(request, console, prompt(console)) if interactive else None

    async with open_host(settings) as host, looked_after(host, LOCAL_USER):
        thread = await thread_for(host, LOCAL_USER, thread_id, question)
        try:
            ended = await turn(
                host,
                LOCAL_USER,
                thread.thread_id,
                question,
                display=Display(console, quiet=as_json),
                review=review,
                mode=mode,
                context=RunContext(owner=LOCAL_USER, interactive=interactive, rewrite=rewrite),
                answer_waiting=answer_all,
            )
        except (asyncio.CancelledError, OSError, UserError):
            sys.stderr.write(f"thread: {thread.name} (go on with: ddb-agent ask --thread {thread.name})\n")
            raise
        ends_with_it = not as_json and ended.ran and await leaves_variables(host, thread.thread_id)
    if as_json:
        sys.stdout.write(json.dumps(summary(ended, thread), ensure_ascii=False, default=str) + "\n")
    else:
        report(ended, thread.name, console, shown=interactive)
        if ends_with_it:
            console.print(SESSION_ENDS, style="dim", markup=False, highlight=False, soft_wrap=True)
    return exit_code(ended)


async def leaves_variables(host: Host, thread_id: str) -> bool:
    """Whether the last question set variables or tables in its session, which ends with this process."""
    tools = toolbox(host.deps)
    messages = since_question((await host.state(LOCAL_USER, thread_id)).values.get("messages", []))
    done = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    calls = [call for message in messages if isinstance(message, AIMessage) for call in message.tool_calls]
    scripts = (script_of(call["name"], call["args"], tools) for call in calls if call["id"] in done)
    return any(script is not None and _assigns(script) for script in scripts)


def _assigns(script: str) -> bool:
    try:
        return any(isinstance(statement, Assign) for statement in parse(script).statements)
    except ScriptSyntaxError:
        return False


def check_question(question: str | None, thread_id: str | None) -> None:
    """Raises UserError for what cannot be asked."""
    if question is None and thread_id is None:
        raise UserError("There is no question.", 'Write it as an argument: ddb-agent ask "list the tables".')
    if question is not None and not question.strip():
        raise UserError("The question is empty.", 'Write it as an argument: ddb-agent ask "list the tables".')
    if question is not None and len(question) > MAX_QUESTION:
        raise UserError(
            f"The question has {len(question)} characters, more than {MAX_QUESTION}.", "Put data in a file."
        )
    if question is not None and re.search("[\0\ud800-\udfff]", question):
        raise UserError("The question is not text: it has NUL characters or bytes that are no UTF-8.", "Send text.")


def summary(ended: Turn, thread: Thread) -> dict[str, Any]:
    """`thread_id` is what the thread is called here, `id` what the HTTP API knows it by."""
    answer = ended.answer
    return {
        "thread_id": thread.name,
        "id": thread.thread_id,
        "status": "waiting" if ended.waiting else (answer["status"] if answer else "failed"),
        "answer": answer["text"] if answer else None,
        "scripts": answer["scripts"] if answer else [],
        "artifacts": answer["artifacts"] if answer else [],
        "citations": answer["citations"] if answer else [],
        "understood": answer.get("understood") if answer else None,
        "tokens": {
            "input": answer["input_tokens"] if answer else 0,
            "output": answer["output_tokens"] if answer else 0,
        },
        "waiting": ended.waiting,
    }


def report(ended: Turn, thread: str, console: Console, *, shown: bool) -> None:
    """Prints what follows the answer; `shown` tells that the person has seen what waits."""
    if ended.waiting is not None:
        if not shown:
            show(ended.waiting, console)
        console.print(
            f"\nWaiting for you. Go on with: ddb-agent ask --thread {thread} --yes,"
            f' or answer with a text: ddb-agent ask "…" --thread {thread}',
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        return
    if not ended.ran:
        console.print("Nothing is left to do on this thread. Its last answer:\n", style="dim")
        console.print(ended.answer["text"] if ended.answer else "(none)", markup=False, highlight=False, soft_wrap=True)
    notes = [f"thread: {thread}"]
    if ended.answer and ended.answer["artifacts"]:
        notes.insert(0, f"full results: ddb-agent chat --thread {thread}, then /save FILE")
    console.print("\n".join(notes), style="dim", markup=False, highlight=False, soft_wrap=True)


def exit_code(ended: Turn) -> int:
    if ended.waiting is not None:
        return WAITING
    return COMPLETED if ended.answer is not None and ended.answer["status"] == "completed" else FAILED
