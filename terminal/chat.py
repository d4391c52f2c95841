"""`ddb-agent chat`: a conversation."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from core.errors import UserError
from core.settings import Settings
from graph.history import question, understood_of
from graph.host import Host, open_host, run_config, unfinished
from graph.remembering import answered
from graph.review import ReviewRequest
from graph.state import Answer, Mode, RunContext
from rag.memory.examples import Examples
from terminal.ask import LOCAL_USER, check_question
from terminal.console import TextConsole
from terminal.conversation import Display, looked_after, thread_for, turn
from terminal.memory import show_examples, terms_command
from terminal.pins import pin
from terminal.review import YES, Ask, Decisions, Undecided, answer_all, ask_person, prompt
from terminal.saving import contents

HELP = """\
/plan          plan first, and wait for approval
/act           carry things out (the usual mode)
/use TARGET    pin a table or a file, so that the model always sees its description
/undo [WORDS]  ask the last question again as you wrote it, without what was made explicit; of several changes,
               those of the given numbers or words are taken back: /undo 2, /undo aapl
/remember      keep the last question and its script as an example for questions like it
/examples      the examples that you have
/terms         what your words mean; /terms WORD = MEANING says it, /terms WORD = forgets it
/save [FILE]   save the last answer: .md answer and script, .dos the script, .csv or .json its result
/thread        the id of this thread
/quit          leave; the thread stays
A text that opens ``` goes on until the line that closes it. Ctrl-C stops what runs."""
FENCE = "```"


class Chat:
    """The state of the prompt: where it is and what was said last."""

    def __init__(self, host: Host, console: Console, thread_id: str, mode: Mode) -> None:
        self.host = host
        self.console = console
        self.thread_id = thread_id
        self.mode = mode
        self.answer: Answer | None = None
        self._saved: set[Path] = set()
        self._as_written: tuple[str, tuple[str, ...]] = ("", ())
        """A question, and the words of it that were to be left as they stand."""

    async def resume(self) -> None:
        """Take up a thread: its mode, its last answer, and what it stopped in."""
        state = await self.host.state(LOCAL_USER, self.thread_id)
        self.mode = state.values.get("mode") or self.mode
        self.answer = state.values.get("answer")
        if unfinished(state):
            await self.say(None)

    async def say(self, text: str | None, *, rewrite: bool | None = None, as_written: tuple[str, ...] = ()) -> None:
        """A text as a question, or as the answer to what the thread waits for; None to go on."""
        ended = await turn(
            self.host,
            LOCAL_USER,
            self.thread_id,
            text,
            display=Display(self.console),
            review=self._review,
            mode=self.mode if text is not None else None,
            context=RunContext(owner=LOCAL_USER, rewrite=rewrite, as_written=as_written),
            answer_waiting=answer_all,
        )
        if ended.waiting is not None:
            self.console.print("Not decided. Press Enter to see it again, or type your answer.", style="dim")
            return
        self.answer = ended.answer
        state = await self.host.state(LOCAL_USER, self.thread_id)
        self.mode = state.values.get("mode") or self.mode

    async def go_on(self) -> None:
        """What an empty line means: back to what waits, if anything does."""
        if unfinished(await self.host.state(LOCAL_USER, self.thread_id)):
            await self.say(None)

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
                saved = await self._save(rest or "answer.md")
                if saved is not None:
                    self.console.print(f"saved: {saved}", markup=False, highlight=False, soft_wrap=True)
            case "/undo":
                await self._undo(rest)
            case "/remember":
                await self._remember()
            case "/examples":
                await show_examples(self.host.deps.store, self.console)
            case "/terms":
                await terms_command(self.host.deps.store, rest, self.console)
            case "/thread":
                self.console.print(self.thread_id, markup=False, highlight=False)
            case "/help":
                self.console.print(HELP, markup=False, highlight=False)
            case _:
                raise UserError(f"There is no command {word}.", "Type /help for the commands.")
        return True

    def _review(self, request: ReviewRequest) -> Decisions | None:
        return ask_person(request, self.console, prompt(self.console))

    async def _undo(self, which: str) -> None:
        messages = (await self.host.state(LOCAL_USER, self.thread_id)).values.get("messages", [])
        asked = question(messages)
        understood = understood_of(asked)
        if asked is None or understood is None or not understood["changes"]:
            raise UserError("Nothing of the last question was changed.", "Its words went to the model as they are.")
        if not which:
            self.console.print(f"again, as it stands: {asked.text}", style="dim", markup=False, highlight=False)
            await self.say(asked.text, rewrite=False)
            return
        before = self._as_written[1] if self._as_written[0] == asked.text else ()
        changed = [item["original"] for item in understood["changes"]]
        self._as_written = (asked.text, (*before, *_chosen(changed, which)))
        left = ", ".join(f'"{words}"' for words in self._as_written[1])
        self.console.print(f"again, with {left} as it stands", style="dim", markup=False, highlight=False)
        await self.say(asked.text, as_written=self._as_written[1])

    async def _remember(self) -> None:
        messages = (await self.host.state(LOCAL_USER, self.thread_id)).values.get("messages", [])
        found = answered(messages)
        kept = await Examples(self.host.deps.store).save(LOCAL_USER, found.question, found.script)
        self.console.print(f"remembered as {kept.id}: {kept.question}", markup=False, highlight=False, soft_wrap=True)

    async def _use(self, target: str) -> None:
        if not target:
            raise UserError("/use needs a table or a file.", "For example: /use trades or /use prices.csv.")
        made = await pin(self.host, LOCAL_USER, self.thread_id, target)
        state = await self.host.state(LOCAL_USER, self.thread_id)
        if unfinished(state):
            raise UserError("The thread waits for you.", "Decide first: press Enter to see what it waits for.")
        kept = [item for item in state.values.get("pins", []) if item["name"] != made["name"]]
        await self.host.graph().aupdate_state(run_config(self.thread_id), {"pins": [*kept, made]}, as_node="complete")
        self.console.print(f"pinned: {made['name']}", markup=False, highlight=False)

    async def _save(self, target: str) -> Path | None:
        if self.answer is None:
            raise UserError("There is no answer to save yet.", "Ask something first.")
        path = await asyncio.to_thread(lambda: Path(target).expanduser().resolve())
        state = await self.host.state(LOCAL_USER, self.thread_id)
        data = await contents(path, self.answer, state.values["messages"], self.host.deps.artifacts, LOCAL_USER)
        if path not in self._saved and await asyncio.to_thread(path.exists):
            try:
                if prompt(self.console)(f"{path} is there already. Replace it? [y/n] ").strip().lower() not in YES:
                    return None
            except Undecided:
                return None
        try:
            await asyncio.to_thread(path.write_bytes, data)
        except OSError as error:
            raise UserError(f"{path} cannot be written: {error.strerror}.", "Choose another file.") from None
        self._saved.add(path)
        return path


