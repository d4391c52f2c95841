from __future__ import annotations

import re

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from offline.world import ALL_TOOLS, ONE_ROW, PLAN_TOOLS, SCHEMAS, World, table_preview, unknown_column

from dolphin.script import parse

AVERAGES = table_preview(["sym SYMBOL", "avg_price DOUBLE"], [["AAPL", 187.25], ["MSFT", 410.5], ["GOOG", "NULL"]])


# -- answers


def test_answers_state_the_numbers_of_the_result_and_say_who_answers() -> None:
    english = World(["trades"], run=lambda script: AVERAGES).ask("average price by sym")
    assert "Highest average price: MSFT (410.5); lowest: AAPL (187.25)" in english
    assert "| GOOG | NULL |" in english
    assert english.count("offline model") == 1
    chinese = World(["trades"], run=lambda script: AVERAGES).ask("每只股票的平均价格")
    assert "最高：MSFT (410.5)" in chinese
    assert chinese.count("离线模型") == 1
    assert not re.search(r"\b(?:rows|Highest|Answered)\b", chinese)


def test_a_preview_of_a_large_result_is_not_taken_for_all_of_it() -> None:
    rows = [[f"S{i}", float(i)] for i in range(15)]
    text = table_preview(["sym SYMBOL", "avg_price DOUBLE"], rows, total=500) + (
        "\nstatistics: avg_price min=0 max=499 mean=249.5 nulls=0\nartifact: a-17"
    )
    world = World(["trades"], run=lambda script: text)
    answer = world.ask("average price by sym")
    assert "15 of 500 rows are shown" in answer
    assert "| S9 | 9.0 |\n| … | … |\n| S10 | 10.0 |" in answer
    assert "max=499" in answer
    assert "Highest" not in answer
    assert world.calls[-1][1]["artifact_ids"] == ["a-17"]


def test_no_rows_and_single_values() -> None:
    empty = World(["stocks"], run=lambda script: table_preview(["symbol SYMBOL", "price DOUBLE"], []))
    assert "No rows of stocks match" in empty.ask("show stocks where symbol is XXXX")
    count = World(["trades"], run=lambda script: table_preview(["rows LONG"], [[2000]]))
    assert "trades has 2000 rows" in count.ask("how many rows are in trades?")
    assert "trades 共有 2000 行" in count.ask("trades有多少行")


def test_words_that_were_not_understood_are_owned_up_to() -> None:
    answer = World(["trades"]).ask("average price by sym for profitable customers")
    assert '"profitable"' in answer
    assert '"customers"' in answer


def test_notices_before_the_result_do_not_hide_it() -> None:
    text = "The session was lost; its variables are gone.\nprinted:\nhello\nSCALAR DOUBLE: 1.5"
    assert "1.5" in World(["trades"], run=lambda script: text).ask("run: avg(1 2)")


# -- what needs no query


@pytest.mark.parametrize("text", ["hi", "Hello!", "你好", "what can you do?", "你能做什么", "help"])
def test_greetings_cost_no_calls_and_say_what_this_is(text: str) -> None:
    world = World(["trades"])
    answer = world.ask(text)
    assert world.names == ["attempt_completion"]
    assert "DDB_AGENT_MODELS" in answer
    assert ("离线模型" if re.search("[\u4e00-\u9fff]", text) else "offline model") in answer


@pytest.mark.parametrize("text", ["tell me a joke", "write a poem about love", "讲个笑话", "你觉得人生的意义是什么"])
def test_what_is_not_understood_is_said_so(text: str) -> None:
    world = World(["trades", "stocks"])
    answer = world.ask(text)
    assert "did not understand" in answer or "没有理解" in answer
    assert world.scripts == []


@pytest.mark.parametrize(
    "text",
    ["list tables", "what tables are there?", "show me all tables", "有哪些表", "列出所有表", "what data do you have"],
)
def test_tables_are_listed(text: str) -> None:
    world = World(["trades", "stocks"], databases=["dfs://market"])
    answer = world.ask(text)
    assert world.names == ["list_tables", "attempt_completion"]
    assert "trades" in answer
    assert "dfs://market" in answer


