from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr, ValidationError

from core.errors import ConfigurationError, ConflictError, DolphinDBUnavailableError, InvalidInputError
from core.postgres import Pool
from core.settings import Settings
from dolphin.environment import Environment
from dolphin.sessions import Sessions
from provision.service import Environments, StaticRequest, open_environments
from provision.settings import ProvisionSettings


@pytest.fixture
async def allowing(settings: Settings, pool: Pool, no_environments: None) -> AsyncIterator[Environments]:
    provision = ProvisionSettings(_env_file=None, environment_provider="local", allow_private_addresses=True)
    async with open_environments(settings, pool, provision=provision) as environments:
        yield environments


def request(environment: Environment, **changes: object) -> StaticRequest:
    values = {
        "name": "mine", "host": environment.host, "port": environment.port, "user": environment.user,
        "password": environment.password, **changes,
    }  # fmt: skip
    return StaticRequest.model_validate(values)


async def test_a_server_is_registered_used_and_forgotten(
    allowing: Environments, environment: Environment, sessions: Sessions, owner: str
) -> None:
    record = await allowing.register(owner, request(environment))
    assert (record.state, record.expires_at) == ("RUNNING", None)
    assert environment.password.get_secret_value().encode() not in (record.secret or b"")
    resolved = await allowing.resolve(owner, "mine")
    assert await sessions.evaluate(resolved, "t", "1 + 1") == 2
    assert (await allowing.connection(owner, "mine"))["reachable"]
    with pytest.raises(ConflictError, match="already"):
        await allowing.register(owner, request(environment))
    with pytest.raises(ConflictError, match="does not expire"):
        await allowing.extend(owner, "mine", 1)
    swept = await allowing.reaper().sweep_now()
    assert swept is not None
    assert swept.vanished == []
    assert (await allowing.delete(owner, "mine")).state == "DELETED"
    assert await sessions.evaluate(environment, "t", "1 + 1") == 2


async def test_it_must_answer(allowing: Environments, environment: Environment, owner: str) -> None:
    with pytest.raises(DolphinDBUnavailableError):
        await allowing.register(owner, request(environment, password=SecretStr("wrong-password")))
    with pytest.raises(DolphinDBUnavailableError):
        await allowing.register(owner, request(environment, port=1))
    assert await allowing.list(owner, ended=True) == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "10.1.2.3", "169.254.169.254", "100.100.100.200", "::1", "::ffff:10.0.0.1",
             "0.0.0.0", "fd00::1", "192.168.0.9", "2130706433", "0x7f.1"],
)  # fmt: skip
async def test_private_addresses_are_refused(local: Environments, owner: str, host: str) -> None:
    wanted = StaticRequest(name="x", host=host, password=SecretStr("secret"))
    with pytest.raises(InvalidInputError, match=r"not a public address|is not known"):
        await local.register(owner, wanted)


async def test_a_name_that_turns_private_is_refused(
    allowing: Environments, local: Environments, environment: Environment, owner: str
) -> None:
    record = await allowing.register(owner, request(environment, host="localhost"))
    resolved = await local.resolve(owner, record.id)
    with pytest.raises(InvalidInputError, match="not a public address"):
        await resolved.current()


def test_a_password_is_not_shown() -> None:
    assert "hush" not in repr(StaticRequest(name="a", host="b", password=SecretStr("hush")))
    with pytest.raises(ValidationError):
        StaticRequest.model_validate({"name": "a", "host": "", "password": "hush"})


async def test_a_bad_setting_is_named_and_its_value_is_not_shown(
    settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DDB_AGENT_PRICE_CPU_HOUR", "cheap")
    with pytest.raises(ConfigurationError, match=r"^Bad settings: DDB_AGENT_PRICE_CPU_HOUR: ") as refused:
        async with open_environments(settings, pool):
            pass
    assert "cheap" not in str(refused.value)
