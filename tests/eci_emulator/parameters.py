"""The parameters of the API: flat in the query, and checked as its documentation says."""

from __future__ import annotations

import json
import re
from typing import Any

from eci_emulator.faults import ApiError

GROUP_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,126}[a-z0-9])$")
CONTAINER_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
SPECS: dict[str, str] = {
    "0.25": "0.5 1", "0.5": "1 2", "1": "2 4 8", "2": "1 2 4 8 16", "4": "2 4 8 16 32", "8": "4 8 16 32 64",
    "12": "12 24 48 96", "16": "16 32 64 128", "24": "24 48 96 192", "32": "32 64 128 256", "52": "96 192 384",
    "64": "128 256 512",
}  # fmt: skip
CREATE = {
    "RegionId", "ClientToken", "ContainerGroupName", "Cpu", "Memory", "ZoneId", "VSwitchId", "SecurityGroupId",
    "ResourceGroupId", "RestartPolicy", "ActiveDeadlineSeconds", "SpotStrategy", "AutoMatchImageCache",
    "AutoCreateEip", "EipBandwidth", "Tag", "Container", "ImageRegistryCredential",
}  # fmt: skip


def decoded(flat: dict[str, str]) -> dict[str, Any]:
    """`Container.1.Name` and the like as nested dicts and lists."""
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        *parents, last = name.split(".")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    listed = _listed(tree)
    assert isinstance(listed, dict)
    return listed


def _listed(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    if tree and all(key.isdigit() for key in tree):
        numbers = sorted(int(key) for key in tree)
        if numbers != list(range(1, len(numbers) + 1)):
            raise ApiError(400, "InvalidParameter", f"Lists are numbered from 1 without gaps, not {numbers}.")
        return [_listed(tree[str(number)]) for number in numbers]
    return {key: _listed(value) for key, value in tree.items()}


def check_create(wanted: dict[str, Any], region: str, zones: list[str]) -> None:
    unknown = set(wanted) - CREATE
    if unknown:
        raise ApiError(400, "InvalidParameter", f"Unknown parameters: {sorted(unknown)}.")
    if wanted.get("RegionId") != region:
        raise ApiError(404, "InvalidRegionId.NotFound", "The specified RegionId does not exist.")
    if wanted.get("ZoneId") and wanted["ZoneId"] not in zones:
        raise ApiError(400, "InvalidParameter.ValueUnsupported", "The specified ZoneId does not exist.")
    if not GROUP_NAME.match(wanted.get("ContainerGroupName", "")):
        raise ApiError(400, "InvalidParameter.ValueUnsupported", "ContainerGroupName is not valid.")
    token = wanted.get("ClientToken", "")
    if len(token) > 64 or not token.isascii():
        raise ApiError(400, "InvalidParameter.LengthExceeded", "ClientToken has at most 64 ASCII characters.")
    cpu, memory = f"{float(wanted.get('Cpu', 2)):g}", f"{float(wanted.get('Memory', 4)):g}"
    if memory not in SPECS.get(cpu, "").split():
        raise ApiError(400, "InvalidParameter.CPU.Memory", f"The spec {cpu} vCPU with {memory} GiB is not sold.")
    containers = wanted.get("Container") or []
    if not 1 <= len(containers) <= 20:
        raise ApiError(400, "MissingParameter", "1 to 20 containers are needed.")
    for container in containers:
        if not CONTAINER_NAME.match(container.get("Name", "")) or not container.get("Image"):
            raise ApiError(400, "InvalidParameter", "A container needs a name and an image.")
    tags = wanted.get("Tag") or []
    if len(tags) > 20:
        raise ApiError(400, "InvalidParameter.LengthExceeded", "At most 20 tags.")
    for tag in tags:
        text = f"{tag.get('Key', '')}\n{tag.get('Value', '')}".lower()
        if not tag.get("Key") or len(tag["Key"]) > 128 or len(tag.get("Value", "")) > 128:
            raise ApiError(400, "InvalidParameter.LengthExceeded", "A tag has at most 128 characters.")
        if "http://" in text or "https://" in text or tag["Key"].lower().startswith(("aliyun", "acs:")):
            raise ApiError(400, "InvalidParameter", "A tag holds no URL and does not begin with aliyun or acs:.")
    if wanted.get("AutoCreateEip", "").lower() == "true" and not 1 <= int(wanted.get("EipBandwidth", 5)) <= 100:
        raise ApiError(400, "InvalidParameter", "EipBandwidth is 1 to 100.")


def group_ids(text: str) -> list[str]:
    try:
        ids = json.loads(text)
    except ValueError:
        ids = None
    if not isinstance(ids, list) or len(ids) > 20 or not all(isinstance(each, str) for each in ids):
        raise ApiError(400, "InvalidParameter", "ContainerGroupIds is a JSON array of up to 20 ids.")
    return ids


def command(text: str) -> list[str]:
    try:
        words = json.loads(text)
    except ValueError:
        words = None
    if not isinstance(words, list) or not 1 <= len(words) <= 20 or not all(isinstance(each, str) for each in words):
        raise ApiError(400, "InvalidParameter", "Command is a JSON array of 1 to 20 texts.")
    if any(len(word) > 256 for word in words):
        raise ApiError(400, "InvalidParameter.LengthExceeded", "Each text of a command has up to 256 characters.")
    return words
