"""The command line: parse, call, print."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sys
from collections.abc import Callable, Coroutine
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from core.errors import UserError
    from core.settings import Settings

# What a full disk, a full device or a file that may not be written answers.
CANNOT_WRITE = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EIO)

app = typer.Typer(
    help="A data agent for DolphinDB: plain Chinese or English in, scripts and answers out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
threads_app = typer.Typer(help="Conversations.", no_args_is_help=True)
engine_app = typer.Typer(help="The embedded DolphinDB-compatible engine.", no_args_is_help=True)
kb_app = typer.Typer(help="The knowledge base: DolphinDB's documentation and your own.", no_args_is_help=True)
app.add_typer(threads_app, name="threads")
app.add_typer(kb_app, name="kb")
env_app = typer.Typer(help="Environments: DolphinDB servers to rent and give back.", no_args_is_help=True)
user_app = typer.Typer(help="Users of the HTTP server.", no_args_is_help=True)
memory_app = typer.Typer(help="What the agent was told to remember.", no_args_is_help=True)
examples_app = typer.Typer(help="Questions with the scripts that answered them.", no_args_is_help=True)
terms_app = typer.Typer(help="What your words mean.", no_args_is_help=True)
memory_app.add_typer(examples_app, name="examples")
memory_app.add_typer(terms_app, name="terms")
app.add_typer(memory_app, name="memory")
app.add_typer(env_app, name="env")
app.add_typer(user_app, name="user")
app.add_typer(engine_app, name="engine")


class Mode(StrEnum):
    plan = "plan"
    act = "act"


@app.command()
def ask(
    question: Annotated[str | None, typer.Argument(help="The question; leave out to go on with a thread.")] = None,
    mode: Annotated[Mode | None, typer.Option(help="plan: propose first; act: carry out.")] = None,
    thread: Annotated[str | None, typer.Option(help="The thread, by its id or by a name of your choice.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Approve plans and scripts unasked.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    rewrite: Annotated[
        bool | None,
        typer.Option("--rewrite/--no-rewrite", help="Make times, your terms and values explicit first, or do not."),
    ] = None,
) -> None:
    """Ask one question. Exit code 0: answered, 1: failed, 3: waiting for your decision."""
    from terminal.ask import ask as run_ask

    work = run_ask(
        _logged_settings(), question, mode=_mode(mode), thread_id=thread, yes=yes, as_json=as_json, rewrite=rewrite
    )
    _exit(work)


@app.command()
def chat(
    mode: Annotated[Mode, typer.Option(help="The mode to start in.")] = Mode.act,
    thread: Annotated[str | None, typer.Option(help="The thread, by its id or by a name of your choice.")] = None,
) -> None:
    """Talk with the agent; scripts and results are shown as they come."""
    from terminal.chat import chat as run_chat

    _exit(run_chat(_logged_settings(), mode=_mode(mode) or "act", thread_id=thread))


@app.command()
def demo() -> None:
    """Answer real questions about real data: stock prices and weather."""
    from terminal.demo import demo as run_demo

    _exit(run_demo(_logged_settings()))


@app.command()
def doctor() -> None:
    """Tell what is configured, what is embedded, what fails and what to do about it."""
    from terminal.doctor import doctor as run_doctor

    _exit(run_doctor(_logged_settings()))


@app.command()
def serve(
    host: Annotated[str, typer.Option()] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 2024,
    config: Annotated[Path | None, typer.Option(help="A langgraph.json; the agent's own when left out.")] = None,
    worker: Annotated[bool, typer.Option(help="Execute runs in this process too.")] = True,
) -> None:
    """Serve LangGraph's thread API over HTTP."""
    from terminal.serve import serve as run_serve

    _blocking(lambda: run_serve(_settings(), host=host, port=port, config=config, worker=worker))


@app.command()
def worker(
    config: Annotated[Path | None, typer.Option(help="A langgraph.json; the agent's own when left out.")] = None,
) -> None:
    """Execute runs for servers over the same database."""
    from terminal.serve import work

    _blocking(lambda: work(_settings(), config=config))


@user_app.command("add")
def user_add(
    name: str,
    admin: Annotated[bool, typer.Option("--admin")] = False,
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True)] = "",
) -> None:
    """Add a user; asks for the password."""
    from terminal.serve import add_user

    _run(add_user(_settings(), name, password, admin=admin))


@user_app.command("list")
def user_list() -> None:
    """List the users as JSON, one a line."""
    import json

    from terminal.serve import list_users

    for user in _run(list_users(_settings())):
        typer.echo(json.dumps(user, ensure_ascii=False, default=str))


@user_app.command("disable")
def user_disable(name: str, undo: Annotated[bool, typer.Option("--undo")] = False) -> None:
    """Disable a user at once; with --undo, let them in again."""
    from terminal.serve import disable_user

    _run(disable_user(_settings(), name, disabled=not undo))


@user_app.command("passwd")
def user_password(
    name: str,
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True)] = "",
) -> None:
    """Set a user's password."""
    from terminal.serve import set_password

    _run(set_password(_settings(), name, password))


