"""The provider in the cloud: container groups of Alibaba ECI."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from core.errors import ConfigurationError
from provision.eci_calls import Calls, is_missing
from provision.eci_exec import run_command
from provision.provider import ExecResult, Group, GroupRequest, ProviderError, Status
from provision.settings import ProvisionSettings
from provision.specs import EnvironmentRequest, Price, estimate

PAGE = 20
RUNNING = ("Running",)
ENDED = ("Succeeded", "Failed", "Expired", "ScheduleFailed", "Terminating")


class EciProvider:
    """Groups of one region. Credentials come from the client's standard chain."""

    name = "eci"

    def __init__(self, settings: ProvisionSettings) -> None:
        if settings.eci_region is None:
            raise ConfigurationError("ECI needs a region.", "Set DDB_AGENT_ECI_REGION, such as cn-hangzhou.")
        if settings.eci_vswitches and len(settings.eci_vswitches) != len(settings.eci_zones or ("",)):
            raise ConfigurationError(
                "DDB_AGENT_ECI_VSWITCHES and DDB_AGENT_ECI_ZONES differ in length.", "Name one vSwitch for each zone."
            )
        registry = (settings.eci_registry_server, settings.eci_registry_user, settings.eci_registry_password)
        if any(registry) and not all(registry):
            raise ConfigurationError(
                "The credentials of the image registry are incomplete.",
                "Set DDB_AGENT_ECI_REGISTRY_SERVER, DDB_AGENT_ECI_REGISTRY_USER and DDB_AGENT_ECI_REGISTRY_PASSWORD.",
            )
        self.region: str = settings.eci_region
        self.zones: Sequence[str] = settings.eci_zones or ("",)
        self._settings = settings
        self._call = Calls(settings.eci_attempts, settings.eci_retry_seconds)

    @cached_property
    def _client(self) -> Any:
        from alibabacloud_credentials.client import Client as Credentials  # type: ignore[import-untyped]
        from alibabacloud_eci20180808.client import Client  # type: ignore[import-untyped]
        from alibabacloud_tea_openapi.models import Config  # type: ignore[import-untyped]

        settings = self._settings
        try:
            credential = Credentials()
        except Exception as error:
            raise ConfigurationError(
                f"There are no credentials for ECI: {error}.",
                "Set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET.",
            ) from error
        return Client(
            Config(
                credential=credential,
                region_id=self.region,
                endpoint=settings.eci_endpoint or f"eci.{self.region}.aliyuncs.com",
                protocol=settings.eci_protocol,
                connect_timeout=int(settings.eci_connect_timeout * 1000),
                read_timeout=int(settings.eci_read_timeout * 1000),
            )
        )

    async def create(self, request: GroupRequest) -> str:
        models = _models()
        settings = self._settings
        image, port = self._image(request)
        group = models.CreateContainerGroupRequest(
            region_id=self.region,
            client_token=request.client_token,
            container_group_name=request.name,
            cpu=request.cpu,
            memory=request.memory,
            zone_id=request.zone or None,
            v_switch_id=self._vswitch(request.zone),
            security_group_id=settings.eci_security_group,
            resource_group_id=settings.eci_resource_group,
            restart_policy="OnFailure",
            active_deadline_seconds=int(request.lifetime),
            spot_strategy="SpotAsPriceGo" if request.spot else None,
            auto_match_image_cache=settings.eci_image_cache,
            auto_create_eip=settings.eci_public_addresses or None,
            eip_bandwidth=settings.eci_bandwidth if settings.eci_public_addresses else None,
            tag=[models.CreateContainerGroupRequestTag(key=key, value=value) for key, value in request.tags.items()],
            container=[
                models.CreateContainerGroupRequestContainer(
                    name=request.role,
                    image=image,
                    cpu=request.cpu,
                    memory=request.memory,
                    port=[models.CreateContainerGroupRequestContainerPort(port=port, protocol="TCP")],
                    environment_var=[
                        models.CreateContainerGroupRequestContainerEnvironmentVar(key=key, value=value)
                        for key, value in _variables(request).items()
                    ],
                )
            ],
        )
        if settings.eci_registry_server and settings.eci_registry_user and settings.eci_registry_password:
            group.image_registry_credential = [
                models.CreateContainerGroupRequestImageRegistryCredential(
                    server=settings.eci_registry_server,
                    user_name=settings.eci_registry_user,
                    password=settings.eci_registry_password.get_secret_value(),
                )
            ]
        client = self._client
        answer = await self._call("to create a group", lambda: client.create_container_group_async(group))
        return str(answer.body.container_group_id)

    async def describe(self, group_ids: Sequence[str]) -> dict[str, Group]:
        found: dict[str, Group] = {}
        for start in range(0, len(group_ids), PAGE):
            wanted = json.dumps(list(group_ids[start : start + PAGE]))
            async for group in self._pages(container_group_ids=wanted):
                found[group.id] = group
        return found

    async def find(self, tags: dict[str, str]) -> list[Group]:
        models = _models()
        wanted = [models.DescribeContainerGroupsRequestTag(key=key, value=value) for key, value in tags.items()]
        return [group async for group in self._pages(tag=wanted)]

    async def delete(self, group_id: str) -> None:
        models = _models()
        client = self._client
        request = models.DeleteContainerGroupRequest(region_id=self.region, container_group_id=group_id)
        try:
            await self._call(f"to delete {group_id}", lambda: client.delete_container_group_async(request))
        except ProviderError as error:
            if not is_missing(error):
                raise

    async def exec(self, group_id: str, command: Sequence[str], *, stdin: bytes = b"", timeout: float) -> ExecResult:  # noqa: ASYNC109
        models = _models()
        client = self._client

        async def address(bootstrap: list[str]) -> str:
            request = models.ExecContainerCommandRequest(
                region_id=self.region,
                container_group_id=group_id,
                container_name="workspace",
                command=json.dumps(bootstrap),
                stdin=True,
                tty=False,
                sync=False,
            )
            answer = await self._call(
                f"to run a command in {group_id}", lambda: client.exec_container_command_async(request)
            )
            return str(answer.body.web_socket_uri)

        folder = self._settings.eci_workspace_folder
        return await run_command(address, command, folder=folder, stdin=stdin, seconds=timeout)

    def price(self, request: EnvironmentRequest) -> Price:
        return estimate(request, self._settings)

    async def aclose(self) -> None:
        """The client keeps no connection between calls."""

    async def _pages(self, **wanted: Any) -> AsyncIterator[Group]:
        models = _models()
        client, token = self._client, None
        while True:
            request = models.DescribeContainerGroupsRequest(
                region_id=self.region, limit=PAGE, next_token=token, with_event=True, **wanted
            )
            answer = await self._call("to describe groups", lambda: client.describe_container_groups_async(request))  # noqa: B023
            for group in answer.body.container_groups or []:
                yield self._group(group)
            token = answer.body.next_token
            if not token:
                return

    def _group(self, described: Any) -> Group:
        settings = self._settings
        tags = {tag.key: tag.value for tag in described.tags or []}
        role = next((container.name for container in described.containers or []), "database")
        messages = [f"{event.reason}: {event.message}" for event in described.events or [] if event.type == "Warning"]
        return Group(
            id=described.container_group_id,
            status=_status(described.status),
            detail="; ".join([str(described.status), *messages[-3:]]),
            zone=described.zone_id or "",
            host=(described.internet_ip if settings.eci_public_addresses else described.intranet_ip) or None,
            port=settings.eci_workspace_port if role == "workspace" else settings.eci_database_port,
            internal_host=described.intranet_ip or None,
            no_stock=described.status == "ScheduleFailed" and any("stock" in message.lower() for message in messages),
            tags=tags,
            created_at=_time(described.creation_time),
            user=settings.eci_database_user,
            password=settings.eci_database_password,
        )

    def _image(self, request: GroupRequest) -> tuple[str, int]:
        settings = self._settings
        if request.role == "workspace":
            return settings.eci_workspace_image, settings.eci_workspace_port
        return settings.eci_database_image, settings.eci_database_port

    def _vswitch(self, zone: str) -> str | None:
        switches = self._settings.eci_vswitches
        return switches[list(self.zones).index(zone)] if switches else None


def _models() -> Any:
    from alibabacloud_eci20180808 import models  # type: ignore[import-untyped]

    return models


def _variables(request: GroupRequest) -> dict[str, str]:
    secret = {key: value.get_secret_value() for key, value in request.secret_variables.items()}
    return {**request.variables, **secret}


def _status(text: str | None) -> Status:
    if text in RUNNING:
        return "running"
    return "ended" if text in ENDED else "starting"


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None
