"""Passwords, encrypted before they are stored."""

from __future__ import annotations

import os
import secrets
import string
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from core.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

KEY_BYTES = 32
PASSWORD_LENGTH = 20
SPECIAL = "_-"
REMEDY = "Set DDB_AGENT_SECRET_KEYS to the keys in use, newest first."


class Vault:
    """Encrypts with the first key and decrypts with any, so that a new key can be put in front of the old."""

    def __init__(self, keys: Sequence[str]) -> None:
        if not all(_is_key(key) for key in keys):
            raise ConfigurationError(
                "A secret key is not a Fernet key.",
                'Make one: python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())".',
            )
        self._keys = tuple(keys)

    @cached_property
    def _fernet(self) -> MultiFernet:
        # Imported at the first use: it takes 7 MB, and few processes rent servers.
        from cryptography.fernet import Fernet, MultiFernet

        return MultiFernet([Fernet(key) for key in self._keys])

    def encrypt(self, password: SecretStr) -> bytes:
        return self._fernet.encrypt(password.get_secret_value().encode())

    def decrypt(self, stored: bytes) -> SecretStr:
        """Raises ConfigurationError when no key fits."""
        return SecretStr(self._password(lambda fernet: fernet.decrypt(bytes(stored))).decode())

    def renew(self, stored: bytes) -> bytes:
        """The same password under the first key."""
        return self._password(lambda fernet: fernet.rotate(bytes(stored)))

    def seal(self, text: str) -> str:
        """A token that only this program can read or make."""
        return self._fernet.encrypt(text.encode()).decode()

    def unseal(self, token: str, seconds: int) -> str | None:
        """The text of a token made within the last `seconds`, else None."""
        try:
            found = self._read(lambda fernet: fernet.decrypt(token.encode(), ttl=seconds))
            return None if found is None else found.decode()
        except UnicodeError:
            return None

    def _password(self, read: Callable[[MultiFernet], bytes]) -> bytes:
        found = self._read(read)
        if found is None:
            raise ConfigurationError("A stored password cannot be decrypted with the keys given.", REMEDY)
        return found

    def _read(self, read: Callable[[MultiFernet], bytes]) -> bytes | None:
        """What `read` finds; None when no key fits."""
        from cryptography.fernet import InvalidToken

        try:
            return read(self._fernet)
        except InvalidToken:
            return None


def _is_key(key: str) -> bool:
    try:
        return len(urlsafe_b64decode(key)) == KEY_BYTES
    except ValueError:
        return False


def open_vault(keys: Sequence[SecretStr], data_dir: Path) -> Vault:
    """A vault over the configured keys, or else over one made in `data_dir/secret.key` (readable by its owner only)."""
    if keys:
        return Vault([key.get_secret_value() for key in keys])
    path = data_dir / "secret.key"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make_key(path)
        return Vault([path.read_text("ascii").strip()])
    except OSError as error:
        raise ConfigurationError(
            f"The key file {path} cannot be used: {error.strerror}.", "Or set DDB_AGENT_SECRET_KEYS."
        ) from error


def _make_key(path: Path) -> None:
    # Written in full before it gets its name, and the first of several processes wins.
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:
            return
    finally:
        fresh.unlink()


def random_password() -> SecretStr:
    """20 characters that pass DolphinDB's strictest rules: capital, small letter, digit and special character."""
    needed = [string.ascii_uppercase, string.ascii_lowercase, string.digits, SPECIAL]
    alphabet = string.ascii_letters + string.digits
    characters = [secrets.choice(group) for group in needed]
    characters += [secrets.choice(alphabet) for _ in range(PASSWORD_LENGTH - len(needed))]
    secrets.SystemRandom().shuffle(characters)
    if characters[0] in SPECIAL:
        characters[0], characters[-1] = characters[-1], characters[0]
    return SecretStr("".join(characters))
