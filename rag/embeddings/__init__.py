"""Encoders of text: a configured endpoint, else the local model, else none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.settings import KnowledgeSettings


class Encoder(Protocol):
    """`multilingual` tells whether Chinese text may be given to it as it is."""

    name: str
    multilingual: bool

    def knows(self, word: str, /) -> bool:
        """Whether a word in lower case is a word of its own to this encoder, and so hardly a misspelling."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row of length 1 a text."""


def encoder(settings: KnowledgeSettings) -> Encoder | None:
    """The encoder these settings and this installation allow; None means lexical retrieval alone."""
    if settings.embedding == "none":
        return None
    if settings.embedding_url:
        from rag.embeddings.endpoint import EndpointEncoder

        return EndpointEncoder(settings)
    from rag.embeddings.minilm import MiniLM, model_directory

    directory = model_directory()
    return MiniLM(directory) if directory is not None else None


def encoder_name(settings: KnowledgeSettings) -> str:
    """The name of `encoder(settings)` without loading it; empty without one."""
    if settings.embedding == "none":
        return ""
    if settings.embedding_url:
        return settings.embedding_model
    from rag.embeddings.minilm import NAME, model_directory

    return NAME if model_directory() is not None else ""
