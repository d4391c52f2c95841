"""Memory at the terminal: the commands of the chat, and those without a model."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from agent.driver import Conversation, conversation, done, run
from openai_server.server import ScriptedOpenAI
from openai_server.steps import Text, ToolCalls

from core.errors import InvalidInputError, NotFoundError, UserError
from core.postgres import Pool
from core.settings import Settings
from core.threads import Threads
from graph.host import Host, open_deps
from terminal import memory
from terminal.chat import Chat
from terminal.console import TextConsole

EXAMPLE = {
    "question": "vwap by symbol",
    "script": "select wavg(price, qty) from trades group by sym",
    "schema": "trades",
}


@pytest.fixture(autouse=True)
async def clean(pool: Pool) -> AsyncIterator[None]:
    yield
    async with pool.connection() as held:
        await held.execute("DELETE FROM store WHERE prefix LIKE '\\%memory%'")


async def chat(host: Host) -> tuple[Chat, StringIO]:
    thread = await host.threads.create("local", title="chat")
    out = StringIO()
    return Chat(host, TextConsole(file=out, width=200), thread.thread_id, "act"), out


def shown(out: StringIO) -> str:
    text = out.getvalue()
    out.seek(0)
    out.truncate()
    return text


async def test_what_was_made_explicit_is_shown_and_undone(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    talk, out = await chat(host)
    with pytest.raises(UserError, match="Nothing of the last question was changed"):
        await talk.command("/undo")
    scripted_openai.add(Text("one"), Text("two"))
    await talk.say("volume yesterday")
    assert '"yesterday" → 20' in shown(out)
    await talk.command("/undo")
    assert "again, as it stands: volume yesterday" in shown(out)
    assert scripted_openai.requests[-1].messages[-1]["content"] == "volume yesterday"
    with pytest.raises(UserError, match="Nothing of the last question was changed"):
        await talk.command("/undo")


async def test_one_of_several_changes_is_undone(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    talk, out = await chat(host)
    await talk.command("/terms turnover = total qty")
    scripted_openai.add(*(Text(str(number)) for number in range(4)))
    question = "turnover since yesterday against turnover of 3 days ago"
    await talk.say(question)
    assert shown(out).count("→") == 3
    with pytest.raises(UserError, match="7 is none of the changes"):
        await talk.command("/undo 7")
    await talk.command("/undo 2")
    text = shown(out)
    assert 'again, with "since yesterday" as it stands' in text or 'again, with "yesterday" as it stands' in text
    assert text.count("→") == 2
    await talk.command("/undo Turnover")
    text = shown(out)
    assert text.count("→") == 1
    assert '"3 days ago"' in text
    await talk.command("/undo")
    assert scripted_openai.requests[-1].messages[-1]["content"] == question


async def test_remembering_in_a_chat(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    talk, out = await chat(host)
    with pytest.raises(InvalidInputError, match="Nothing was asked"):
        await talk.command("/remember")
    scripted_openai.add(Text("hello"), ToolCalls(run("6 * 7")), done("42"), Text("again"))
    await talk.say("hi")
    with pytest.raises(InvalidInputError, match="without a script"):
        await talk.command("/remember")
    await talk.command("/examples")
    assert "no examples yet" in shown(out)
    await talk.say("the product of six and seven")
    await talk.command("/remember")
    await talk.command("/examples")
    assert "6 * 7" in shown(out)
    await talk.command("/terms sales = net amount")
    await talk.command("/terms")
    assert "sales: net amount" in shown(out)
    await talk.say("product of six and seven sales")
    text = shown(out)
    assert '"sales" → sales (net amount)' in text
    assert "like an example you know: the product of six and seven" in text
    await talk.command("/terms sales =")
    await talk.command("/terms")
    assert "No word" in shown(out)


async def test_examples_without_a_model(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "examples.jsonl"
    file.write_text(json.dumps(EXAMPLE) + "\n\n" + json.dumps({**EXAMPLE, "question": "每日成交量"}) + "\n", "utf-8")
    await memory.import_examples(settings, file)
    await memory.import_examples(settings, file)
    capsys.readouterr()
    await memory.list_examples(settings, as_json=True)
    listed = json.loads(capsys.readouterr().out)
    assert sorted(each["question"] for each in listed) == ["vwap by symbol", "每日成交量"]
    [key] = [each["id"] for each in listed if each["question"] == "vwap by symbol"]
    await memory.export_examples(settings)
    exported = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert EXAMPLE in exported
    await memory.edit_example(settings, key[:8], {"question": None, "script": "select 2", "schema": None})
    capsys.readouterr()
    await memory.show_example(settings, key[:8], as_json=True)
    assert json.loads(capsys.readouterr().out)["script"] == "select 2"
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/select 2/select 3/' \"$1\"\n")
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    await memory.edit_example(settings, key, {})
    await memory.share_example(settings, key, shared=True)
    capsys.readouterr()
    await memory.show_example(settings, key, as_json=False)
    text = capsys.readouterr().out
    assert "select 3" in text
    assert "shared by local" in text
    await memory.share_example(settings, key, shared=False)
    await memory.delete_example(settings, key)
    with pytest.raises(NotFoundError):
        await memory.show_example(settings, key, as_json=False)


@pytest.mark.parametrize("bad", ["{", "[]", '{"question": "q"}', '{"question": "q", "script": 1}'])
async def test_a_file_with_a_bad_line_imports_nothing(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], bad: str
) -> None:
    file = tmp_path / "examples.jsonl"
    file.write_text(f"{json.dumps(EXAMPLE)}\n{bad}\n", "utf-8")
    with pytest.raises(InvalidInputError, match="Line 2"):
        await memory.import_examples(settings, file)
    await memory.list_examples(settings, as_json=True)
    assert json.loads(capsys.readouterr().out) == []


async def test_terms_without_a_model(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    await memory.set_term(settings, "销售额", "净额 = 总额 - 退款")
    await memory.set_term(settings, "sales", "net amount")
    capsys.readouterr()
    await memory.list_terms(settings, as_json=False)
    assert capsys.readouterr().out.splitlines() == ["sales: net amount", "销售额: 净额 = 总额 - 退款"]
    await memory.delete_term(settings, "Sales")
    capsys.readouterr()
    await memory.export_terms(settings)
    assert json.loads(capsys.readouterr().out) == {"term": "销售额", "meaning": "净额 = 总额 - 退款"}
    with pytest.raises(NotFoundError):
        await memory.delete_term(settings, "sales")


@pytest.fixture
async def offline(settings: Settings, pool: Pool) -> AsyncIterator[Conversation]:
    async with open_deps(settings, pool) as deps:
        host = Host(settings, deps, pool, Threads(pool, artifacts=deps.artifacts))
        yield await conversation(host, owner="offline user")


async def test_the_offline_model_reads_what_was_made_explicit_and_remembers(offline: Conversation) -> None:
    await offline.ask("create sample trades data with 200 rows")
    await offline.ask("average price of aapl in trades since last year")
    assert offline.answer is not None
    script = offline.answer["script"]
    assert '"AAPL"' in script
    assert "date(ts) >= 20" in script
    for told, name in (
        ("remember this", "remember_example"),
        ("记住这个回答。", "remember_example"),
        ("by turnover I mean total qty", "define_term"),
        ("我说的换手是指总成交量", "define_term"),
    ):
        await offline.ask(told)
        assert offline.waiting is not None
        assert offline.waiting["action_requests"][0]["name"] == name
        await offline.decide({"type": "approve"})
        assert offline.answer is not None
    await offline.ask("turnover of msft in trades")
    assert offline.answer is not None
    assert "sum(qty)" in offline.answer["script"]
    await offline.ask("forget what turnover means")
    await offline.decide({"type": "reject"})
    assert offline.answer is not None
    assert "Nothing was changed." in offline.answer["text"]
    [example] = await memory.Examples(offline.host.deps.store).list("offline user")
    assert example.script == script
    terms = await memory.Terminology(offline.host.deps.store).list("offline user")
    assert {each.term: each.meaning for each in terms} == {"turnover": "total qty", "换手": "总成交量"}


async def test_the_offline_model_owns_up_to_days_it_cannot_tell(offline: Conversation) -> None:
    await offline.ask("create sample trades data with 200 rows")
    offline.context = replace(offline.context, rewrite=False)
    await offline.ask("average price in trades last month")
    assert offline.answer is not None
    assert '"last month"' in offline.answer["text"]
    offline.context = replace(offline.context, rewrite=True)
    await offline.ask("average price in trades last month")
    await offline.ask("and the maximum?")
    assert offline.answer is not None
    assert "between 20" in offline.answer["script"]
