"""Where PostgreSQL's files may lie and whom it runs as.

PostgreSQL refuses to run as root. When root starts the stack, the server runs as an unprivileged account, and its
binaries, data and socket must lie where that account can go: a clone, or its virtual environment, may lie below a
folder that only root can enter.
"""

import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TypedDict

from api.local.errors import LocalStackError
from api.local.home import PASSABLE_DIRECTORY, PRIVATE_DIRECTORY
from api.local.processes import child_environment
from domain.kernel.values import dataclass

ACCOUNTS = ("postgres", "nobody")
ROOT_STATE = Path("/var/lib/tollgate")
# A socket's path is limited to 107 bytes on Linux and 103 on macOS; `.s.PGSQL.5432` takes 14 of them.
SOCKET_DIRECTORY_BYTES_MAX = 85
# Drivers split a host at commas and colons, and PostgreSQL splits its list of directories at commas.
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")
# On every Unix, and short: what TMPDIR names may be neither.
SHORT = Path("/tmp")  # noqa: S108 -- a directory below it is private, and refused when it is somebody else's
PROBE_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Account:
    """The user that PostgreSQL runs as instead of root."""

    name: str
    user: int
    group: int


class Switch(TypedDict, total=False):
    """What subprocess needs to start a child as an account; empty without a change of user."""

    user: int
    group: int
    extra_groups: list[int]


def switch_to(account: Account | None) -> Switch:
    """Give the arguments that make subprocess start a child as the account."""
    return Switch() if account is None else Switch(user=account.user, group=account.group, extra_groups=[])


def choose_account(data: Path) -> Account | None:
    """Choose whom PostgreSQL runs as: ourselves (None) unless we are root, else the data's owner, else ACCOUNTS."""
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        owner = data.stat()
        return Account(_name_of(owner.st_uid), owner.st_uid, owner.st_gid)
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise LocalStackError(
        f"PostgreSQL does not run as root, and there is no user {' or '.join(ACCOUNTS)} to run it as; "
        "start Tollgate as an ordinary user"
    )


def choose_place(inside: Path, outside: Path) -> Path:
    """Choose the directory that holds PostgreSQL's data, and make it.

    It is `inside` (a folder of the home) if the data is there already or the account can enter it, else `outside`
    (a folder of root's own state, for this home alone). Data that exists decides, so a start never overlooks it.
    """
    if not outside.exists():
        _make_passable(inside)
        if (inside / "data").exists() or can_enter(choose_account(inside / "data"), inside):
            return inside
    try:
        outside.parent.mkdir(mode=PASSABLE_DIRECTORY, parents=True, exist_ok=True)
        _make_passable(outside)
    except OSError as error:
        raise LocalStackError(
            f"PostgreSQL's account can enter neither {inside} nor {outside} ({error.strerror}); "
            "set TOLLGATE_HOME to a directory below folders that everybody may enter"
        ) from error
    return outside


def can_enter(account: Account | None, directory: Path) -> bool:
    """Tell whether the account can go to a directory, by letting it try."""
    command = ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(directory)]
    try:
        probe = subprocess.run(  # noqa: S603 a fixed command, and a path as its argument
            command,
            check=False,
            capture_output=True,
            timeout=PROBE_TIMEOUT_S,
            cwd="/",
            env=child_environment(),
            **switch_to(account),
        )
    except OSError as error:
        who = account.name if account else "this user"
        raise LocalStackError(
            f"no process can be started as {who} here ({error.strerror}); start Tollgate as an ordinary user"
        ) from error
    return probe.returncode == 0


def own_directory(directory: Path, account: Account | None) -> Path:
    """Make a directory that only the account may enter. Repeatable; refuses one that belongs to somebody else."""
    directory.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    found = directory.lstat()
    user = os.geteuid() if account is None else account.user
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {user, os.geteuid()}:
        raise LocalStackError(f"{directory} belongs to somebody else; remove it, or choose another TOLLGATE_HOME")
    if account is not None:
        os.chown(directory, account.user, account.group)
    directory.chmod(PRIVATE_DIRECTORY)
    return directory


def socket_directory(preferred: Path, name: str, account: Account | None, temporary: Path | None = None) -> Path:
    """Make a private directory for a unix socket: the preferred one, or one under the temporary directory or /tmp.

    The others carry the name, which must be the server's alone on this machine. They are used when the path before is
    too long for a socket or holds characters that drivers split at.
    """
    own = f"tollgate-{name}"
    places = (preferred, (temporary or Path(tempfile.gettempdir())) / own, SHORT / own)
    return own_directory(next((place for place in places if _takes_sockets(place)), places[-1]), account)


def _takes_sockets(directory: Path) -> bool:
    is_short = len(os.fsencode(directory)) <= SOCKET_DIRECTORY_BYTES_MAX
    return is_short and PLAIN_PATH.fullmatch(str(directory)) is not None


def reachable_copy(source: Path, parts: tuple[str, ...], target: Path, account: Account | None) -> Path:
    """Give a directory with these parts that the account can enter: the source, or a copy made once at `target`."""
    if can_enter(account, source / parts[0]):
        return source
    if not target.exists():
        draft = target.with_name(f"{target.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        for part in parts:
            if (source / part).exists():
                shutil.copytree(source / part, draft / part, symlinks=True)
        draft.chmod(PASSABLE_DIRECTORY)
        draft.replace(target)
    return target


def _make_passable(directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    directory.chmod(PASSABLE_DIRECTORY if os.geteuid() == 0 else PRIVATE_DIRECTORY)


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
