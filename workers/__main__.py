"""`python -m workers`: the worker process."""

import asyncio
import sys

from domain.adapters.loading import lean_loading
from domain.config import check_serving, read_settings
from domain.kernel.errors import DomainError


def main() -> None:
    """Read the settings, refuse bad ones in one line, and work until stopped."""
    try:
        settings = read_settings()
        check_serving(settings)
        with lean_loading():
            from domain.adapters.log import set_up_logging  # noqa: PLC0415 -- it loads what is left out here
            from workers.settings import work  # noqa: PLC0415 -- loaded once the settings are known to be good
        set_up_logging()
        asyncio.run(work(settings))
    except DomainError as error:
        sys.stderr.write(f"tollgate: {error.message}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
