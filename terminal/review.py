"""Requests for approval at the terminal."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from rich.console import Console

from core.errors import UserError
from graph.review import ReviewRequest
from terminal.console import script_block

Decisions: TypeAlias = list[dict[str, Any]]
Ask: TypeAlias = Callable[[str], str]

YES = ("y", "yes", "是", "好")
NO = ("n", "no", "否", "不")

# What --yes never approves: nobody has looked whether the first run went through.
NEVER_AUTOMATIC = {"unfinished_write"}


class Undecided(Exception):  # noqa: N818, no error
    """The person left without deciding."""


def approve_all(request: ReviewRequest) -> Decisions | None:
    """Approvals for everything, or None when something needs a person's own answer."""
    decisions = []
    for config in request["review_configs"]:
        if "approve" not in config["allowed_decisions"] or config["action_name"] in NEVER_AUTOMATIC:
            return None
        decisions.append({"type": "approve"})
    return decisions


def answer_all(request: ReviewRequest, text: str) -> Decisions:
    """One text as the answer to everything: yes or no where that is asked, else a response or a rejection with it."""
    return [_typed(text, config["allowed_decisions"]) for config in request["review_configs"]]


def _typed(text: str, allowed: list[Any]) -> dict[str, Any]:
    word = text.strip().lower()
    if word in YES and "approve" in allowed:
        return {"type": "approve"}
    if word in NO and "approve" in allowed:
        return {"type": "reject", "message": ""}
    return {"type": "respond" if "respond" in allowed else "reject", "message": text}


def prompt(console: Console) -> Ask:
    """Reads lines at the console. Raises Undecided when the person leaves instead: by Ctrl-C or the end of input."""

    def ask(text: str) -> str:
        with _plain_interrupts() as signalled:
            try:
                console.print(text, markup=False, end="")
                if sys.stdin.isatty():
                    _wait_for_line(signalled)
                return console.input()
            except (EOFError, KeyboardInterrupt):
                console.print()
                raise Undecided from None

    return ask


def _wait_for_line(signalled: int) -> None:
    """A Ctrl-C that comes just before the terminal is read would be lost in the reading."""
    while sys.stdin not in select.select([sys.stdin, signalled], [], [])[0]:
        os.read(signalled, 64)


@contextmanager
def _plain_interrupts() -> Iterator[int]:
    """Ctrl-C raises KeyboardInterrupt; yields a descriptor that can be read once a signal came."""
    # asyncio's own handler would only note the Ctrl-C, and the line would go on being read.
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    signalled, told = os.pipe()
    os.set_blocking(told, False)
    wakeup = signal.set_wakeup_fd(told)
    try:
        yield signalled
    finally:
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGINT, earlier)
        os.close(signalled)
        os.close(told)


def ask_person(request: ReviewRequest, console: Console, ask: Ask) -> Decisions | None:
    """Show each request and read y, edit, n with a reason, or a free answer; None when the person leaves undecided."""
    try:
        return [
            _decide(action["name"], action["args"], action["description"], config["allowed_decisions"], console, ask)
            for action, config in zip(request["action_requests"], request["review_configs"], strict=True)
        ]
    except Undecided:
        return None


def show(request: ReviewRequest, console: Console) -> None:
    for action in request["action_requests"]:
        _show(action["name"], action["args"], action["description"], console)


def _show(name: str, args: dict[str, Any], description: str, console: Console) -> None:
    console.print(f"\n? {name}", style="bold yellow", markup=False, highlight=False)
    console.print(description, markup=False, highlight=False, soft_wrap=True)
    if script := args.get("script"):
        console.print(script_block(str(script)))
    if content := args.get("content"):
        console.print(str(content), style="dim", markup=False, highlight=False, soft_wrap=True)
    if options := args.get("options"):
        console.print("   " + " | ".join(options), markup=False, highlight=False)


def _decide(
    name: str, args: dict[str, Any], description: str, allowed: list[Any], console: Console, ask: Ask
) -> dict[str, Any]:
    _show(name, args, description, console)
    if "approve" not in allowed:
        return _respond(allowed, ask)
    choices = [word for kind, word in (("approve", "y"), ("edit", "edit"), ("reject", "n")) if kind in allowed]
    while True:
        given = ask(f"[{'/'.join(choices)}] ").strip()
        if given.lower() in ("e", "edit") and "edit" in allowed:
            try:
                edited = edit(name, args)
            except UserError as error:
                console.print(str(error), style="red", markup=False, highlight=False)
                continue
            if edited is not None:
                return {"type": "edit", "edited_action": {"name": name, "args": edited}}
            console.print("Nothing was changed.")
        elif given.lower() in NO:
            return {"type": "reject", "message": ask("Why? (Enter for no reason) ").strip()}
        elif given:
            return _typed(given, allowed)


def _respond(allowed: list[Any], ask: Ask) -> dict[str, Any]:
    while not (given := ask("> ").strip()):
        if "reject" in allowed:
            return {"type": "reject", "message": ""}
    return {"type": "respond", "message": given}


def edit(name: str, args: dict[str, Any]) -> dict[str, Any] | None:
    """The arguments after a visit to $EDITOR: the script alone where there is one, else all of them as JSON.

    None when nothing was changed. Raises UserError when the editor cannot be started or leaves no JSON object.
    """
    script = args.get("script")
    text = script if isinstance(script, str) else json.dumps(args, ensure_ascii=False, indent=2)
    changed = _in_editor(text, ".dos" if isinstance(script, str) else ".json")
    if changed.strip() == text.strip():
        return None
    if isinstance(script, str):
        return {**args, "script": changed.rstrip("\n")}
    try:
        parsed = json.loads(changed)
    except json.JSONDecodeError as error:
        raise UserError(f"What was edited for {name} is no JSON: {error}.", "Edit it again.") from None
    if not isinstance(parsed, dict):
        raise UserError(f"What was edited for {name} is no JSON object.", "Edit it again.")
    return parsed


def _in_editor(text: str, suffix: str) -> str:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"edit{suffix}"
        path.write_text(text + "\n", "utf-8")
        try:
            subprocess.run([*editor.split(), str(path)], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise UserError(f"The editor {editor!r} failed: {error}.", "Set EDITOR to one that works.") from None
        return path.read_text("utf-8")
