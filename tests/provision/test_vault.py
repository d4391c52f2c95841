from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from core.errors import ConfigurationError
from core.postgres import Pool
from core.settings import Settings
from provision.service import open_environments
from provision.settings import ProvisionSettings
from provision.vault import Vault, open_vault, random_password

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_a_new_key_goes_in_front() -> None:
    stored = Vault([OLD]).encrypt(SecretStr("hush"))
    both = Vault([NEW, OLD])
    assert both.decrypt(stored).get_secret_value() == "hush"
    renewed = both.renew(stored)
    assert Vault([NEW]).decrypt(renewed).get_secret_value() == "hush"
    with pytest.raises(ConfigurationError, match="DDB_AGENT_SECRET_KEYS"):
        Vault([NEW]).decrypt(stored)


def test_a_key_is_made_once(tmp_path: Path) -> None:
    stored = open_vault((), tmp_path / "data").encrypt(SecretStr("hush"))
    path = tmp_path / "data" / "secret.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert open_vault((), tmp_path / "data").decrypt(stored).get_secret_value() == "hush"
    assert list((tmp_path / "data").iterdir()) == [path]


def test_a_bad_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Fernet"):
        Vault(["short"])


def test_passwords_pass_the_strictest_rules() -> None:
    passwords = {random_password().get_secret_value() for _ in range(200)}
    assert len(passwords) == 200
    for password in passwords:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{19}", password)
        assert re.search("[A-Z]", password)
        assert re.search("[_-]", password)


async def test_stored_passwords_move_to_a_new_key(
    settings: Settings, pool: Pool, owner: str, no_environments: None
) -> None:
    old = ProvisionSettings(_env_file=None, environment_provider="local", secret_keys=OLD)
    async with open_environments(settings, pool, provision=old) as environments:
        secret = environments.vault.encrypt(SecretStr("hush"))
        record = await environments.store.add_static(owner, "mine", "db.example.com", 8848, "admin", secret)
    rotated = ProvisionSettings(_env_file=None, environment_provider="local", secret_keys=f"{NEW},{OLD}")
    async with open_environments(settings, pool, provision=rotated) as environments:
        stored = (await environments.get(owner, record.id)).secret
    assert stored is not None
    assert Vault([NEW]).decrypt(stored).get_secret_value() == "hush"
