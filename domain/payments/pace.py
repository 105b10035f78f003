"""How often the gateway may be called: buckets of tokens, each kept as one number.

A bucket gains `per_s` tokens a second and holds `burst`. It is known by the instant at which it will be full again: a
call moves that instant on by the time that one token takes, and waits where no token is left. All instants are whole
microseconds of a clock that only goes forward.
"""

from dataclasses import replace

from domain.kernel.values import dataclass

SECOND_US = 1_000_000
# A share of the rate may be used at once.
_BURST_PART = 10
# Whoever stands in for the gateway takes whatever comes.
STAND_IN_PER_S = SECOND_US


@dataclass(frozen=True, slots=True)
class Rate:
    """So many calls a second, and so many at once. In no second there are more than both together."""

    per_s: int
    burst: int

    @property
    def token_us(self) -> int:
        """How long a token takes to come, rounded up: the rate is never passed."""
        return -(-SECOND_US // self.per_s)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where a bucket stands: the instant at which it will be full, if nothing is taken until then."""

    rate: Rate
    full_at_us: int = 0


def rate_of(per_s: int) -> Rate:
    """Return the rate of so many calls a second; a tenth of them, and one, may come at once."""
    assert per_s >= 1, "a rate lets something through"
    return Rate(per_s, 1 + per_s // _BURST_PART)


def wait_us(bucket: Bucket, now_us: int) -> int:
    """Return how long the next call waits for its token."""
    missing = max(bucket.full_at_us, now_us) + bucket.rate.token_us - bucket.rate.burst * bucket.rate.token_us
    return max(0, missing - now_us)


def take(bucket: Bucket, now_us: int) -> Bucket:
    """Return the bucket after a call took the next token, also one that is still to come."""
    return replace(bucket, full_at_us=max(bucket.full_at_us, now_us) + bucket.rate.token_us)


def empty(bucket: Bucket, until_us: int) -> Bucket:
    """Return the bucket without a token before an instant; from then on they come one after another."""
    last_us = until_us + (bucket.rate.burst - 1) * bucket.rate.token_us
    return replace(bucket, full_at_us=max(bucket.full_at_us, last_us))


def endpoint_of(verb: str, path: str) -> str:
    """Return the endpoint that a request goes to: its path with a star for every id, which has digits or capitals."""
    parts = path.strip("/").split("/")
    shown = ["*" if any(letter.isdigit() or letter.isupper() for letter in each) else each for each in parts[1:]]
    return f"{verb.lower()} {'/'.join(shown)}"