@pytest.mark.parametrize(
    "text",
    ["describe trades", "what columns does trades have?", "trades 表有哪些字段", "schema of trades", "trades的表结构"],
)
def test_a_table_is_described(text: str) -> None:
    world = World(["trades", "stocks"])
    answer = world.ask(text)
    assert world.names == ["list_tables", "describe_table", "attempt_completion"]
    assert "| price | DOUBLE |" in answer
    assert "AAPL" in answer


@pytest.mark.parametrize("text", ["what does mavg do", "mavg 函数怎么用", "documentation of mavg"])
def test_documentation_comes_from_the_tool_or_not_at_all(text: str) -> None:
    assert "`mavg`" in World(["trades"]).ask(text)


# -- making data


@pytest.mark.parametrize(
    ("text", "kind", "name", "rows"),
    [
        ("create sample trades data", "trades", "trades", 10_000),
        ("generate 5000 rows of sample quotes named q1", "quotes", "q1", 5_000),
        ("生成1万条示例交易数据，命名为 t1", "trades", "t1", 10_000),
        ("造一些传感器的测试数据，表名为 sensors，2000行", "timeseries", "sensors", 2_000),
        ("make 20k rows of random sensor data called s", "timeseries", "s", 20_000),
    ],
)
def test_sample_data(text: str, kind: str, name: str, rows: int) -> None:
    world = World([])
    assert f"{rows} rows" in world.ask(text)
    assert world.calls[0] == ("create_sample_data", {"kind": kind, "name": name, "rows": rows})


@pytest.mark.parametrize(
    ("text", "path", "name"),
    [
        ("load /data/stocks.csv as prices", "/data/stocks.csv", "prices"),
        ("load /data/my-stocks.csv", "/data/my-stocks.csv", "my_stocks"),
        ("把 /data/stocks.csv 加载为表 stocks", "/data/stocks.csv", "stocks"),
        ("导入 /数据/股票.csv，命名为 t", "/数据/股票.csv", "t"),
        ('import "/data/with space.csv" into t', "/data/with space.csv", "t"),
    ],
)
def test_files_are_loaded(text: str, path: str, name: str) -> None:
    world = World([], run=lambda script: table_preview(["rows LONG"], [[560]]))
    assert "560" in world.ask(text)
    assert world.scripts == [f'{name} = loadText("{path}")\nselect count(*) as rows from {name}']
    parse(world.scripts[0])


@pytest.mark.parametrize(
    "text",
    [
        "load /data/stocks.csv as stocks, then compute the average price by symbol",
        "load /data/stocks.csv as stocks and show the average price by symbol",
        "把 /data/stocks.csv 加载为表 stocks，然后按股票统计平均价格",
    ],
)
def test_a_file_is_loaded_and_then_asked(text: str) -> None:
    world = World(["stocks", "trades"], run=lambda script: table_preview(["rows LONG"], [[560]]))
    answer = world.ask(text)
    assert world.scripts[1:] == ["select avg(price) as avg_price from stocks group by symbol order by symbol"]
    assert "/data/stocks.csv" in answer
    assert answer.count("offline model") + answer.count("离线模型") == 1
    planning = World(["stocks"], tools=PLAN_TOOLS, mode="plan")
    assert "```" not in planning.ask(text)
    assert len(planning.calls[-1][1]["steps"]) == 2


def test_a_pinned_file_is_meant_by_its_name() -> None:
    world = World([], pinned="file: /data/stocks.csv (CSV, columns symbol, date, price)\nfile: /data/other.csv (CSV)")
    world.ask("load the stocks file")
    assert 'loadText("/data/stocks.csv")' in world.scripts[0]


