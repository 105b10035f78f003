"""Waiting for what is bound to come. Its limit is no measure of anything: it only ends a test that waits in vain."""

import asyncio
from collections.abc import Callable
from inspect import isawaitable

# Far above what the slowest machine takes; a test that passes never waits for it.
PATIENCE_S = 60.0
_POLL_S = 0.01


async def until(holds: Callable[[], object], what: str) -> None:
    """Look again and again until something is true, or is awaited to be; where it never is, fail and say what."""
    loop = asyncio.get_running_loop()
    patient_until = loop.time() + PATIENCE_S
    while True:
        found = holds()
        if await found if isawaitable(found) else found:
            return
        assert loop.time() < patient_until, f"{what}: not within {PATIENCE_S:.0f} s"
        await asyncio.sleep(_POLL_S)
