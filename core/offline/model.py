from __future__ import annotations

from typing import Any

from langchain_core.language_models import BaseChatModel


class OfflineModel(BaseChatModel):
    @property
    def _llm_type(self) -> str:
        return "offline"

    def _generate(self, *a: Any, **k: Any) -> Any:
        raise NotImplementedError
