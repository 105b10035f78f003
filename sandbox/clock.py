"""The only reader of the clock in the sandbox."""

import time


def now() -> int:
    """Whole seconds since 1970, the unit of every Stripe timestamp."""
    return int(precise())


def precise() -> float:
    """Seconds since 1970 with their fraction: for due times of deliveries and timers."""
    return time.time()  # noqa: TID251 -- the sandbox lives in real time, and this is its clock.
