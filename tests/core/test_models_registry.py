from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ConfigurationError
from core.models import ModelRegistry
from core.models.backoff import Backoff, retry_after_seconds
from core.offline import OfflineModel
from core.settings import Settings

FILE = """
[roles]
planner = "deepseek"
actor = "qwen"

[models.deepseek]
model = "deepseek-chat"
base_url = "https://api.deepseek.com/v1"
api_key_env = "DEEPSEEK_API_KEY"
context_tokens = 64000
timeout = 60
max_retries = 3
fallbacks = ["qwen"]

[models.qwen]
model = "qwen-max"
base_url = "http://127.0.0.1:9/v1"
"""


def settings(models: str | None = None, **values: object) -> Settings:
    return Settings(_env_file=None, models=models, **values)


@pytest.fixture
def model_file(tmp_path: Path) -> str:
    path = tmp_path / "models.toml"
    path.write_text(FILE)
    return str(path)


def test_without_a_model_file_both_roles_are_offline() -> None:
    registry = ModelRegistry.load(settings(), {})
    assert registry.entry("planner").name == registry.entry("actor").name == "offline"
    assert isinstance(registry.chat_model("actor"), OfflineModel)
    assert [record["provider"] for record in registry.describe()] == ["offline", "offline"]


def test_roles_come_from_the_file_and_settings_override_them(model_file: str) -> None:
    registry = ModelRegistry.load(settings(model_file), {})
    assert (registry.entry("planner").model, registry.entry("actor").model) == ("deepseek-chat", "qwen-max")
    registry = ModelRegistry.load(settings(model_file, planner_model="offline"), {})
    assert registry.entry("planner").name == "offline"


def test_inline_json_and_the_first_entry_as_default() -> None:
    registry = ModelRegistry.load(settings('{"models": {"a": {"model": "x"}, "b": {"model": "y"}}}'), {})
    assert registry.entry("actor").model == "x"
    assert registry.entry("actor").key_variable == "OPENAI_API_KEY"


def test_missing_key_names_the_variable(model_file: str) -> None:
    registry = ModelRegistry.load(settings(model_file), {})
    with pytest.raises(ConfigurationError, match="DEEPSEEK_API_KEY"):
        registry.chat_model("planner")
    assert registry.chat_model("actor")


def test_keys_may_stand_in_the_env_file(model_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("DEEPSEEK_API_KEY=sk-from-file\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DEEPSEEK_API_KEY", raising=False)
    assert ModelRegistry.load(settings(model_file)).describe()[0]["key_present"]
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-from-process")
    registry = ModelRegistry.load(settings(model_file))
    model = registry.chat_model("planner")
    assert model.candidates[0].secret == "sk-from-process"


def test_description_tells_of_keys_without_telling_them(model_file: str) -> None:
    registry = ModelRegistry.load(settings(model_file), {"DEEPSEEK_API_KEY": "sk-secret"})
    planner, actor = registry.describe()
    assert (planner["key_variable"], planner["key_present"], planner["fallbacks"]) == (
        "DEEPSEEK_API_KEY",
        True,
        ["qwen"],
    )
    assert (actor["key_variable"], actor["key_present"]) == (None, True)
    registry.chat_model("planner")
    assert "sk-secret" not in repr(registry.describe()) + repr(registry.chat_model("planner"))


def test_the_key_of_openai_is_not_sent_to_other_endpoints(model_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    model = ModelRegistry.load(settings(model_file), {}).chat_model("actor")
    assert "sk-of-openai" not in model.candidates[0].model.openai_api_key.get_secret_value()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[models.a]\nmodel = 'x'\nbase_url = 'ftp://x'", "models.a.base_url"),
        ("[models.a]\nmodel = 'x'\ntemprature = 1", "temprature"),
        ("[models.a]\nbase_url = 'http://x'", "model is missing"),
        ("[models.a]\nmodel = 'x'\nfallbacks = ['b']", "falls back to 'b'"),
        ("[models.a]\nmodel = 'x'\nfallbacks = ['a']", "falls back to 'a'"),
        ("[roles]\nplanner = 'b'\n[models.a]\nmodel = 'x'", "'b' is not in the model file"),
        ("[models.offline]\nmodel = 'x'", "offline"),
        ("[models.a", "malformed"),
    ],
)
def test_bad_files_are_refused_with_the_place(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "models.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=complaint):
        ModelRegistry.load(settings(str(path)), {})


def test_unreadable_sources_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        ModelRegistry.load(settings(str(tmp_path / "absent.toml")), {})
    with pytest.raises(ConfigurationError, match="not valid JSON"):
        ModelRegistry.load(settings("{nonsense"), {})


def test_backoff_grows_is_jittered_and_never_below_what_the_server_asks() -> None:
    backoff = Backoff(base=1, limit=8)
    for attempt, step in ((1, 1), (2, 2), (4, 8), (9, 8)):
        waits = {backoff.seconds(attempt) for _ in range(50)}
        assert len(waits) > 1
        assert all(step / 2 <= wait <= step for wait in waits)
    assert backoff.seconds(1, retry_after=30) == 30


@pytest.mark.parametrize(
    ("headers", "low", "high"),
    [
        ({"retry-after": "3"}, 3, 3),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25, 0.25),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0, 0),
        ({"retry-after": "Wed, 21 Oct 2099 07:28:00 -0000"}, 1e6, 1e11),
        ({"retry-after": "soon"}, None, None),
        ({}, None, None),
    ],
)
def test_retry_after_in_its_forms(headers: dict[str, str], low: float | None, high: float | None) -> None:
    class Refused(Exception):
        response = type("Response", (), {"headers": headers})

    seconds = retry_after_seconds(Refused())
    assert seconds is None if low is None else low <= (seconds or 0) <= (high or 0)
