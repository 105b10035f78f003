"""`python -m workers`: the worker process."""

import asyncio
import os
import sys
import threading
from collections.abc import Coroutine
from typing import Any

from domain.adapters.loading import lean_loading
from domain.config import check_serving, read_settings
from domain.kernel.errors import DomainError

# A thread that waits for the answer to a look-up of a name can be neither ended nor left: Python would wait for it.
LEAVE_WITHIN_S = 5.0


def leave_soon(within_s: float = LEAVE_WITHIN_S) -> None:
    """End this process with status 0 after so many seconds, whatever its threads wait for; all that matters is done."""
    last = threading.Timer(within_s, os._exit, (0,))
    last.daemon = True
    last.start()


def main() -> None:
    """Read the settings, refuse bad ones in one line, and work until stopped."""
    try:
        settings = read_settings()
        check_serving(settings)
        with lean_loading():
            from domain.adapters.log import set_up_logging  # noqa: PLC0415 -- it loads what is left out here
            from workers.settings import work  # noqa: PLC0415 -- loaded once the settings are known to be good
        set_up_logging()
        asyncio.run(_work(work(settings)))
    except DomainError as error:
        sys.stderr.write(f"tollgate: {error.message}\n")
        sys.exit(1)


async def _work(working: Coroutine[Any, Any, None]) -> None:
    await working
    leave_soon()


if __name__ == "__main__":
    main()