@pytest.mark.parametrize(
    "text", ["save stocks to database dfs://market as prices", "把 stocks 保存到数据库 dfs://market，表名为 prices"]
)
def test_a_table_is_saved_in_partitions_that_fit_its_dates(text: str) -> None:
    def run(script: str) -> str:
        if "first_day" in script:
            return table_preview(["first_day DATE", "last_day DATE", "rows LONG"], [["2000.01.01", "2010.03.01", 560]])
        return table_preview(["rows LONG"], [[560]])

    world = World(["stocks", "trades"], run=run)
    answer = world.ask(text)
    assert 'loadTable("dfs://market", "prices")' in answer
    assert world.scripts[1].splitlines() == [
        'createPartitionedTable(database("dfs://market", VALUE, 2000.01M..2010.03M), stocks, "prices", "date")'
        ".append!(stocks)",
        'select count(*) as rows from loadTable("dfs://market", "prices")',
    ]
    parse(world.scripts[1])


def test_saving_onto_a_stored_table_asks_first() -> None:
    stored = {
        "name": "prices",
        "reference": 'loadTable("dfs://market", "prices")',
        "kind": "stored",
        "rows": 1,
        "columns": ["symbol SYMBOL", "date DATE", "price DOUBLE"],
    }
    asked: list[str] = []

    def human(question: str, options: list[str]) -> str:
        asked.append(question)
        return options[0]

    world = World(["stocks"], stored=[stored], databases=["dfs://market"], human=human)
    world.ask("save stocks to dfs://market database as prices")
    assert "exists already" in asked[0]
    assert "append!(stocks)" in world.scripts[-1]
    assert "createPartitionedTable" not in "".join(world.scripts)


# -- destroying


def test_rows_are_deleted_under_conditions_only() -> None:
    world = World(["trades"], run=lambda script: table_preview(["rows_left LONG"], [[90]]))
    assert "90 rows of 100 rows are left" in world.ask(
        "delete rows from trades where sym is AAPL and price above 100"
    ).replace("of 100 are", "of 100 rows are")
    assert world.scripts[0].splitlines()[0] == 'delete from trades where sym == "AAPL" and price > 100'
    vague = World(["trades"])
    assert "did not delete" in vague.ask("delete the suspicious rows from trades where sym is AAPL")
    assert vague.scripts == []


def test_deleting_without_a_condition_asks_which_rows() -> None:
    world = World(["trades"], human=lambda question, options: "price below 10")
    world.ask("delete rows from trades")
    assert world.scripts[0].startswith("delete from trades where price < 10")


@pytest.mark.parametrize("text", ["drop table trades", "删除表 trades", "drop the trades table"])
def test_tables_are_dropped_by_name(text: str) -> None:
    world = World(["trades", "stocks"], run=lambda script: "SCALAR LONG: 0")
    answer = world.ask(text)
    assert world.scripts[0].startswith('undef("trades")')
    assert "Dropped" in answer or "已删除" in answer
    parse(world.scripts[0])


@pytest.mark.parametrize("text", ["update trades set price=0", "把 trades 的价格修改为 0"])
def test_values_are_not_changed_by_rule(text: str) -> None:
    world = World(["trades"])
    assert "run:" in world.ask(text) or "运行" in world.calls[-1][1]["answer"]
    assert world.scripts == []


def test_a_table_is_never_dropped_by_guess() -> None:
    asked: list[list[str]] = []

    def human(question: str, options: list[str]) -> str:
        asked.append(options)
        return "none of them"

    world = World(["trades", "stocks"], human=human)
    assert "Nothing was dropped" in world.ask("drop the table")
    assert asked == [["trades", "stocks"]]


# -- asking back


def test_an_unclear_table_is_asked_for() -> None:
    asked: list[list[str]] = []

    def human(question: str, options: list[str]) -> str:
        asked.append(options)
        return "2"

    world = World(["trades", "stocks"], human=human)
    world.ask("average price")
    assert asked == [["trades", "stocks"]]
    assert world.scripts == ["select avg(price) as avg_price from stocks"]


def test_a_word_that_names_no_column_is_asked_about_before_a_number_is_given() -> None:
    asked: list[str] = []

    def human(question: str, options: list[str]) -> str:
        asked.append(question)
        return "qty"

    world = World(["trades"], human=human)
    world.ask("average cost by sym")
    assert '"cost"' in asked[0]
    assert world.scripts == ["select avg(qty) as avg_qty from trades group by sym order by sym"]


