"""Settings of rented environments."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode

from core.settings import CONFIG, empty_is_unset, split_commas

ProviderName = Literal["eci", "local"]


class ProvisionSettings(BaseSettings):
    """Read from `DDB_AGENT_<NAME>` like all settings. Times are in seconds, memory in GiB, prices per hour.

    Without `environment_provider` the provider is ECI when `eci_region` is set, else local. `secret_keys` are Fernet
    keys, separated by commas: the first encrypts, all decrypt; without any, a key is made in the data folder. Cloud
    credentials come from Alibaba's standard chain (ALIBABA_CLOUD_ACCESS_KEY_ID and so on), never from here.
    `local_commands` lets users run programs in local workspaces, where they run as this process's own user. When it
    is not set only the one local user may, not the users of a server.
    `eci_zones` and `eci_vswitches` run in parallel: the vSwitch of each zone, tried in this order.
    """

    model_config = CONFIG

    environment_provider: ProviderName | None = None
    environments_per_user: int = Field(default=3, ge=1)
    environment_extension_hours: int = Field(default=48, ge=1)
    secret_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    allow_private_addresses: bool = False
    local_commands: bool | None = None

    price_currency: str = "CNY"
    price_cpu_hour: float = Field(default=0.18, ge=0)
    price_memory_hour: float = Field(default=0.023, ge=0)
    price_address_hour: float = Field(default=0.02, ge=0)
    price_spot_share: float = Field(default=0.3, gt=0, le=1)

    provision_timeout: float = Field(default=900.0, gt=0)
    provision_poll_seconds: float = Field(default=3.0, gt=0)
    provision_lease_seconds: float = Field(default=30.0, gt=0)
    provision_abandoned_seconds: float = Field(default=600.0, gt=0)
    reaper_seconds: float = Field(default=30.0, gt=0)
    orphan_grace_seconds: float = Field(default=900.0, gt=0)
    expiry_warning_seconds: float = Field(default=900.0, ge=0)
    deletion_retry_seconds: float = Field(default=20.0, gt=0)

    eci_region: str | None = None
    eci_endpoint: str | None = None
    eci_protocol: Literal["https", "http"] = "https"
    eci_zones: Annotated[tuple[str, ...], NoDecode] = ()
    eci_vswitches: Annotated[tuple[str, ...], NoDecode] = ()
    eci_security_group: str | None = None
    eci_resource_group: str | None = None
    eci_database_image: str = "registry.cn-hangzhou.aliyuncs.com/dolphindb/dolphindb:v3.00.4"
    eci_database_port: int = Field(default=8848, ge=1, le=65535)
    eci_database_user: str = "admin"
    eci_database_password: SecretStr = SecretStr("123456")
    eci_workspace_image: str = "codercom/code-server:latest"
    eci_workspace_port: int = Field(default=8080, ge=1, le=65535)
    eci_workspace_cpu: float = 1.0
    eci_workspace_memory: float = 2.0
    eci_workspace_folder: str = "/home/coder/project"
    eci_public_addresses: bool = True
    eci_bandwidth: int = Field(default=5, ge=1, le=100, description="Mbit/s of each public address")
    eci_image_cache: bool = True
    eci_registry_server: str | None = None
    eci_registry_user: str | None = None
    eci_registry_password: SecretStr | None = None
    eci_connect_timeout: float = Field(default=5.0, gt=0)
    eci_read_timeout: float = Field(default=15.0, gt=0)
    eci_attempts: int = Field(default=5, ge=1)
    eci_retry_seconds: float = Field(default=0.5, ge=0)

    _empty = field_validator(
        "environment_provider", "local_commands", "eci_region", "eci_endpoint", "eci_security_group",
        "eci_resource_group", "eci_registry_server", "eci_registry_user", "eci_registry_password", mode="before",
    )(empty_is_unset)  # fmt: skip

    _lists = field_validator("secret_keys", "eci_zones", "eci_vswitches", mode="before")(split_commas)

    @property
    def provider(self) -> ProviderName:
        return self.environment_provider or ("eci" if self.eci_region else "local")
