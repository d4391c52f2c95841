"""Which addresses a user may have us connect to."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from core.errors import InvalidInputError


def permitted_address(host: str, port: int, *, allow_private: bool) -> str:
    """The IP address of `host`, looked up now. Blocking.

    Raises InvalidInputError when it has none, or when any of its addresses is not a public one and `allow_private` is
    off. Connect to the answer, not to the name: a name can point elsewhere a moment later.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise InvalidInputError(f"The host {host!r} is not known.", "Check its name.") from None
    addresses = list(dict.fromkeys(str(item[4][0]) for item in found))
    if not allow_private and not all(_is_public(address) for address in addresses):
        raise InvalidInputError(
            f"{host!r} is not a public address.",
            "Private addresses are allowed when DDB_AGENT_ALLOW_PRIVATE_ADDRESSES is set.",
        )
    return addresses[0]


async def permitted(host: str, port: int, *, allow_private: bool) -> str:
    return await asyncio.to_thread(lambda: permitted_address(host, port, allow_private=allow_private))


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_global and not address.is_multicast
