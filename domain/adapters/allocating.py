"""Where a long-lived process gets its memory from: the C library's allocator, on large pages.

Python's own allocator keeps a place for each size of object, so what belongs to one customer lies on as many pages of
4 KB as its objects have sizes. The C library's puts what is made together side by side. A server that shows a change to
a customer touches a few hundred objects that it has not touched for a second: where they lie close together, on pages
of 2 MB, the processor finds them with fewer looks (docs/decisions/0043-memory-lies-close-together.md).
"""

import os
import sys
from collections.abc import Mapping

_OWN_ALLOCATOR, _TUNABLES = "PYTHONMALLOC", "GLIBC_TUNABLES"
_CHOSEN = {_OWN_ALLOCATOR: "malloc", _TUNABLES: "glibc.malloc.hugetlb=1"}
# The first one of GNU that asks the system for large pages.
_LIBRARY_MIN = (2, 35)


def choose_allocator() -> None:
    """Begin this process anew with the allocator that servers use, unless it has it or it was chosen from outside.

    An allocator is chosen before a process runs. The process keeps its id and its arguments, and must not have opened
    anything yet.
    """
    anew = environment_anew(os.environ, _library())  # noqa: TID251 -- no setting: the interpreter itself reads it
    if anew is not None:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], anew)  # noqa: S606 -- this very command


def environment_anew(environment: Mapping[str, str], library: tuple[int, ...] | None) -> dict[str, str] | None:
    """Return the environment to begin anew with, or None to go on. `library`: which version of GNU's, None for others.

    Whoever sets one of the two variables decides about both.
    """
    if library is None or library < _LIBRARY_MIN or not _CHOSEN.keys().isdisjoint(environment):
        return None
    return {**environment, **_CHOSEN}


def _library() -> tuple[int, ...] | None:
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (AttributeError, OSError, ValueError):
        # Another system, or another C library.
        return None
    return tuple(map(int, version.split("."))) if name == "glibc" else None
