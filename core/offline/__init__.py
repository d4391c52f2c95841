"""The offline model: a rule-based chat model that needs no account, no key and no network."""

from __future__ import annotations

from core.offline.model import OfflineModel

__all__ = ["OfflineModel"]
