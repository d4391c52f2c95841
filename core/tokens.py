"""How many tokens a text costs, without the network."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tiktoken
    from langchain_core.messages import BaseMessage

FALLBACK_ENCODING = "o200k_base"
MESSAGE_OVERHEAD = 4
TOOL_CALL_OVERHEAD = 8
REPLY_OVERHEAD = 3
IMAGE_TOKENS = 1_000

REMEMBERED_TEXTS = 4_096
REMEMBERED_LENGTH = 10_000

# The files that tiktoken would fetch: name -> (address it derives the cache key from, sha256 it insists on).
ENCODING_FILES = {
    "o200k_base": (
        "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
    "cl100k_base": (
        "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
}

PIECES = re.compile(
    r"(?P<word>[A-Za-z]+)"
    r"|(?P<digits>[0-9]+)"
    r"|(?P<spaces>[^\S\n]{2,}|\n+)"
    r"|(?P<space>\s)"
    r"|(?P<mark>[!-/:-@\[-`{-~])"
    r"|(?P<other>.)",
    re.DOTALL,
)


class TokenCounter:
    """Counts tokens as `model_name` would.

    Exact only when tiktoken knows the model and its file lies in tiktoken's cache (`TIKTOKEN_CACHE_DIR` or
    `DATA_GYM_CACHE_DIR`, else `data-gym-cache` in the temporary directory); nothing is ever fetched. Otherwise
    `is_estimate` is true: with the file of another encoding that one is used, and without any file the text is counted
    by class of character. That count is a rule of thumb meant to be too high rather than too low: near the truth for
    prose and script in English, up to about 40 % above it for Chinese in the newest encodings (one token per character
    is assumed). Base64 and random text may cost more than it says; leave a margin where a limit is hard.
    """

    def __init__(self, model_name: str | None = None) -> None:
        known = _encoding_of(model_name) if model_name else None
        self._encoding = _cached_encoding(known or FALLBACK_ENCODING)
        self.is_estimate = self._encoding is None or known is None
        self.name = self._encoding.name if self._encoding is not None else "estimate"

    def count(self, text: str) -> int:
        """Counts are remembered: a conversation is counted before every step, and most of it is as it was."""
        count = _remembered if len(text) <= REMEMBERED_LENGTH else _counted
        return count(self._encoding, text)

    def count_messages(self, messages: Iterable[BaseMessage]) -> int:
        """Tokens of a request made of `messages`, their tool calls included; images count 1,000 each."""
        total = REPLY_OVERHEAD
        for message in messages:
            total += MESSAGE_OVERHEAD + self._count_content(message.content)
            if message.name:
                total += 1 + self.count(message.name)
            for call in getattr(message, "tool_calls", ()):
                arguments = json.dumps(call["args"], ensure_ascii=False, default=str)
                total += TOOL_CALL_OVERHEAD + self.count(call["name"]) + self.count(arguments)
            for call in getattr(message, "invalid_tool_calls", ()):
                total += TOOL_CALL_OVERHEAD + self.count(call.get("name") or "") + self.count(call.get("args") or "")
            tool_call_id = getattr(message, "tool_call_id", None)
            if tool_call_id:
                total += self.count(str(tool_call_id))
        return total

    def _count_content(self, content: object) -> int:
        if isinstance(content, str):
            return self.count(content)
        if not isinstance(content, list):
            return self.count(json.dumps(content, ensure_ascii=False, default=str))
        total = 0
        for block in content:
            if isinstance(block, str):
                total += self.count(block)
            elif isinstance(block, dict) and isinstance(block.get("text"), str):
                total += self.count(block["text"])
            elif isinstance(block, dict) and str(block.get("type", "")).startswith(("image", "input_image")):
                total += IMAGE_TOKENS
            elif not (isinstance(block, dict) and block.get("type") in ("tool_call", "tool_use", "function_call")):
                total += self.count(json.dumps(block, ensure_ascii=False, default=str))
        return total


def estimate(text: str) -> int:
    """Tokens by class of character: a word costs one per six letters, digits one per three, a Chinese character one."""
    total = 0.0
    for piece in PIECES.finditer(text):
        kind, length = piece.lastgroup, piece.end() - piece.start()
        if kind == "word":
            total += ceil(length / 6)
        elif kind == "digits":
            total += ceil(length / 3)
        elif kind == "spaces":
            total += ceil(length / 16)
        elif kind == "mark":
            total += 0.7
        elif kind == "space":
            total += 0.05
        else:
            total += 1.0
    return ceil(total)


def _counted(encoding: tiktoken.Encoding | None, text: str) -> int:
    return estimate(text) if encoding is None else len(encoding.encode(text, disallowed_special=()))


_remembered = lru_cache(REMEMBERED_TEXTS)(_counted)


def _encoding_of(model_name: str) -> str | None:
    from tiktoken.model import encoding_name_for_model

    try:
        return encoding_name_for_model(model_name)
    except KeyError:
        return None


@lru_cache
def _cached_encoding(name: str) -> tiktoken.Encoding | None:
    address, digest = ENCODING_FILES.get(name, ("", ""))
    directory = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if not address or directory == "":
        return None
    path = Path(directory or Path(tempfile.gettempdir()) / "data-gym-cache") / _cache_key(address)
    try:
        # tiktoken deletes a file with another digest and fetches it anew.
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            return None
    except OSError:
        return None
    import tiktoken

    return tiktoken.get_encoding(name)


def _cache_key(address: str) -> str:
    return hashlib.sha1(address.encode(), usedforsecurity=False).hexdigest()
