from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ConfigurationError, NotFoundError, UserError
from core.settings import load_settings


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "DDB_AGENT_DATABASE_URL", "DDB_AGENT_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


def test_database_url_is_read_from_either_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@h/d")
    first = load_settings().database_url
    monkeypatch.setenv("DDB_AGENT_DATABASE_URL", "postgresql://other/d")
    second = load_settings().database_url
    assert first is not None
    assert second is not None
    assert first.get_secret_value() == "postgresql://u:p@h/d"
    assert second.get_secret_value() == "postgresql://other/d"


def test_dotenv_file_is_read_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("DDB_AGENT_MAX_STEPS=7\nDDB_AGENT_SCRIPT_TIMEOUT=9\nUNRELATED=1\n")
    monkeypatch.setenv("DDB_AGENT_SCRIPT_TIMEOUT", "11")
    settings = load_settings()
    assert (settings.max_steps, settings.script_timeout) == (7, 11.0)


def test_effects_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDB_AGENT_ALLOWED_EFFECTS", "read, session,write")
    assert load_settings().allowed_effects == ("read", "session", "write")


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hunter2@h/d")
    monkeypatch.setenv("DDB_AGENT_DOLPHINDB_PASSWORD", "hunter3")
    shown = f"{load_settings()!r} {load_settings()} {load_settings().model_dump_json()}"
    assert "hunter" not in shown


def test_a_bad_setting_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDB_AGENT_DOLPHINDB_PORT", "topsecret")
    monkeypatch.setenv("DDB_AGENT_ALLOWED_EFFECTS", "read,everything")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert "DDB_AGENT_DOLPHINDB_PORT" in str(caught.value)
    assert "DDB_AGENT_ALLOWED_EFFECTS" in str(caught.value)
    assert "topsecret" not in str(caught.value)


def test_the_home_directory_and_relative_paths_are_resolved() -> None:
    assert load_settings(data_dir="~/x").data_dir == Path.home() / "x"
    assert load_settings(data_dir="x").data_dir.is_absolute()


def test_user_errors_say_what_and_what_to_do() -> None:
    error = NotFoundError("There is no table t.", "List the tables.")
    assert isinstance(error, UserError)
    assert (str(error), error.status) == ("There is no table t. List the tables.", 404)
    assert str(UserError("Only this.")) == "Only this."