def test_tables_that_share_a_name_are_told_apart_by_their_references() -> None:
    reference = 'loadTable("dfs://market", "trades")'
    columns = ["sym SYMBOL", "ts TIMESTAMP", "price DOUBLE", "qty INT"]
    stored = {"name": "trades", "reference": reference, "kind": "dfs", "rows": 1, "columns": columns}
    world = World(["trades"], stored=[stored], databases=["dfs://market"], human=lambda question, options: options[1])
    world.ask("average price")
    assert world.scripts == [f"select avg(price) as avg_price from {reference}"]
    assert "no use of" not in world.ask("count the rows of trades in dfs://market")
    assert world.scripts[-1].endswith(f"from {reference}")


@pytest.mark.parametrize(
    ("text", "answer"), [("average temperature by month", "temp_min"), ("每月的平均气温", "第2个")]
)
def test_an_unclear_column_is_asked_for(text: str, answer: str) -> None:
    world = World(["weather"], human=lambda question, options: answer)
    world.ask(text)
    assert world.scripts == [
        "select avg(temp_min) as avg_temp_min from weather group by month(date) as month order by month"
    ]


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("which stock performed best in 2008", "stocks"),
        ("VWAP of AAPL", "trades"),
        ("find the 10 rainiest days", "weather"),
        ("西雅图2012年哪个月降水最多", "weather"),
        ("what is the correlation between bid and ask", "quotes"),
        ("average humidity by device", "timeseries"),
    ],
)
def test_the_table_that_fits_the_words_is_meant(text: str, table: str) -> None:
    world = World(list(SCHEMAS))
    world.ask(text)
    assert f"from {table}" in world.scripts[0]


def test_an_unknown_table_is_not_replaced_silently() -> None:
    asked: list[str] = []

    def human(question: str, options: list[str]) -> str:
        asked.append(question)
        return "trades"

    world = World(["trades", "stocks"], human=human)
    world.ask("average price from orders")
    assert "orders" in asked[0]
    assert world.scripts == ["select avg(price) as avg_price from trades"]


# -- errors


@pytest.mark.parametrize("text", ["average closing_price by sym", "按 sym 统计 closing_price 的平均值"])
def test_a_wrong_column_is_tried_then_repaired_and_told(text: str) -> None:
    world = World(["trades"], run=unknown_column(["sym", "ts", "price", "qty"]))
    answer = world.ask(text)
    assert [re.findall(r"avg\((\w+)\)", script)[0] for script in world.scripts] == ["closing_price", "price"]
    assert "closing_price" in answer
    assert "price" in world.calls[-1][1]["script"]


def test_a_group_that_is_no_column_is_not_dropped_silently() -> None:
    def run(script: str) -> str:
        if "sector" in script:
            return "ERROR: Unrecognized column name [sector].\nHINT: columns of trades: sym, ts, price, qty"
        return ONE_ROW

    world = World(["trades"], run=run, human=lambda question, options: "sym")
    world.ask("average price by sector")
    assert world.scripts == [
        "select avg(price) as avg_price from trades group by sector order by sector",
        "select avg(price) as avg_price from trades group by sym order by sym",
    ]


def test_a_column_is_not_taken_for_a_table_of_nearly_its_name() -> None:
    stored = {
        "name": "prices",
        "reference": "prices",
        "kind": "memory",
        "rows": 1,
        "columns": ["symbol SYMBOL", "price DOUBLE"],
    }
    world = World(["trades"], stored=[stored])
    world.ask("average price by sym")
    assert world.scripts == ["select avg(price) as avg_price from trades group by sym order by sym"]


def test_repairs_end_in_a_question_and_then_in_failure() -> None:
    asked: list[str] = []

    def human(question: str, options: list[str]) -> str:
        asked.append(question)
        return "give up"

    world = World(["trades"], run=lambda script: "ERROR: out of memory", human=human)
    answer = world.ask("average price by sym")
    assert len(asked) == 1
    assert "out of memory" in answer
    assert len(world.scripts) == 1


