"""LangGraph's RemoteGraph: a graph that is served, used like one that is not."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.pregel.remote import RemoteException, RemoteGraph
from langgraph.types import Command
from langgraph_sdk import get_sync_client
from served import Process
from served.graphs import Log


@pytest.fixture
async def config(client: Any) -> RunnableConfig:
    return {"configurable": {"thread_id": (await client.threads.create())["thread_id"]}}


async def test_state_is_read_changed_and_remembered(client: Any, config: RunnableConfig) -> None:
    remote = RemoteGraph("echo", client=client)
    assert (await remote.ainvoke({"text": "a"}, config))["log"] == ["a"]
    changed = await remote.aupdate_state(config, {"log": ["b"]}, as_node="echo")
    assert (await remote.aget_state(config)).values == {"text": "a", "log": ["a", "b"]}
    history = [state async for state in remote.aget_state_history(config)]
    assert [state.values["log"] for state in history][:2] == [["a", "b"], ["a"]]
    assert history[0].config["configurable"]["checkpoint_id"] == changed["configurable"]["checkpoint_id"]
    before = [state async for state in remote.aget_state_history(config, before=history[1].config, limit=1)]
    assert before[0].config == history[2].config
    assert (await remote.aget_state(history[1].config)).values["log"] == ["a"]
    forked = await remote.aupdate_state(history[1].config, {"log": ["c"]}, as_node="echo")
    assert (await remote.aget_state(forked)).values["log"] == ["a", "c"]
    assert list((await remote.aget_graph()).nodes) == ["__start__", "echo", "__end__"]


async def test_streams_with_those_of_subgraphs(client: Any, config: RunnableConfig) -> None:
    remote = RemoteGraph("parent", client=client)
    parts = [part async for part in remote.astream({"text": "a"}, config, stream_mode="updates", subgraphs=True)]
    assert parts[0][0][0].startswith("child:")
    assert parts[0][1] == {"echo": {"log": ["a"]}}
    assert parts[1] == ((), {"child": {"text": "a", "log": ["a"]}})
    tokens = RemoteGraph("tokens", client=client)
    said = [
        message["content"]
        async for message, _ in tokens.astream({"messages": [("user", "hello")]}, stream_mode="messages")
    ]
    assert "".join(map(str, said)) == " ".join(f"t{number}" for number in range(50))


async def test_interrupts_are_answered(client: Any, config: RunnableConfig) -> None:
    remote = RemoteGraph("asker", client=client)
    parts = [part async for part in remote.astream({"text": "a"}, config, stream_mode="updates")]
    assert parts[-1]["__interrupt__"][0]["value"] == {"question": "well?"}
    [task] = (await remote.aget_state(config)).tasks
    assert task.interrupts[0].value == {"question": "well?"}
    assert (await remote.ainvoke(Command(resume="yes"), config))["log"] == ["answer yes"]


async def test_an_error_is_raised_here(client: Any, config: RunnableConfig) -> None:
    with pytest.raises(RemoteException, match="boom!"):
        await RemoteGraph("boom", client=client).ainvoke({"text": "a"}, config)


async def test_it_is_a_node_of_another_graph(client: Any, server: Process) -> None:
    def around(name: str) -> Any:
        graph = StateGraph(Log)
        graph.add_node("remote", RemoteGraph(name, client=client, sync_client=get_sync_client(url=server.url)))
        graph.add_edge(START, "remote")
        return graph.compile(checkpointer=InMemorySaver())

    thread = (await client.threads.create())["thread_id"]
    config: RunnableConfig = {"configurable": {"thread_id": thread}}
    parts = [
        part async for part in around("echo").astream({"text": "a"}, config, stream_mode="updates", subgraphs=True)
    ]
    assert parts[-1] == ((), {"remote": {"text": "a", "log": ["a"]}})
    assert any(data == {"echo": {"log": ["a"]}} for _, data in parts)
    stopped = await around("asker").ainvoke(
        {"text": "a"}, {"configurable": {"thread_id": (await client.threads.create())["thread_id"]}}
    )
    assert stopped["__interrupt__"][0].value == {"question": "well?"}
