"""Settings under which a provider talks to the emulator, with short times."""

from __future__ import annotations

from typing import Any

from eci_emulator.server import EciEmulator
from provision.settings import ProvisionSettings

QUICK = {
    "provision_poll_seconds": 0.03,
    "provision_lease_seconds": 1.0,
    "provision_abandoned_seconds": 1.0,
    "orphan_grace_seconds": 0.2,
    "deletion_retry_seconds": 0.05,
    "reaper_seconds": 0.1,
    "provision_timeout": 60.0,
    "environments_per_user": 5,
    "eci_retry_seconds": 0.02,
    "eci_read_timeout": 5.0,
}


def eci_settings(emulator: EciEmulator, **changes: Any) -> ProvisionSettings:
    values = {
        "environment_provider": "eci",
        "eci_region": emulator.region,
        "eci_endpoint": emulator.endpoint,
        "eci_protocol": "http",
        "eci_zones": tuple(emulator.zones),
        "eci_workspace_folder": "project",
        "eci_security_group": "sg-test",
        "eci_vswitches": ("vsw-a", "vsw-b"),
        **QUICK,
        **changes,
    }
    return ProvisionSettings(_env_file=None, **values)
