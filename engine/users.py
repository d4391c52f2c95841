"""The users of one engine, their passwords, groups and rights, kept in a file of the data folder."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import RLock

from engine.errors import ScriptError
from engine.rights import Rights, is_allowed, may_execute
from engine.storage.files import removed_on_failure

GUEST = "guest"
WRONG_LOGIN = "The user name or password is incorrect."

_NAME = re.compile(r"[A-Za-z_][\w.@-]{0,29}")
_COST = {"n": 2**14, "r": 8, "p": 1}


@dataclass
class Account:
    salt: str
    digest: str
    is_admin: bool = False
    groups: list[str] = field(default_factory=list)
    locked: float | None = None
    """Since when the user can't log in, in seconds since 1970."""
    rights: Rights = field(default_factory=Rights)


class Users:
    """Accounts by name. Every change is written at once, by replacing the file."""

    def __init__(self, path: Path, admin: str = "admin", admin_password: str | None = None) -> None:
        """Read the accounts; `admin_password` sets the administrator's, needed when there is none yet."""
        self.admin = admin
        self._path = path
        self._lock = RLock()
        self._proof_key = secrets.token_bytes(32)
        self._proofs: dict[str, bytes] = {}
        self._accounts: dict[str, Account] = {}
        self._groups: dict[str, Rights] = {}
        if path.exists():
            self._load()
        if admin_password is not None:
            self._check_name(admin)
            self._accounts[admin] = _account(admin_password, is_admin=True)
            self._save()
        elif admin not in self._accounts:
            raise ValueError(f"the user {admin} has no password yet")

    def _load(self) -> None:
        stored = json.loads(self._path.read_text(encoding="utf-8"))
        # A file from before there were rights has the accounts alone.
        self._accounts = {
            name: Account(**account | {"rights": Rights(**account.get("rights", {}))})
            for name, account in stored.get("users", stored).items()
        }
        self._groups = {name: Rights(**rights) for name, rights in stored.get("groups", {}).items()}

    def _save(self) -> None:
        """Write all accounts; where that fails they are as they were."""
        document = {
            "users": {name: asdict(account) for name, account in self._accounts.items()},
            "groups": {name: asdict(rights) for name, rights in self._groups.items()},
        }
        text = json.dumps(document, indent=1)
        try:
            self._write(text)
        except BaseException:
            if self._path.exists():
                self._load()
            raise

    def _write(self, text: str) -> None:
        fresh = self._path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with removed_on_failure(fresh):
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)

    def _check_name(self, name: str) -> None:
        if not _NAME.fullmatch(name) or name == GUEST:
            raise ScriptError(f"Invalid user name [{name}]: letters, digits and _ . @ -, at most 30 characters.")

    def names(self) -> list[str]:
        with self._lock:
            return list(self._accounts)

    def account(self, name: str) -> Account:
        with self._lock:
            account = self._accounts.get(name)
        if account is None:
            raise ScriptError(f"The user [{name}] does not exist.")
        return account

    def is_admin(self, name: str) -> bool:
        with self._lock:
            account = self._accounts.get(name)
        return account is not None and account.is_admin

    def verify(self, name: str, password: str) -> bool:
        """Whether the password is the user's. Costs tens of milliseconds the first time."""
        with self._lock:
            account = self._accounts.get(name)
            proof = hmac.digest(self._proof_key, f"{name}\0{password}".encode(), "sha256")
            known = self._proofs.get(name)
        if known is not None and hmac.compare_digest(known, proof) and (account is None or account.locked is None):
            return True
        compared = account or Account(salt="00" * 16, digest="")
        right = hmac.compare_digest(_digest(password, bytes.fromhex(compared.salt)), compared.digest)
        if account is None or not right or account.locked is not None:
            return False
        with self._lock:
            if self._accounts.get(name) is account:
                self._proofs[name] = proof
        return True

    def create(self, name: str, password: str, is_admin: bool = False) -> None:
        self._check_name(name)
        _check_password(password)
        with self._lock:
            if name in self._accounts:
                raise ScriptError(f"The user [{name}] already exists.")
            self._accounts[name] = _account(password, is_admin)
            self._save()

    def delete(self, name: str) -> None:
        with self._lock:
            self.account(name)
            if name == self.admin:
                raise ScriptError(f"The administrator [{name}] can't be deleted.")
            del self._accounts[name]
            self._proofs.pop(name, None)
            self._save()

    def set_password(self, name: str, password: str) -> None:
        _check_password(password)
        with self._lock:
            account = self.account(name)
            fresh = _account(password)
            account.salt, account.digest = fresh.salt, fresh.digest
            self._proofs.pop(name, None)
            self._save()

    def lock(self, name: str) -> None:
        """Let a user log in no more until `unlock`."""
        with self._lock:
            account = self.account(name)
            if name == self.admin:
                raise ScriptError(f"The administrator [{name}] can't be locked.")
            account.locked = time.time()
            self._save()

    def unlock(self, name: str) -> None:
        with self._lock:
            self.account(name).locked = None
            self._save()

    # --- groups and rights ---

    def groups(self) -> list[str]:
        with self._lock:
            return list(self._groups)

    def create_group(self, group: str, members: Iterable[str] = ()) -> None:
        self._check_name(group)
        with self._lock:
            if group in self._groups or group in self._accounts:
                raise ScriptError(f"The group or user [{group}] already exists.")
            accounts = [self.account(name) for name in members]
            self._groups[group] = Rights()
            for account in accounts:
                account.groups.append(group)
            self._save()

    def delete_group(self, group: str) -> None:
        with self._lock:
            self.group(group)
            del self._groups[group]
            for account in self._accounts.values():
                account.groups = [name for name in account.groups if name != group]
            self._save()

    def group(self, group: str) -> Rights:
        with self._lock:
            rights = self._groups.get(group)
        if rights is None:
            raise ScriptError(f"The group [{group}] does not exist.")
        return rights

    def members(self, group: str) -> list[str]:
        with self._lock:
            self.group(group)
            return [name for name, account in self._accounts.items() if group in account.groups]

    def join(self, names: Iterable[str], groups: Iterable[str]) -> None:
        self._change_members(names, groups, joining=True)

    def leave(self, names: Iterable[str], groups: Iterable[str]) -> None:
        self._change_members(names, groups, joining=False)

    def _change_members(self, names: Iterable[str], groups: Iterable[str], joining: bool) -> None:
        with self._lock:
            accounts, changed = [self.account(name) for name in names], list(groups)
            for group in changed:
                self.group(group)
            for account in accounts:
                kept = [group for group in account.groups if group not in changed]
                account.groups = [*kept, *changed] if joining else kept
            self._save()

    @contextmanager
    def changed_rights(self, name: str) -> Iterator[Rights]:
        """The rights of a user or group, saved after the change."""
        with self._lock:
            yield self._groups[name] if name in self._groups else self.account(name).rights
            self._save()

    def rename_object(self, rights: Sequence[str], name: str, new_name: str | None) -> None:
        """What users and groups may do with an object holds for its new name; with none, for nothing any more."""
        with self._lock:
            for held in (*self._groups.values(), *(account.rights for account in self._accounts.values())):
                held.rename(rights, name, new_name)
            self._save()

    def may(self, name: str, right: str, database: str = "", table: str = "", catalog: str = "") -> bool:
        """Whether a user has a right: on a database, which is in a catalog or none, or on a table. A guest has none."""
        with self._lock:
            account = self._accounts.get(name)
            if account is None:
                return False
            return account.is_admin or is_allowed(self._held(account), right, database, table, catalog)

    def may_execute(self, name: str, view: str) -> bool:
        """Whether a user may call a function view."""
        with self._lock:
            account = self._accounts.get(name)
            return account is not None and (account.is_admin or may_execute(self._held(account), view))

    def _held(self, account: Account) -> list[Rights]:
        return [account.rights, *(self._groups[group] for group in account.groups)]


def _check_password(password: str) -> None:
    if not 6 <= len(password) <= 20 or " " in password:
        raise ScriptError("A password must have 6 to 20 characters and no spaces.")


def _account(password: str, is_admin: bool = False) -> Account:
    salt = secrets.token_bytes(16)
    return Account(salt.hex(), _digest(password, salt), is_admin)


def _digest(password: str, salt: bytes) -> str:
    return hashlib.scrypt(password.encode(), salt=salt, **_COST, dklen=32).hex()
