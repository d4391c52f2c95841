"""An emulator of Alibaba ECI on loopback: the real client talks to it, and its containers are real engines."""

from eci_emulator.faults import Fault
from eci_emulator.groups import Engines
from eci_emulator.server import KEY_ID, KEY_SECRET, EciEmulator

__all__ = ["KEY_ID", "KEY_SECRET", "EciEmulator", "Engines", "Fault"]
