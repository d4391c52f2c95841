"""A question through the whole agent to its answer, over a scripted model, real Postgres and a real engine."""

from __future__ import annotations

from agent.driver import conversation, done, run
from openai_server.server import ScriptedOpenAI
from openai_server.steps import Call, Empty, Text, ToolCalls

from graph.host import Host, open_deps

TRADES = "t = table(`A`B`A as sym, 1.0 2.0 3.0 as price); select avg(price) as avg_price from t group by sym"


async def test_a_question_is_answered_from_a_script(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(ToolCalls(run(TRADES)), done("A: 2, B: 2"))
    talk = await (await conversation(host)).ask("average price by symbol")
    assert talk.answer is not None
    assert talk.answer["status"] == "completed"
    assert talk.answer["text"] == "A: 2, B: 2"
    assert talk.answer["script"] == TRADES
    assert talk.answer["scripts"] == [{"script": TRADES, "ok": True}]
    assert talk.answer["output_tokens"] > 0
    result = (await talk.tool_results())[0].text
    assert "TABLE 2 rows x 2 columns" in result
    assert "| A | 2 |" in result
    assert (await talk.messages())[-1].text == "A: 2, B: 2"


async def test_variables_stay_between_questions(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(ToolCalls(run("x = 41; x")), done("41"), ToolCalls(run("x + 1")), done("42"))
    talk = await conversation(host)
    await talk.ask("set x")
    await talk.ask("and one more")
    assert "SCALAR INT: 42" in (await talk.tool_results())[-2].text


async def test_parallel_calls_get_their_results_in_order(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(
        ToolCalls(run("a = 1; a"), Call("list_tables"), run("a + 1"), Call("validate_script", {"script": "a + 1"})),
        done("ok"),
    )
    talk = await (await conversation(host)).ask("several things")
    results = await talk.tool_results()
    assert [message.name for message in results[:4]] == [
        "run_dolphindb_script", "list_tables", "run_dolphindb_script", "validate_script",
    ]  # fmt: skip
    assert "SCALAR INT: 1" in results[0].text
    assert "SCALAR INT: 2" in results[2].text


async def test_malformed_arguments_are_explained_and_corrected(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(
        ToolCalls(Call("run_dolphindb_script", '{"script": "1 + 1')), ToolCalls(run("1 + 1")), done("2")
    )
    talk = await (await conversation(host)).ask("one and one")
    results = await talk.tool_results()
    assert results[0].status == "error"
    assert "not valid JSON" in results[0].text
    assert talk.answer is not None
    assert talk.answer["text"] == "2"


async def test_wrong_arguments_name_the_parameter(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(ToolCalls(Call("create_sample_data", {"kind": "news", "name": "n"})), Text("no"))
    talk = await (await conversation(host)).ask("sample news")
    assert "kind" in (await talk.tool_results())[0].text


async def test_an_unknown_tool_is_answered_with_the_known_ones(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(ToolCalls(Call("fly_to_the_moon", {"speed": 1})), Text("I cannot."))
    talk = await (await conversation(host)).ask("fly")
    result = (await talk.tool_results())[0]
    assert result.status == "error"
    assert "run_dolphindb_script" in result.text
    assert talk.answer is not None
    assert talk.answer["text"] == "I cannot."


async def test_an_empty_reply_is_asked_again(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(Empty(), Text("hello"))
    talk = await (await conversation(host)).ask("hi")
    assert talk.answer is not None
    assert talk.answer["text"] == "hello"
    assert [message.type for message in await talk.messages()] == ["human", "ai"]


async def test_only_empty_replies_end_as_an_honest_failure(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(Empty(), Empty(), Empty())
    talk = await (await conversation(host)).ask("hi")
    assert talk.answer is not None
    assert talk.answer["status"] == "failed"
    assert "empty" in talk.answer["text"]


async def test_plain_text_is_an_answer(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(Text("你好，我是 DolphinDB 数据助手。"))
    talk = await (await conversation(host)).ask("你好")
    assert talk.answer is not None
    assert talk.answer["text"] == "你好，我是 DolphinDB 数据助手。"
    assert scripted_openai.remaining == 0


async def test_completion_beside_other_calls_waits_for_their_results(
    host: Host, scripted_openai: ScriptedOpenAI
) -> None:
    scripted_openai.add(ToolCalls(run("7"), Call("attempt_completion", {"answer": "guess"})), done("7"))
    talk = await (await conversation(host)).ask("seven")
    assert talk.answer is not None
    assert talk.answer["text"] == "7"
    assert "call it alone" in (await talk.tool_results())[1].text


async def test_an_unknown_column_comes_back_with_the_columns_there_are(
    host: Host, scripted_openai: ScriptedOpenAI
) -> None:
    scripted_openai.add(
        ToolCalls(run("t = table(`A`B as sym, 1.0 2.0 as price); t")),
        ToolCalls(run("select avg(cost) from t")),
        ToolCalls(run("select avg(price) from t")),
        done("1.5"),
    )
    talk = await (await conversation(host)).ask("average cost")
    failed = (await talk.tool_results())[1]
    assert failed.status == "error"
    assert "cost" in failed.text
    assert "columns of t: sym, price" in failed.text
    assert talk.answer is not None
    assert [run["ok"] for run in talk.answer["scripts"]] == [True, False, True]


async def test_a_large_result_goes_to_an_artifact(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(ToolCalls(run("table(1..5000 as n)")), done("there"))
    talk = await (await conversation(host)).ask("many rows")
    assert talk.answer is not None
    [artifact] = talk.answer["artifacts"]
    data = await host.deps.artifacts.read("local", artifact)
    assert data.decode().splitlines() == ["n", *(str(n) for n in range(1, 5001))]
    assert len((await talk.tool_results())[0].text) < 3000


async def test_an_empty_question_is_answered_without_a_model(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    talk = await (await conversation(host)).ask("   ")
    assert talk.answer is not None
    assert talk.answer["status"] == "failed"
    assert scripted_openai.requests == []


async def test_another_process_is_told_that_the_variables_are_gone(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(
        ToolCalls(run("x = 41; x")), done("41"), ToolCalls(run("1")), ToolCalls(run("x + 1")), Text("?")
    )
    talk = await conversation(host)
    await talk.ask("set x")
    async with open_deps(host.settings, host.pool) as deps:
        talk.host = Host(host.settings, deps, host.pool, host.threads)
        await talk.ask("and one more")
    first, second = (await talk.tool_results())[-2:]
    assert "The session was lost; its variables are gone." in first.text
    assert second.status == "error"
    assert "The session was lost" not in second.text
