"""An OpenAI-compatible embedding endpoint."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError
from rag.settings import KnowledgeSettings

BATCH = 64


class EmbeddingEndpointError(UserError):
    """The endpoint did not answer usably."""

    status = 503


class EndpointEncoder:
    multilingual = True

    def __init__(self, settings: KnowledgeSettings) -> None:
        import httpx

        self.name = settings.embedding_model
        key = settings.embedding_api_key
        headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
        base_url = (settings.embedding_url or "").rstrip("/")
        self._client = httpx.Client(base_url=base_url, headers=headers, timeout=settings.embedding_timeout)

    def knows(self, word: str, /) -> bool:  # noqa: ARG002, an endpoint does not tell
        return False

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Raises EmbeddingEndpointError when the endpoint fails or answers something else."""
        rows: list[list[float]] = []
        for start in range(0, len(texts), BATCH):
            rows.extend(self._batch(texts[start : start + BATCH]))
        vectors = np.array(rows, np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        lengths[lengths == 0] = 1
        vectors /= lengths
        return vectors

    def _batch(self, texts: Sequence[str]) -> list[list[float]]:
        import httpx

        try:
            response = self._client.post("/embeddings", json={"model": self.name, "input": list(texts)})
            response.raise_for_status()
            items = sorted(response.json()["data"], key=lambda item: int(item["index"]))
            rows = [list(map(float, item["embedding"])) for item in items]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise EmbeddingEndpointError(
                f"The embedding endpoint failed: {type(error).__name__}: {error}.",
                "Check DDB_AGENT_EMBEDDING_URL, _MODEL and _API_KEY.",
            ) from None
        if len(rows) != len(texts):
            raise EmbeddingEndpointError(
                f"The embedding endpoint gave {len(rows)} vectors for {len(texts)} texts.", "Check the endpoint."
            )
        return rows