def test_endless_wrong_columns_stop_after_three_repairs() -> None:
    count = iter(range(100))

    def run(script: str) -> str:
        bad = re.findall(r"avg\((\w+)\)", script)[0]
        return f"ERROR: Unrecognized column name [{bad}]\nHINT: columns of trades: {bad}{next(count)}, ts"

    world = World(["trades"], run=run, human=lambda question, options: "stop")
    world.ask("average closing_price by sym")
    assert len(world.scripts) == 4


def test_a_human_may_give_the_corrected_script() -> None:
    world = World(
        ["trades"],
        run=lambda script: "ERROR: no" if "avg" in script else "SCALAR INT: 42",
        human=lambda question, options: "use\n```dolphindb\nexec 42\n```",
    )
    assert "42" in world.ask("average price")
    assert world.scripts[-1] == "exec 42"


def test_a_failing_catalog_ends_the_task_honestly() -> None:
    world = World(["trades"])
    world.answer = lambda name, args: ("ERROR: connection refused", True) if name == "list_tables" else ("ok", False)  # type: ignore[method-assign]
    assert "connection refused" in world.ask("average price by sym")


# -- rejections


def test_a_rejected_script_is_changed_as_told_or_not_run() -> None:
    world = World(["trades"], review=lambda script: "use the median instead" if "avg" in script else None)
    world.ask("average price by sym")
    assert world.scripts[-1] == "select med(price) as med_price from trades group by sym order by sym"
    stubborn = World(["trades"], review=lambda script: "I do not like it")
    answer = stubborn.ask("delete rows of trades where price below 10")
    assert len(stubborn.scripts) == 1
    assert "rejected: I do not like it" in answer


# -- planning


def planned(world: World) -> AIMessage:
    message = world.messages[-1]
    assert isinstance(message, AIMessage)
    return message


def test_a_plan_is_made_without_running_anything_and_then_carried_out() -> None:
    world = World(["trades"], tools=PLAN_TOOLS, mode="plan")
    plan = world.ask("average price by sym where qty above 100")
    assert world.names == ["list_tables", "describe_table", "plan_mode_response"]
    assert "select avg(price) as avg_price from trades where qty > 100" in plan
    assert len(planned(world).tool_calls[0]["args"]["steps"]) >= 2
    call_id = planned(world).tool_calls[0]["id"]
    world.messages.append(ToolMessage(f"The user approved the plan. Carry it out:\n{plan}", tool_call_id=call_id))
    world.mode, world.tools = "act", list(ALL_TOOLS)
    world.go()
    assert world.names[3:] == ["run_dolphindb_script", "attempt_completion"]
    assert world.scripts == ["select avg(price) as avg_price from trades where qty > 100 group by sym order by sym"]


def test_an_edited_plan_runs_as_edited() -> None:
    world = World(["trades"], tools=PLAN_TOOLS, mode="plan")
    plan = world.ask("average price by sym")
    edited = plan.replace("avg(price) as avg_price", "max(price) as top")
    call_id = planned(world).tool_calls[0]["id"]
    text = f"The user changed the plan and approved it. Carry it out:\n{edited}"
    world.messages.append(ToolMessage(text, tool_call_id=call_id))
    world.mode, world.tools = "act", list(ALL_TOOLS)
    world.go()
    assert world.scripts == ["select max(price) as top from trades group by sym order by sym"]


def test_approval_may_come_as_a_message_of_its_own() -> None:
    world = World(["trades"], tools=PLAN_TOOLS, mode="plan")
    plan = world.ask("平均价格，按股票")
    world.mode, world.tools = "act", list(ALL_TOOLS)
    fresh = World(["trades"], mode="act")
    fresh.ask(f"计划已批准，请执行：\n{plan}")
    assert fresh.scripts == ["select avg(price) as avg_price from trades group by sym order by sym"]


@pytest.mark.parametrize(
    "feedback",
    [
        "The user rejected the plan. Reason: use the median instead Make another one.",
        "The user says: use the median instead",
    ],
)
def test_a_rejected_plan_is_changed_as_told(feedback: str) -> None:
    world = World(["trades"], tools=PLAN_TOOLS, mode="plan")
    world.ask("average price by sym")
    failed = "rejected" in feedback
    call_id = planned(world).tool_calls[0]["id"]
    world.messages.append(ToolMessage(feedback, tool_call_id=call_id, status="error" if failed else "success"))
    assert "med(price)" in world.go()


