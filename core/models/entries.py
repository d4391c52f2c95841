"""The model file: named entries and the two roles, as TOML or JSON."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from core.errors import ConfigurationError

Role = Literal["planner", "actor"]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[\w.:/-]+$")]

OFFLINE = "offline"
OPENAI_URL = "https://api.openai.com/v1"


class ModelEntry(BaseModel):
    """One endpoint. Times are in seconds, sizes in tokens.

    `timeout` limits the wait for an answer to begin and every pause within it; `total_timeout` limits one call of this
    entry, all its attempts and waits included. `max_retries` counts the attempts after the first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Name
    provider: Literal["openai", "offline"] = "openai"
    model: str = ""
    base_url: str = OPENAI_URL
    api_key_env: str | None = None
    context_tokens: int = Field(default=64_000, ge=1_000)
    max_output_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    timeout: float = Field(default=60.0, gt=0)
    total_timeout: float = Field(default=600.0, gt=0)
    max_retries: int = Field(default=3, ge=0, le=20)
    stream_usage: bool = True
    headers: dict[str, str] = Field(default_factory=dict)
    extra_body: dict[str, Any] = Field(default_factory=dict)
    fallbacks: tuple[str, ...] = ()

    @field_validator("base_url")
    @classmethod
    def _http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _complete(self) -> ModelEntry:
        if self.provider == "openai" and not self.model:
            raise ValueError("model is missing: name the model as the endpoint knows it")
        return self

    @property
    def key_variable(self) -> str | None:
        """The environment variable that holds the key; None for an endpoint that needs none."""
        if self.provider == "offline":
            return None
        return self.api_key_env or ("OPENAI_API_KEY" if self.base_url == OPENAI_URL else None)


class Roles(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    planner: str | None = None
    actor: str | None = None


class ModelFile(BaseModel):
    """What a model file says. An entry without a role is used when another one falls back to it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    models: dict[str, ModelEntry] = Field(default_factory=dict)
    roles: Roles = Roles()

    @model_validator(mode="before")
    @classmethod
    def _name_entries(cls, data: Any) -> Any:
        models = data.get("models") if isinstance(data, dict) else None
        if not isinstance(models, dict):
            return data
        named = {name: {"name": name, **entry} if isinstance(entry, dict) else entry for name, entry in models.items()}
        return {**data, "models": named}


def offline_entry() -> ModelEntry:
    return ModelEntry(name=OFFLINE, provider="offline", model=OFFLINE, context_tokens=32_000)


def read_model_file(source: str) -> ModelFile:
    """Read the model file at the path `source`, or `source` itself when it is a JSON object.

    Raises ConfigurationError when the file is missing, malformed or names unknown fields.
    """
    remedy = "See the section on models in the README for the fields of an entry."
    if source.lstrip().startswith("{"):
        where = "DDB_AGENT_MODELS"
        try:
            data = json.loads(source)
        except json.JSONDecodeError as error:
            raise ConfigurationError(
                f"{where} is not valid JSON: {error.msg} at character {error.pos}.", remedy
            ) from None
    else:
        path = Path(source).expanduser()
        where = str(path)
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(
                f"The model file {where} cannot be read: {error.strerror}.", "Correct DDB_AGENT_MODELS."
            ) from None
        try:
            data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigurationError(f"The model file {where} is malformed: {error}.", remedy) from None
    try:
        return ModelFile.model_validate(data)
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise ConfigurationError(f"{where}: {'; '.join(problems)}.", remedy) from None
