"""What can be asked for, and what it is likely to cost."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from core.errors import InvalidInputError
from provision.settings import ProvisionSettings

MAX_HOURS = 48
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\Z")

# GiB of memory sold with each number of vCPUs in every region of ECI.
MEMORY: dict[float, tuple[float, ...]] = {
    0.25: (0.5, 1),
    0.5: (1, 2),
    1: (2, 4, 8),
    2: (1, 2, 4, 8, 16),
    4: (2, 4, 8, 16, 32),
    8: (4, 8, 16, 32, 64),
    12: (12, 24, 48, 96),
    16: (16, 32, 64, 128),
    24: (24, 48, 96, 192),
    32: (32, 64, 128, 256),
    52: (96, 192, 384),
    64: (128, 256, 512),
}


class EnvironmentRequest(BaseModel):
    """A database server to rent: vCPUs, GiB of memory, hours until it is taken away."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="database", description="a name of your own for it")
    cpu: float = Field(default=2, description="vCPUs: 0.25, 0.5, 1, 2, 4, 8, 12, 16, 24, 32, 52 or 64")
    memory: float = Field(default=4, description="GiB of memory; must be sold with that number of vCPUs")
    hours: int = Field(default=2, description="hours until it is deleted, 1 to 48")
    workspace: bool = Field(default=True, description="a code-server workspace beside it")
    spot: bool = Field(default=False, description="cheaper, but may be taken away at any time")


def validated(request: EnvironmentRequest) -> EnvironmentRequest:
    """Raises InvalidInputError that names what is sold instead."""
    if not NAME.match(request.name):
        raise InvalidInputError(
            f"{request.name!r} cannot name an environment.",
            "Use up to 63 letters, digits, and _ . - with a letter or digit first.",
        )
    if request.cpu not in MEMORY:
        raise InvalidInputError(f"{request.cpu:g} vCPUs are not sold.", f"Choose one of {_listed(tuple(MEMORY))}.")
    if request.memory not in MEMORY[request.cpu]:
        raise InvalidInputError(
            f"{request.memory:g} GiB are not sold with {request.cpu:g} vCPUs.",
            f"Choose {_listed(MEMORY[request.cpu])} GiB, or another number of vCPUs.",
        )
    if not 1 <= request.hours <= MAX_HOURS:
        raise InvalidInputError(f"{request.hours} hours are not possible.", f"Choose 1 to {MAX_HOURS} hours.")
    return request


def _listed(numbers: tuple[float, ...]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)


@dataclass(frozen=True)
class Price:
    """An estimate from the price table of the settings, never a quotation."""

    amount: float
    currency: str

    def __str__(self) -> str:
        if self.amount == 0:
            return "free of charge"
        return f"about {self.amount:.2f} {self.currency} (an estimate)"


def estimate(request: EnvironmentRequest, settings: ProvisionSettings) -> Price:
    """The price on ECI for the whole time, database and workspace together."""
    hourly = request.cpu * settings.price_cpu_hour + request.memory * settings.price_memory_hour
    if request.spot:
        hourly *= settings.price_spot_share
    addresses = int(settings.eci_public_addresses)
    if request.workspace:
        hourly += settings.eci_workspace_cpu * settings.price_cpu_hour
        hourly += settings.eci_workspace_memory * settings.price_memory_hour
        addresses *= 2
    hourly += addresses * settings.price_address_hour
    return Price(round(hourly * request.hours, 4), settings.price_currency)