def test_a_remark_that_says_nothing_is_asked_about() -> None:
    world = World(["trades"], tools=PLAN_TOOLS, mode="plan")
    world.ask("average price by sym")
    call_id = planned(world).tool_calls[0]["id"]
    world.messages.append(ToolMessage("The user says: hmm, not sure", tool_call_id=call_id))
    world.go()
    assert "hmm" in world.calls[-1][1]["question"]


def test_questions_in_plan_mode_go_through_the_plan_tool() -> None:
    world = World(["weather"], tools=PLAN_TOOLS, mode="plan")
    world.ask("average temperature by month")
    name, args = world.calls[-1]
    assert (name, args["steps"]) == ("plan_mode_response", [])
    assert "temp_max" in args["plan"]
    call_id = planned(world).tool_calls[0]["id"]
    world.messages.append(ToolMessage("The user says: temp_max", tool_call_id=call_id))
    assert "avg(temp_max)" in world.go()


def test_a_greeting_needs_no_plan() -> None:
    world = World(["trades"], tools=PLAN_TOOLS, mode="plan")
    assert "offline" in world.ask("hello")
    assert world.calls == []


# -- conversations


def test_follow_up_questions_change_the_question_before() -> None:
    world = World(["stocks", "trades"], human=lambda question, options: "stocks")
    world.ask("average price of stocks by symbol in 2008")
    world.ask("and the maximum?")
    world.ask("now only for AAPL")
    assert world.scripts[1:] == [
        "select max(price) as max_price from stocks where date between 2008.01.01 : 2008.12.31 group by "
        "symbol order by symbol",
        "select max(price) as max_price from stocks where date between 2008.01.01 : 2008.12.31 and symbol == "
        '"AAPL" group by symbol order by symbol',
    ]


def test_the_table_of_the_last_question_is_meant_when_none_is_named() -> None:
    world = World(["trades", "stocks"])
    world.ask("average price in stocks by symbol")
    world.ask("median price")
    assert world.scripts[-1] == "select med(price) as med_price from stocks"


def test_only_bound_tools_are_called() -> None:
    world = World(["trades"], tools=["attempt_completion"])
    assert "no DolphinDB environment" in world.ask("average price by sym")
    bare = World(["trades"], tools=[])
    assert bare.ask("average price by sym")
    assert bare.calls == []
    read_only = World(["trades"], tools=["list_tables", "attempt_completion"])
    assert "select avg(price)" in read_only.ask("average price by sym")


def test_a_script_is_run_as_given() -> None:
    world = World([], run=lambda script: "SCALAR INT: 2")
    for text in ("run: 1+1", "运行：1+1", "please run\n```dolphindb\n1+1\n```"):
        assert "2" in world.ask(text)
    assert world.scripts == ["1+1"] * 3


def test_human_edited_scripts_are_not_run_again() -> None:
    """An approval may change the arguments of a call: the call in the history is then not the one that was made."""
    world = World(["trades"])
    world.messages += [HumanMessage("average price by sym")]
    first = world.model().invoke([world.system(), *world.messages])
    world.messages += [first, ToolMessage(world.answer("list_tables", {})[0], tool_call_id=first.tool_calls[0]["id"])]
    second = world.model().invoke([world.system(), *world.messages])
    described = world.answer("describe_table", {"table": "trades"})[0]
    world.messages += [second, ToolMessage(described, tool_call_id=second.tool_calls[0]["id"])]
    third = world.model().invoke([world.system(), *world.messages])
    edited = third.model_copy(
        update={"tool_calls": [{**third.tool_calls[0], "args": {"script": "select max(price) as m from trades"}}]}
    )
    world.messages += [edited, ToolMessage(AVERAGES, tool_call_id=third.tool_calls[0]["id"])]
    last = world.model().invoke([world.system(), *world.messages])
    assert last.tool_calls[0]["name"] == "attempt_completion"
    assert last.tool_calls[0]["args"]["script"] == "select max(price) as m from trades"