@env_app.command("create")
def env_create(
    name: str = "database",
    cpu: Annotated[float, typer.Option(help="vCPUs.")] = 2,
    memory: Annotated[float, typer.Option(help="GiB.")] = 4,
    hours: Annotated[int, typer.Option(min=1, max=48)] = 2,
    spot: Annotated[bool, typer.Option("--spot", help="Cheaper, may be taken away at any time.")] = False,
    yes: Annotated[bool, typer.Option("--yes")] = False,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Rent a DolphinDB server; without cloud credentials, an engine on this machine."""
    from provision.specs import EnvironmentRequest
    from terminal.env import create_environment

    request = EnvironmentRequest(name=name, cpu=cpu, memory=memory, hours=hours, spot=spot)
    _exit(create_environment(_settings(), request, yes=yes, as_json=as_json))


@env_app.command("register")
def env_register(
    name: str,
    host: str,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8848,
    user: str = "admin",
    password: Annotated[str, typer.Option(prompt=True, hide_input=True)] = "",
) -> None:
    """Enter a DolphinDB server of your own, after connecting to it; asks for the password."""
    from pydantic import SecretStr

    from provision.service import StaticRequest
    from terminal.env import register_environment

    if not 1 <= len(host) <= 253:
        raise typer.BadParameter("A host has 1 to 253 characters.")
    request = StaticRequest(name=name, host=host, port=port, user=user, password=SecretStr(password))
    _run(register_environment(_settings(), request))


@env_app.command("list")
def env_list(
    ended: Annotated[bool, typer.Option("--ended", help="Deleted ones too.")] = False,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """List your environments."""
    from terminal.env import list_environments

    _run(list_environments(_settings(), ended=ended, as_json=as_json))


@env_app.command("show")
def env_show(environment: str, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Show one environment with its history."""
    from terminal.env import show_environment

    _run(show_environment(_settings(), environment, as_json=as_json))


@env_app.command("connect")
def env_connect(
    environment: str,
    show_password: Annotated[bool, typer.Option("--show-password")] = False,
) -> None:
    """Try the connection, and tell how to make it."""
    from terminal.env import connect_environment

    _exit(connect_environment(_settings(), environment, show_password=show_password))


@env_app.command("extend")
def env_extend(environment: str, hours: Annotated[int, typer.Argument(min=1, max=48)]) -> None:
    """Keep an environment longer."""
    from terminal.env import extend_environment

    _run(extend_environment(_settings(), environment, hours))


@env_app.command("delete")
def env_delete(environment: str) -> None:
    """Give an environment back."""
    from terminal.env import delete_environment

    _exit(delete_environment(_settings(), environment))


@threads_app.command("list")
def threads_list(
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """List your threads, last used first."""
    from terminal.threads import list_threads

    _run(list_threads(_logged_settings(), limit=limit, as_json=as_json))


@threads_app.command("show")
def threads_show(thread: str) -> None:
    """Print a thread."""
    from terminal.threads import show_thread

    _run(show_thread(_logged_settings(), thread))


@threads_app.command("delete")
def threads_delete(thread: str) -> None:
    """Delete a thread with all that belongs to it."""
    from terminal.threads import delete_thread

    _run(delete_thread(_logged_settings(), thread))


@kb_app.command("build")
def kb_build(
    sources: Annotated[list[Path] | None, typer.Argument(help="Files and folders beside the documentation.")] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Build the index, or bring it up to date: only what changed is read again."""
    from terminal.kb import build

    _exit(build(_settings(), sources or [], as_json=as_json))


@kb_app.command("status")
def kb_status(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Tell what is indexed, and how it is searched."""
    from terminal.kb import status

    _exit(status(_settings(), as_json=as_json))


@kb_app.command("search")
def kb_search(
    query: Annotated[str | None, typer.Argument(help="A question, in English or Chinese.")] = None,
    queries: Annotated[Path | None, typer.Option(help="A file of questions, one JSON object a line.")] = None,
    count: Annotated[int, typer.Option("-k", min=1, max=100, help="How many results.")] = 10,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Search without a model; with --queries, print one result list per line."""
    from terminal.kb import search, search_file

    if (query is None) == (queries is None):
        raise typer.BadParameter("give a question or --queries, one of them")
    if queries is not None:
        _exit(search_file(_settings(), queries, count=count))
    _exit(search(_settings(), query or "", count=count, as_json=as_json))


@kb_app.command("eval")
def kb_eval(questions: Path, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Measure retrieval on questions with known answers: recall and reciprocal rank, by language and kind."""
    from terminal.kb import evaluate_file

    _exit(evaluate_file(_settings(), questions, as_json=as_json))


@examples_app.command("list")
def examples_list(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List your examples and the shared ones."""
    from terminal.memory import list_examples

    _run(list_examples(_settings(), as_json=as_json))


@examples_app.command("show")
def examples_show(example: str, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Show an example by its id."""
    from terminal.memory import show_example

    _run(show_example(_settings(), example, as_json=as_json))


@examples_app.command("edit")
def examples_edit(
    example: str,
    question: Annotated[str | None, typer.Option()] = None,
    script: Annotated[str | None, typer.Option()] = None,
    schema: Annotated[str | None, typer.Option(help="The tables and columns it reads.")] = None,
) -> None:
    """Change an example; without options, in $EDITOR."""
    from terminal.memory import edit_example

    changes = {"question": question, "script": script, "schema": schema}
    _run(edit_example(_settings(), example, changes))


@examples_app.command("delete")
def examples_delete(example: str) -> None:
    """Delete an example."""
    from terminal.memory import delete_example

    _run(delete_example(_settings(), example))


@examples_app.command("share")
def examples_share(example: str, undo: Annotated[bool, typer.Option("--undo")] = False) -> None:
    """Let every user of this database see an example; with --undo, take it back."""
    from terminal.memory import share_example

    _run(share_example(_settings(), example, shared=not undo))


@examples_app.command("export")
def examples_export() -> None:
    """Print your examples and the shared ones as JSON, one a line."""
    from terminal.memory import export_examples

    _run(export_examples(_settings()))


@examples_app.command("import")
def examples_import(file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)]) -> None:
    """Keep the examples of a file that export wrote."""
    from terminal.memory import import_examples

    _run(import_examples(_settings(), file))


@terms_app.command("list")
def terms_list(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List your terms."""
    from terminal.memory import list_terms

    _run(list_terms(_settings(), as_json=as_json))


@terms_app.command("set")
def terms_set(term: str, meaning: str) -> None:
    """Say what a word means in your questions."""
    from terminal.memory import set_term

    _run(set_term(_settings(), term, meaning))


@terms_app.command("delete")
def terms_delete(term: str) -> None:
    """Forget what a word means."""
    from terminal.memory import delete_term

    _run(delete_term(_settings(), term))


@terms_app.command("export")
def terms_export() -> None:
    """Print your terms as JSON, one a line."""
    from terminal.memory import export_terms

    _run(export_terms(_settings()))


@engine_app.command("serve")
def engine_serve(
    host: Annotated[str, typer.Option()] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free port.")] = 8848,
    data: Annotated[Path | None, typer.Option(help="The data folder.")] = None,
    user: Annotated[str, typer.Option()] = "admin",
    password: Annotated[
        str | None, typer.Option(help="Generated when left out, and kept in engine.json in the data folder.")
    ] = None,
) -> None:
    """Run a standalone DolphinDB-compatible server; prints its address when it is ready."""
    from terminal.engine import serve

    serve(host=host, port=port, data=data, user=user, password=password, settings=_settings())


@engine_app.command("eval")
def engine_eval(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help='Lines of {"id": …, "script": …}.')],
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = 1,
    seconds: Annotated[float, typer.Option(min=0.1, help="A script that takes longer is ended.")] = 30.0,
) -> None:
    """Run every script of a file in a fresh session; prints a line {id, actual} or {id, error} for each."""
    from terminal.engine import evaluate_file

    evaluate_file(file, jobs=jobs, seconds=seconds)


@engine_app.command("functions")
def engine_functions(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List the functions of the embedded engine."""
    from terminal.engine import list_functions

    list_functions(as_json=as_json)


def _mode(mode: Mode | None) -> Any:
    return mode.value if mode is not None else None


def _settings() -> Settings:
    from core.errors import UserError
    from core.settings import load_settings

    try:
        return load_settings()
    except UserError as error:
        _fail(error)


def _logged_settings() -> Settings:
    from terminal.logs import log_to_file

    settings = _settings()
    log_to_file(settings.data_dir)
    return settings


def _blocking(work: Callable[[], int]) -> None:
    from core.errors import UserError

    try:
        sys.exit(work())
    except UserError as error:
        _fail(error)


def _exit(work: Coroutine[Any, Any, int]) -> None:
    sys.exit(_run(work))


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    from core.errors import UserError

    try:
        outcome = asyncio.run(work)
        sys.stdout.flush()
    except UserError as error:
        _fail(error)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        _drop_output()
        sys.exit(1)
    except Exception as error:
        logging.getLogger("ddb_agent").exception("the command failed")
        if isinstance(error, OSError) and error.errno in CANNOT_WRITE:
            _drop_output()
            _fail(UserError(f"The output cannot be written: {error.strerror}.", "Check the free space and the rights."))
        log = next((each for each in logging.getLogger().handlers if isinstance(each, logging.FileHandler)), None)
        where = f" The details are in {log.baseFilename}." if log is not None else ""
        _fail(UserError(f"The command failed: {type(error).__name__}.", f"This is a bug.{where}"))
    return outcome


def _drop_output() -> None:
    """What is left in the buffer cannot be written, and the interpreter would try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _fail(error: UserError) -> NoReturn:
    typer.secho(f"error: {error.message}", err=True, fg="red")
    if error.remedy:
        typer.echo(error.remedy, err=True)
    sys.exit(1)


def main() -> None:
    _open_missing_streams()
    app()


def _open_missing_streams() -> None:
    """A standard stream that the caller closed leads nowhere; else the next socket would take its number."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
            setattr(sys, name, open(number, mode))  # noqa: SIM115


if __name__ == "__main__":
    main()
