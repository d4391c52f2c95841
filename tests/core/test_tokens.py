from __future__ import annotations

import socket
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from core import tokens
from core.tokens import TokenCounter


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty token cache, and a network that must not be touched."""

    def refuse(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    tokens._cached_encoding.cache_clear()
    yield
    tokens._cached_encoding.cache_clear()


@pytest.mark.parametrize("model", [None, "gpt-4o", "gpt-4", "deepseek-chat", "offline"])
def test_without_files_an_estimate_is_made_offline(offline: None, model: str | None) -> None:
    counter = TokenCounter(model)
    assert counter.is_estimate
    assert counter.name == "estimate"
    assert counter.count("") == 0
    assert counter.count("select avg(price) from trades") > 0


def test_a_damaged_cache_file_is_not_used_and_not_fetched(offline: None, tmp_path: Path) -> None:
    address = tokens.ENCODING_FILES["o200k_base"][0]
    damaged = tmp_path / tokens._cache_key(address)
    damaged.write_bytes(b"damaged")
    assert TokenCounter("gpt-4o").is_estimate
    assert damaged.exists()


def test_the_estimate_follows_the_kind_of_text(offline: None) -> None:
    counter = TokenCounter()
    assert 9 <= counter.count("The quick brown fox jumps over the lazy dog.") <= 14
    assert 6 <= counter.count("查询最近一周的平均价格") <= 12
    assert counter.count("12345678") == 3
    assert counter.count("a b\n" * 1000) > 1900


def test_the_estimate_is_additive_enough_and_fast(offline: None) -> None:
    counter = TokenCounter()
    text = "select avg(price) as avgPrice from loadTable('dfs://trades', 'trades') where date = 2024.01.01\n"
    whole = counter.count(text * 500)
    assert abs(whole - 500 * counter.count(text)) <= 500


def test_messages_cost_more_than_their_text_and_tool_calls_count(offline: None) -> None:
    counter = TokenCounter()
    plain = [HumanMessage("hello"), AIMessage("")]
    call = {
        "name": "run_dolphindb_script",
        "args": {"script": "select * from trades" * 20},
        "id": "1",
        "type": "tool_call",
    }
    calling = [HumanMessage("hello"), AIMessage("", tool_calls=[call])]
    answered = [*calling, ToolMessage("TABLE 3 rows", tool_call_id="1")]
    assert counter.count("hello") < counter.count_messages(plain)
    assert counter.count_messages(plain) + counter.count(call["args"]["script"]) < counter.count_messages(calling)
    assert counter.count_messages(calling) < counter.count_messages(answered)


def test_content_blocks_count(offline: None) -> None:
    counter = TokenCounter()
    text = "some words " * 50
    blocks = HumanMessage([{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": "data:x"}}])
    assert counter.count_messages([blocks]) >= counter.count(text) + tokens.IMAGE_TOKENS
