"""The data directory: modes, secrets made once, one holder at a time."""

import base64
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from api.local.errors import LocalStackError
from api.local.home import Home, lock_home, make_secrets, open_home, read_secrets
from api.local.processes import PYTHON_ROOT, child_environment

HOLDER = """
import sys
from pathlib import Path
from api.local.home import lock_home, open_home
with lock_home(open_home(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path / "home")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_readable_by_their_owner_alone(home: Home) -> None:
    make_secrets(home)

    assert mode(home.secrets) == 0o700
    assert {mode(file) for file in home.secrets.iterdir()} == {0o600}
    assert len(list(home.secrets.iterdir())) == 6


def test_secrets_are_made_once_and_differ_between_homes(home: Home, tmp_path: Path) -> None:
    first = make_secrets(home)

    assert make_secrets(home) == first
    assert read_secrets(home) == first
    other = make_secrets(open_home(tmp_path / "other"))
    assert other.master_key != first.master_key
    assert other.hs256_secret != first.hs256_secret
    assert len(base64.b64decode(first.master_key)) == 32
    assert first.sandbox_api_key.startswith("sk_test_")
    assert first.master_key not in repr(first)


def test_a_home_never_started_has_no_secrets_to_read(home: Home) -> None:
    with pytest.raises(LocalStackError, match=r"hs256_secret cannot be read; start once with `tollgate up`"):
        read_secrets(home)


def test_a_damaged_master_key_is_refused_not_replaced(home: Home) -> None:
    make_secrets(home)
    (home.secrets / "master_key").write_text("c2hvcnQ=\n")  # "short": 5 bytes

    with pytest.raises(LocalStackError, match="holds 5 bytes instead of 32"):
        make_secrets(home)
    assert (home.secrets / "master_key").read_text() == "c2hvcnQ=\n"


def test_a_second_holder_of_a_home_is_refused_until_the_first_is_gone(home: Home) -> None:
    with subprocess.Popen(  # noqa: S603 a fixed script
        [sys.executable, "-c", HOLDER, str(home.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=PYTHON_ROOT,
        env=child_environment(),
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"

        with pytest.raises(LocalStackError, match=f"process {holder.pid} is already running Tollgate"), lock_home(home):
            pass
        holder.kill()

    with lock_home(home):
        assert (home.path / "lock").exists()


def test_a_home_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(LocalStackError, match="set TOLLGATE_HOME to a directory that this user may write"):
        open_home(tmp_path / "file" / "home")
