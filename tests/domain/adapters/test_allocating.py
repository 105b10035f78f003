"""Which allocator a server's process begins with."""

import platform
import subprocess
import sys

import pytest

from api.local.processes import PYTHON_ROOT, child_environment
from domain.adapters.allocating import environment_anew

SCRIPT = """
import os, sys
print(os.getpid(), flush=True)
from domain.adapters.allocating import choose_allocator
choose_allocator()
print(os.environ.get("PYTHONMALLOC"), os.environ.get("GLIBC_TUNABLES"), sys.argv[1:])
"""
CHOSEN = {"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


def run(**more: str) -> list[str]:
    """Run the script in a process of its own and return what it printed."""
    done = subprocess.run(  # noqa: S603 -- a fixed script
        [sys.executable, "-c", SCRIPT, "one", "two words"],
        check=True,
        capture_output=True,
        text=True,
        cwd=PYTHON_ROOT,
        env=child_environment(more),
        timeout=60,
    )
    return done.stdout.splitlines()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_a_process_begins_anew_once_with_its_id_and_its_arguments() -> None:
    first, again, chosen = run()

    assert first == again
    assert chosen == "malloc glibc.malloc.hugetlb=1 ['one', 'two words']"


def test_whoever_has_chosen_an_allocator_keeps_it() -> None:
    assert run(PYTHONMALLOC="pymalloc")[1:] == ["pymalloc None ['one', 'two words']"]


@pytest.mark.parametrize(
    ("environment", "library", "anew"),
    [
        ({"PATH": "/bin"}, (2, 35), {"PATH": "/bin", **CHOSEN}),
        ({"PATH": "/bin"}, (2, 34), None),
        ({"PATH": "/bin"}, None, None),
        (CHOSEN, (2, 36), None),
        ({"GLIBC_TUNABLES": "glibc.malloc.arena_max=1"}, (2, 36), None),
    ],
)
def test_only_a_library_that_knows_large_pages_is_asked_for_them(
    environment: dict[str, str], library: tuple[int, ...] | None, anew: dict[str, str] | None
) -> None:
    assert environment_anew(environment, library) == anew
