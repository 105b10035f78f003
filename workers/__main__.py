"""`python -m workers`: the worker process."""

import asyncio
import gc
import sys

from domain.adapters.log import set_up_logging
from domain.config import check_serving, read_settings
from domain.kernel.errors import DomainError


def main() -> None:
    """Read the settings, refuse bad ones in one line, and work until stopped."""
    try:
        settings = read_settings()
        check_serving(settings)
        # As in api/serve.py: what is loaded now stays until the end, and is not looked through for garbage.
        gc.disable()
        from workers.settings import work  # noqa: PLC0415 -- loaded once the settings are known to be good

        gc.freeze()
        gc.enable()
        set_up_logging()
        asyncio.run(work(settings))
    except DomainError as error:
        sys.stderr.write(f"tollgate: {error.message}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
