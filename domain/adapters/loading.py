"""How a process that lives long loads its modules: soon, and without what it never uses.

Start-up is nearly all loading, and what is loaded stays in memory for life.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec

# Loaded only where they are found, and of no use to a server: what structlog colours traces with for terminals (ours
# are lines of JSON), what uvicorn watches files with, and the time zones of Windows, for which dateutil loads ctypes
# before it sees where it runs.
_ABSENT = ("rich", "watchfiles", "dateutil.tz.win")
# Packages whose own module gathers all that they offer: here, beside SQLAlchemy's engine, its ORM. Whoever needs a part
# names the part's own module.
_HOLLOW = ("sqlalchemy.ext.asyncio",)
# Nearly all is freed as soon as nobody refers to it; what goes in rings is looked for after so many more objects, and
# among older ones after so many looks. At Python's 700, a server that keeps much of what many watch looked for rings a
# third of its time, and all else waited meanwhile. It waits for a look among older ones too, so these come when there
# are a hundred thousand more: 400,000, of a thousand sockets that were opened, held everything up for 180 ms.
_COLLECTED_EVERY = (20_000, 5, 80)


@contextmanager
def lean_loading() -> Iterator[None]:
    """Load what a server needs in this block, once in the life of its process."""
    # What is loaded now stays until the end: looking through it for garbage, again and again while it grows, would take
    # a fifth of the start.
    gc.disable()
    for name in _ABSENT:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    for name in _HOLLOW:
        _hollow(name)
    yield
    # No later collection has to look through it either.
    gc.freeze()
    gc.set_threshold(*_COLLECTED_EVERY)
    gc.enable()


def _hollow(name: str) -> None:
    """Make a package known without running its own module, so that each of its parts can be loaded by itself."""
    if name not in sys.modules:
        spec = find_spec(name)
        assert spec is not None, "it is installed"
        sys.modules[name] = module_from_spec(spec)
