"""Which model plays which role, and the ready chat model for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from dotenv import dotenv_values
from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

from core.errors import ConfigurationError
from core.models.entries import OFFLINE, ModelEntry, ModelFile, Role, offline_entry, read_model_file
from core.models.fallback import Candidate, FallbackChatModel
from core.settings import Settings

ROLES: tuple[Role, ...] = get_args(Role)


class ModelRegistry:
    """Model entries by name and the entry of each role. Without any configured model, both roles are offline."""

    def __init__(
        self, entries: Mapping[str, ModelEntry], roles: Mapping[Role, str], environ: Mapping[str, str]
    ) -> None:
        self.entries = dict(entries)
        self.roles = dict(roles)
        self._environ = environ
        self._chat_models: dict[str, BaseChatModel] = {}

    @classmethod
    def load(cls, settings: Settings, environ: Mapping[str, str] | None = None) -> ModelRegistry:
        """Read the model file the settings name. Keys are looked up in `environ`: by default `.env` and the process'
        environment, the latter winning. Raises ConfigurationError for names that lead nowhere.
        """
        file = read_model_file(settings.models) if settings.models else ModelFile()
        entries = {OFFLINE: offline_entry(), **file.models}
        if entries[OFFLINE].provider != OFFLINE:
            raise ConfigurationError(f"The name {OFFLINE!r} belongs to the offline model.", "Choose another name.")
        default = next(iter(file.models), OFFLINE)
        roles: dict[Role, str] = {
            "planner": settings.planner_model or file.roles.planner or default,
            "actor": settings.actor_model or file.roles.actor or default,
        }
        known = ", ".join(entries)
        for role, name in roles.items():
            if name not in entries:
                raise ConfigurationError(
                    f"The {role} model {name!r} is not in the model file.",
                    f"Known models: {known}. Correct DDB_AGENT_{role.upper()}_MODEL or [roles] in the model file.",
                )
        for entry in entries.values():
            for name in entry.fallbacks:
                if name not in entries or name == entry.name:
                    raise ConfigurationError(
                        f"The model {entry.name} falls back to {name!r}, which is not another entry of the model file.",
                        f"Known models: {known}.",
                    )
        return cls(entries, roles, _environment() if environ is None else environ)

    def entry(self, role: Role) -> ModelEntry:
        return self.entries[self.roles[role]]

    def chat_model(self, role: Role) -> BaseChatModel:
        """The chat model of a role, with retries and fallbacks; made once per entry.

        Raises ConfigurationError naming the environment variable when a key is missing.
        """
        entry = self.entry(role)
        if entry.name not in self._chat_models:
            self._chat_models[entry.name] = self._build(entry)
        return self._chat_models[entry.name]

    def describe(self) -> list[dict[str, Any]]:
        """One plain record per role, for diagnosis; tells whether a key is present, never the key."""
        records = []
        for role in ROLES:
            entry = self.entry(role)
            variable = entry.key_variable
            records.append(
                {
                    "role": role,
                    "name": entry.name,
                    "provider": entry.provider,
                    "model": entry.model,
                    "base_url": entry.base_url if entry.provider == "openai" else None,
                    "context_tokens": entry.context_tokens,
                    "key_variable": variable,
                    "key_present": variable is None or bool(self._environ.get(variable)),
                    "fallbacks": list(entry.fallbacks),
                }
            )
        return records

    def _build(self, entry: ModelEntry) -> BaseChatModel:
        if entry.provider == "offline":
            return _offline_model()
        chain = [entry, *(self.entries[name] for name in entry.fallbacks)]
        return FallbackChatModel(candidates=tuple(self._candidate(item) for item in chain))

    def _candidate(self, entry: ModelEntry) -> Candidate:
        if entry.provider == "offline":
            return Candidate(entry, _offline_model())
        key = self._key(entry)
        return Candidate(entry, _openai_model(entry, key), key)

    def _key(self, entry: ModelEntry) -> SecretStr | None:
        variable = entry.key_variable
        if variable is None:
            return None
        key = self._environ.get(variable, "").strip()
        if not key:
            raise ConfigurationError(
                f"The model {entry.name} needs a key, and the environment variable {variable} is not set.",
                f"Set {variable}, or choose another model.",
            )
        return SecretStr(key)


def _environment() -> dict[str, str]:
    file = Path(".env")
    values = dotenv_values(file, encoding="utf-8") if file.is_file() else {}
    return {**{name: value for name, value in values.items() if value}, **os.environ}


def _offline_model() -> BaseChatModel:
    from core.offline import OfflineModel

    return OfflineModel()


def _openai_model(entry: ModelEntry, key: SecretStr | None) -> BaseChatModel:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(
        model=entry.model,
        base_url=entry.base_url,
        # Without a value ChatOpenAI would send OPENAI_API_KEY to whatever endpoint this is.
        api_key=key or SecretStr("none"),
        temperature=entry.temperature,
        max_completion_tokens=entry.max_output_tokens,
        timeout=entry.timeout,
        stream_chunk_timeout=entry.timeout,
        max_retries=0,
        stream_usage=entry.stream_usage,
        use_responses_api=False,
        default_headers=entry.headers or None,
        extra_body=entry.extra_body or None,
    )
