"""Commands in a container over ECI's WebSocket.

Every message begins with a byte that names its stream: 0 standard input, 1 standard output, 2 standard error. The
protocol carries neither an end of input nor an exit status, and what the API takes as a command is short: so a small
shell is started that reads its script by length from its input, gives the command as much input as there is, and
ends its standard error with a marker and the status.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shlex
from collections.abc import Awaitable, Callable, Sequence

from provision.provider import ExecResult, ProviderUnavailableError

STDIN, STDOUT, STDERR = 0, 1, 2
PIECE = 32 * 1024


async def run_command(
    address: Callable[[list[str]], Awaitable[str]],
    command: Sequence[str],
    *,
    folder: str,
    stdin: bytes,
    seconds: float,
) -> ExecResult:
    """Runs `command` in `folder`; `address` gives the WebSocket for a short command.

    Raises TimeoutError after `seconds`, ProviderUnavailableError when the connection broke before the status came.
    """
    import aiohttp

    marker = secrets.token_hex(16)
    script = (
        f"cd -- {shlex.quote(folder)} || exit 1\n"
        f"head -c {len(stdin)} | {shlex.join(command)}\n"
        f"printf '{marker}:%d;' $? >&2\n"
    ).encode()
    uri = await address(["/bin/sh", "-c", f'exec /bin/sh -c "$(head -c {len(script)})"'])
    output: dict[int, bytearray] = {STDOUT: bytearray(), STDERR: bytearray()}
    ended = re.compile(rf"{marker}:(\d+);".encode())
    try:
        async with (
            asyncio.timeout(seconds),
            aiohttp.ClientSession() as session,
            session.ws_connect(uri, max_msg_size=0, heartbeat=20.0) as socket,
        ):
            sending = asyncio.create_task(_send(socket, script + stdin))
            try:
                async for message in socket:
                    data = message.data.encode() if message.type == aiohttp.WSMsgType.TEXT else message.data
                    if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY) or not data:
                        continue
                    output.setdefault(data[0], bytearray()).extend(data[1:])
                    if data[0] == STDERR and ended.search(output[STDERR][-len(data) - 64 :]):
                        break
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
            # Standard output may come after the marker on standard error.
            await _rest(socket, output)
    except aiohttp.ClientError as error:
        raise ProviderUnavailableError(f"The command's connection broke: {error}.", "It may have run.") from error
    found = ended.search(output[STDERR])
    if found is None:
        raise ProviderUnavailableError(
            "The command's connection ended before its exit status came.", "It may have run: look before you repeat it."
        )
    stderr = bytes(output[STDERR][: found.start()] + output[STDERR][found.end() :])
    return ExecResult(bytes(output[STDOUT]), stderr, int(found[1]))


async def _send(socket: object, data: bytes) -> None:
    send = socket.send_bytes  # type: ignore[attr-defined]
    for start in range(0, len(data), PIECE):
        await send(bytes([STDIN]) + data[start : start + PIECE])


async def _rest(socket: object, output: dict[int, bytearray]) -> None:
    """What still comes until the server closes, which it does at the command's end; at most a second of it."""
    import aiohttp

    try:
        async with asyncio.timeout(1.0):
            async for message in socket:  # type: ignore[attr-defined]
                data = message.data
                if message.type == aiohttp.WSMsgType.BINARY and data:
                    output.setdefault(data[0], bytearray()).extend(data[1:])
    except TimeoutError:
        return