async def chat(settings: Settings, *, mode: Mode, thread_id: str | None) -> int:
    console = TextConsole()
    read = prompt(console)
    async with open_host(settings) as host, looked_after(host, LOCAL_USER):
        thread = await thread_for(host, LOCAL_USER, thread_id, "chat" if thread_id is None else None)
        talk = Chat(host, console, thread.thread_id, mode)
        entry = host.deps.models.entry("actor")
        console.print(f"thread {thread.name}, model {entry.name}. /help for commands.", style="dim", highlight=False)
        if thread_id is not None:
            await _guarded(talk, talk.resume())
        while True:
            try:
                line = _read(read, talk.mode)
            except Undecided:
                break
            if line.startswith("/") and "\n" not in line:
                leaving = not await _guarded(talk, talk.command(line))
            elif line:
                leaving = not await _guarded(talk, _say(talk, line))
            else:
                leaving = not await _guarded(talk, talk.go_on())
            if leaving:
                break
    return 0


def _chosen(changed: Sequence[str], which: str) -> list[str]:
    """Those of the changed words that are meant by their numbers, from 1, or by a part of them."""
    numbers = re.findall(r"\d+", which) if re.fullmatch(r"[\d\s,]+", which) else []
    if numbers and all(1 <= int(number) <= len(changed) for number in numbers):
        return [changed[int(number) - 1] for number in numbers]
    named = [words for words in changed if which.strip("\"'“” ").lower() in words.lower()]
    if not named:
        listed = ", ".join(f'{number}. "{words}"' for number, words in enumerate(changed, 1))
        raise UserError(f"{which} is none of the changes.", f"Give a number or words of: {listed}.")
    return named


def _read(ask: Ask, mode: Mode) -> str:
    """One line, or all lines of a text that opens a fence."""
    lines = [ask(f"\n{mode}> ")]
    while "\n".join(lines).count(FENCE) % 2:
        lines.append(ask("... "))
    return "\n".join(lines).strip()


async def _say(talk: Chat, line: str) -> None:
    check_question(line, talk.thread_id)
    await talk.say(line)


async def _guarded(talk: Chat, work: Coroutine[Any, Any, bool | None]) -> bool:
    """Do what a line says; errors that a user can cause are shown, Ctrl-C stops it, and the conversation goes on."""
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)
    loop.add_signal_handler(signal.SIGINT, task.cancel)
    try:
        return await task is not False
    except asyncio.CancelledError:
        talk.console.print("\nStopped.", style="yellow")
    except UserError as error:
        talk.console.print(f"error: {error.message}", style="red", markup=False, highlight=False, soft_wrap=True)
        if error.remedy:
            talk.console.print(error.remedy, style="dim", markup=False, highlight=False, soft_wrap=True)
    finally:
        loop.remove_signal_handler(signal.SIGINT)
    return True
