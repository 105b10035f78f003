"""`python -m workers`: the worker process."""

import asyncio

from domain.adapters.log import set_up_logging
from domain.config import Settings, check_serving
from workers.settings import work


def main() -> None:
    """Read the settings, refuse bad ones in one line, and work until stopped."""
    settings = Settings()
    check_serving(settings)
    set_up_logging()
    asyncio.run(work(settings))


if __name__ == "__main__":
    main()
