"""The data directory: who may use it, and the secrets that live in it.

Everything the local stack keeps lies below one directory, `.tollgate/` unless TOLLGATE_HOME names another. Secrets
are random for each home, made once, in files of mode 0600 below a directory of mode 0700.
"""

import base64
import binascii
import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field, fields
from pathlib import Path

from api.local.errors import LocalStackError
from domain.kernel.values import dataclass

SECRET_BYTES = 32
MASTER_KEY_BYTES = 32
IDENTITY_BYTES = 8
PRIVATE_FILE = 0o600
PRIVATE_DIRECTORY = 0o700
# Others may pass through the home of root, not list it: PostgreSQL runs as another user in a folder below.
PASSABLE_DIRECTORY = 0o711


@dataclass(frozen=True, slots=True)
class Home:
    """The data directory, with its parts by name. All of them exist after open_home."""

    path: Path

    @property
    def secrets(self) -> Path:
        """One file for each secret."""
        return self.path / "secrets"

    @property
    def logs(self) -> Path:
        """One bounded log for each service."""
        return self.path / "logs"

    @property
    def valkey(self) -> Path:
        """Valkey's append-only file."""
        return self.path / "valkey"

    @property
    def mail(self) -> Path:
        """Messages caught by the mail catcher."""
        return self.path / "mail"

    @property
    def sandbox(self) -> Path:
        """What the Stripe sandbox keeps."""
        return self.path / "sandbox"

    @property
    def demo(self) -> Path:
        """The addresses and demo credentials of the present start; not there while nothing runs in development."""
        return self.path / "demo.json"


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the local stack signs and encrypts with. Random for each home; never printed."""

    hs256_secret: str = field(repr=False)
    master_key: str = field(repr=False)  # 32 bytes in base64
    api_key_pepper: str = field(repr=False)
    sandbox_api_key: str = field(repr=False)
    demo_api_key: str = field(repr=False)
    home_id: str  # names this home outside of itself, and is no secret


_MAKERS: dict[str, Callable[[], str]] = {
    "hs256_secret": lambda: secrets.token_urlsafe(SECRET_BYTES),
    "master_key": lambda: base64.b64encode(secrets.token_bytes(MASTER_KEY_BYTES)).decode(),
    "api_key_pepper": lambda: secrets.token_urlsafe(SECRET_BYTES),
    "sandbox_api_key": lambda: f"sk_test_{secrets.token_hex(SECRET_BYTES)}",
    "demo_api_key": lambda: f"tg_test_{secrets.token_urlsafe(SECRET_BYTES)}",
    "home_id": lambda: secrets.token_hex(IDENTITY_BYTES),
}


def open_home(path: Path) -> Home:
    """Make the directory and its parts where they are missing. Repeatable; an existing home keeps its own mode."""
    home = Home(path.resolve())
    try:
        if not home.path.exists():
            home.path.mkdir(parents=True)
            home.path.chmod(PASSABLE_DIRECTORY if os.geteuid() == 0 else PRIVATE_DIRECTORY)
        for part in (home.secrets, home.logs, home.valkey, home.mail, home.sandbox):
            part.mkdir(exist_ok=True)
            part.chmod(PRIVATE_DIRECTORY)
    except OSError as error:
        raise LocalStackError(
            f"the data directory {home.path} cannot be used ({error.strerror}); "
            "set TOLLGATE_HOME to a directory that this user may write"
        ) from error
    return home


@contextmanager
def lock_home(home: Home) -> Iterator[None]:
    """Hold the home for this process alone; a second holder is refused with a LocalStackError.

    The lock belongs to the open file, so it ends with its holder, however the holder ends.
    """
    with (home.path / "lock").open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise LocalStackError(
                f"process {holder} is already running Tollgate on {home.path}; "
                "stop it, or set TOLLGATE_HOME to another directory"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def make_secrets(home: Home) -> Secrets:
    """Make the secrets that are missing and read them all. Call it while holding the home; repeatable."""
    for name, make in _MAKERS.items():
        if not (home.secrets / name).exists():
            write_private(home.secrets / name, f"{make()}\n")
    return read_secrets(home)


def read_secrets(home: Home) -> Secrets:
    """Read the secrets of a home that has been started before; LocalStackError when one is missing or unreadable."""
    values = {one.name: _read_secret(home.secrets / one.name) for one in fields(Secrets)}
    _check_master_key(home.secrets / "master_key", values["master_key"])
    return Secrets(**values)


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 so that a reader, or a crash, meets the old content or the new, never a part."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(IDENTITY_BYTES)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _read_secret(path: Path) -> str:
    try:
        value = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise LocalStackError(f"the secret {path} cannot be read; {_CURE}") from error
    if not value:
        raise LocalStackError(f"the secret {path} is empty; {_CURE}")
    return value


def _check_master_key(path: Path, value: str) -> None:
    try:
        key = base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise LocalStackError(f"the secret {path} is not base64; {_CURE}") from error
    if len(key) != MASTER_KEY_BYTES:
        raise LocalStackError(f"the secret {path} holds {len(key)} bytes instead of {MASTER_KEY_BYTES}; {_CURE}")


_CURE = "start once with `tollgate up`, restore it from a copy, or move the data directory away to begin anew"
