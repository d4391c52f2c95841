"""Chat models by role: a registry of OpenAI-compatible endpoints, with retries and fallbacks, and the offline model."""

from __future__ import annotations

from core.models.entries import OFFLINE, ModelEntry, ModelFile, Role, read_model_file
from core.models.errors import ModelCallError
from core.models.registry import ModelRegistry

__all__ = ["OFFLINE", "ModelCallError", "ModelEntry", "ModelFile", "ModelRegistry", "Role", "read_model_file"]
