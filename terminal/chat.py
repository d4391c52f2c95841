"""`ddb-agent chat`: a conversation."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rich.console import Console

from core.errors import UserError
from core.settings import Settings
from graph.host import Host, open_host, run_config, unfinished
from graph.review import ReviewRequest
from graph.state import Answer, Mode
from terminal.ask import LOCAL_USER, check_question
from terminal.conversation import Display, thread_for, turn
from terminal.pins import pin
from terminal.review import Decisions, ask_person, prompt

HELP = """\
/plan          plan first, and wait for approval
/act           carry things out (the usual mode)
/use TARGET    pin a table or a file, so that the model always sees its description
/save [FILE]   save the last answer: .md answer and script, .dos the script, .csv or .json its result
/thread        the id of this thread
/quit          leave; the thread stays"""


class Chat:
    """The state of the prompt: where it is and what was said last."""

    def __init__(self, host: Host, console: Console, thread_id: str, mode: Mode) -> None:
        self.host = host
        self.console = console
        self.thread_id = thread_id
        self.mode = mode
        self.answer: Answer | None = None

    async def say(self, text: str | None) -> None:
        ended = await turn(
            self.host,
            LOCAL_USER,
            self.thread_id,
            text,
            display=Display(self.console),
            review=self._review,
            mode=self.mode if text is not None else None,
        )
        self.answer = ended.answer
        state = await self.host.state(LOCAL_USER, self.thread_id)
        self.mode = state.values.get("mode") or self.mode

    async def command(self, line: str) -> bool:
        """Carry out a slash command; False to leave."""
        word, _, rest = line.partition(" ")
        rest = rest.strip()
        match word:
            case "/quit" | "/exit" | "/q":
                return False
            case "/plan" | "/act":
                self.mode = "plan" if word == "/plan" else "act"
                self.console.print(f"mode: {self.mode}")
                if rest:
                    await self.say(rest)
            case "/use":
                await self._use(rest)
            case "/save":
                self.console.print(f"saved: {await self._save(rest or 'answer.md')}", highlight=False)
            case "/thread":
                self.console.print(self.thread_id, highlight=False)
            case "/help":
                self.console.print(HELP, markup=False, highlight=False)
            case _:
                raise UserError(f"There is no command {word}.", "Type /help for the commands.")
        return True

    def _review(self, request: ReviewRequest) -> Decisions | None:
        return ask_person(request, self.console, prompt(self.console))

    async def _use(self, target: str) -> None:
        if not target:
            raise UserError("/use needs a table or a file.", "For example: /use trades or /use prices.csv.")
        made = await pin(self.host, LOCAL_USER, self.thread_id, target)
        state = await self.host.state(LOCAL_USER, self.thread_id)
        kept = [item for item in state.values.get("pins", []) if item["name"] != made["name"]]
        await self.host.graph().aupdate_state(run_config(self.thread_id), {"pins": [*kept, made]}, as_node="complete")
        self.console.print(f"pinned: {made['name']}", highlight=False)

    async def _save(self, target: str) -> Path:
        if self.answer is None:
            raise UserError("There is no answer to save yet.", "Ask something first.")
        path = await asyncio.to_thread(lambda: Path(target).expanduser().resolve())
        match path.suffix:
            case ".dos":
                data = self.answer["script"].encode()
            case ".csv" | ".json":
                data = await self._result(path.suffix)
            case _:
                data = f"{self.answer['text']}\n\n```\n{self.answer['script']}\n```\n".encode()
        try:
            await asyncio.to_thread(path.write_bytes, data)
        except OSError as error:
            raise UserError(f"{path} cannot be written: {error.strerror}.", "Choose another file.") from None
        return path

    async def _result(self, suffix: str) -> bytes:
        artifacts = self.host.deps.artifacts
        for artifact_id in reversed(self.answer["artifacts"] if self.answer else []):
            if (await artifacts.get(LOCAL_USER, artifact_id)).name.endswith(suffix):
                return await artifacts.read(LOCAL_USER, artifact_id)
        raise UserError(
            f"The last answer kept no {suffix} result.", "Results that were shown whole are in the answer: use .md."
        )


async def chat(settings: Settings, *, mode: Mode, thread_id: str | None) -> int:
    console = Console()
    async with open_host(settings) as host:
        thread = await thread_for(host, LOCAL_USER, thread_id, "chat" if thread_id is None else None)
        talk = Chat(host, console, thread, mode)
        entry = host.deps.models.entry("actor")
        console.print(f"thread {thread}, model {entry.name}. /help for commands.", style="dim", highlight=False)
        if thread_id is not None and unfinished(await host.state(LOCAL_USER, thread)):
            await _guarded(talk, None)
        while True:
            try:
                line = console.input(f"\n[bold]{talk.mode}>[/] ").strip()
            except (EOFError, KeyboardInterrupt):
                break
            if line and not await _guarded(talk, line):
                break
    return 0


async def _guarded(talk: Chat, line: str | None) -> bool:
    """One line; errors that a user can cause are shown and the conversation goes on."""
    try:
        if line is not None and line.startswith("/"):
            return await talk.command(line)
        check_question(line, talk.thread_id)
        await talk.say(line)
    except UserError as error:
        talk.console.print(f"[red]error:[/] {error.message}", highlight=False)
        if error.remedy:
            talk.console.print(error.remedy, style="dim", markup=False, highlight=False)
    return True
