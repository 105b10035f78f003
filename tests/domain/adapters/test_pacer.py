"""Calls wait for their turn, are held back when the gateway says so, and refused where too many wait."""

import asyncio
import json

import pytest

from domain.adapters.pacer import ENDPOINTS_MAX, WAIT_MAX_US, WAITING_MAX, Pacer, monotonic_us, sleep_us
from domain.adapters.stripe import StripeGateway
from domain.payments.pace import SECOND_US, Rate
from domain.payments.port import GatewayUnavailable
from tests.domain.payments.gateways import SandboxProbe

WHOLE, EACH = Rate(10, 2), Rate(5, 1)


class Clock:
    """A clock that stands until all that sleep by it are asked on; it then goes to the next who wakes."""

    def __init__(self) -> None:
        self.now = 0
        self.slept: list[int] = []

    def read(self) -> int:
        """Return what it shows."""
        return self.now

    async def sleep(self, duration: int) -> None:
        """Go on by a time at once: one sleeps at a time."""
        self.slept.append(duration)
        self.now += duration


def _pacer(clock: Clock, whole: Rate = WHOLE, each: Rate = EACH) -> Pacer:
    return Pacer(whole, each, now_us=clock.read, sleep=clock.sleep)


async def test_calls_to_one_endpoint_wait_for_it_and_others_for_the_whole() -> None:
    clock = Clock()
    pacer = _pacer(clock)
    # One endpoint gets a token every fifth of a second and holds one; the whole a tenth, and two.
    await pacer.wait("post refunds")
    await pacer.wait("get events")
    assert clock.slept == []
    await pacer.wait("post refunds")
    assert clock.slept == [200_000]


async def test_after_a_429_nobody_calls_before_the_gateway_said_so() -> None:
    clock = Clock()
    pacer = _pacer(clock)
    assert pacer.pause("post refunds", "3") is True
    await pacer.wait("get events")
    assert (clock.now, pacer.throttled) == (3 * SECOND_US, 1)
    # It said nothing of when to come again, or no number of seconds: one second.
    assert pacer.pause("post refunds", None) is False
    assert pacer.pause("post refunds", "Wed, 21 Oct 2026 07:28:00 GMT") is False
    await pacer.wait("get invoices")
    assert (clock.now, pacer.throttled) == (4 * SECOND_US, 3)


async def test_whoever_waits_already_is_held_back_too() -> None:
    clock = Clock()
    pacer = _pacer(clock)
    held = False

    async def sleep(duration: int) -> None:
        nonlocal held
        if not held:
            held = True
            pacer.pause("post refunds", "5")
        await clock.sleep(duration)

    pacer._sleep = sleep
    await pacer.wait("post refunds")
    await pacer.wait("post refunds")
    # It slept a fifth of a second, and once more until the five seconds were over.
    assert clock.now == 5 * SECOND_US
    assert len(clock.slept) == 2


async def test_what_would_wait_too_long_is_refused_and_takes_no_token() -> None:
    clock = Clock()
    pacer = _pacer(clock)
    pacer.pause("post refunds", "300")
    for _ in range(3):
        with pytest.raises(GatewayUnavailable, match="calls_too_many"):
            await pacer.wait("get events")
    clock.now = 300 * SECOND_US - WAIT_MAX_US
    await pacer.wait("get events")
    assert clock.now == 300 * SECOND_US
    assert pacer.waiting == 0


async def test_the_queue_is_bounded() -> None:
    gate = asyncio.Event()

    async def sleep(_: int) -> None:
        await gate.wait()

    pacer = Pacer(Rate(1_000, 1), Rate(1_000, 1), now_us=lambda: 0, sleep=sleep)
    # The first one goes at once, and so many after it wait.
    waiting = [asyncio.create_task(pacer.wait("get events")) for _ in range(WAITING_MAX + 1)]
    await asyncio.sleep(0)
    assert pacer.waiting == WAITING_MAX
    with pytest.raises(GatewayUnavailable, match="calls_too_many"):
        await pacer.wait("get events")
    gate.set()
    await asyncio.gather(*waiting)
    assert pacer.waiting == 0


async def test_endpoints_beyond_the_bound_share_a_bucket() -> None:
    clock = Clock()
    pacer = _pacer(clock, whole=Rate(1_000_000, 1_000))
    for number in range(ENDPOINTS_MAX):
        await pacer.wait(f"get {number}")
    await pacer.wait("get one more")
    assert clock.slept == []
    await pacer.wait("get another one")
    assert clock.slept == [200_000]


async def test_its_clock_goes_forward() -> None:
    before = monotonic_us()
    await sleep_us(10)
    assert monotonic_us() > before


async def test_a_request_that_was_answered_429_is_sent_again_when_stripe_said(
    stripe_gateway: StripeGateway, sandbox: SandboxProbe
) -> None:
    fault = {"kind": "error", "operation": "GET /v1/payment_methods/{payment_method}", "status": 429, "times": 2}
    await sandbox.ask("POST", "/_sandbox/faults", content=json.dumps(fault | {"retry_after_s": 0}))
    assert await stripe_gateway.fetch_method("pm_none") is None
    assert stripe_gateway.pacer.throttled == 2


async def test_a_storm_of_429_ends_in_an_answer_that_says_nothing(
    stripe_gateway: StripeGateway, sandbox: SandboxProbe
) -> None:
    fault = {"kind": "error", "operation": "GET /v1/payment_methods/{payment_method}", "status": 429, "times": 9}
    await sandbox.ask("POST", "/_sandbox/faults", content=json.dumps(fault | {"retry_after_s": 0}))
    with pytest.raises(GatewayUnavailable):
        await stripe_gateway.fetch_method("pm_none")
    # The request and two repetitions.
    assert stripe_gateway.pacer.throttled == 3


@pytest.mark.parametrize(
    ("key", "base", "asked", "whole", "each"),
    [
        ("sk_live_1", None, 0, 80, 20),
        ("sk_test_1", None, 0, 20, 20),
        ("sk_test_1", None, 8, 8, 8),
        ("sk_live_1", None, 100, 100, 20),
        ("sk_test_1", "http://127.0.0.1:9", 0, 1_000_000, 1_000_000),
        ("sk_test_1", "http://127.0.0.1:9", 50, 50, 20),
    ],
)
def test_the_rate_stays_below_stripes_bounds_and_is_a_setting(
    key: str, base: str | None, asked: int, whole: int, each: int
) -> None:
    made = StripeGateway(key, base, calls_per_s=asked)
    assert (made.pacer.whole.per_s, made.pacer.each.per_s) == (whole, each)
