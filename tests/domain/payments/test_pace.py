"""Buckets let through what the rate allows, and make the rest wait."""

import pytest

from domain.payments.pace import Bucket, Rate, empty, endpoint_of, rate_of, take, wait_us

# Ten a second, three at once: a token every 100,000 microseconds.
TEN = Rate(10, 3)


def _waits(bucket: Bucket, at_us: int, calls: int) -> list[int]:
    """Let calls come at once, and return how long each waits."""
    found = []
    for _ in range(calls):
        found.append(wait_us(bucket, at_us))
        bucket = take(bucket, at_us)
    return found


def test_what_the_bucket_holds_goes_at_once_and_the_rest_one_after_another() -> None:
    assert _waits(Bucket(TEN), 7_000_000, 6) == [0, 0, 0, 100_000, 200_000, 300_000]


def test_tokens_come_back_with_time_and_never_more_than_it_holds() -> None:
    bucket = Bucket(TEN)
    for _ in range(3):
        bucket = take(bucket, 0)
    assert wait_us(bucket, 0) == 100_000
    # After a tenth of a second there is one, and after an hour there are three again.
    assert _waits(bucket, 100_000, 2) == [0, 100_000]
    assert _waits(bucket, 3_600_000_000, 4) == [0, 0, 0, 100_000]


def test_an_emptied_bucket_has_nothing_until_then_and_no_burst_after() -> None:
    held = empty(Bucket(TEN), 5_000_000)
    assert _waits(held, 2_000_000, 3) == [3_000_000, 3_100_000, 3_200_000]
    assert _waits(held, 5_000_000, 2) == [0, 100_000]
    # One that is empty for longer stays so.
    assert empty(held, 1_000_000) == held


@pytest.mark.parametrize(("per_s", "burst", "token_us"), [(80, 9, 12_500), (20, 3, 50_000), (3, 1, 333_334)])
def test_a_rate_allows_a_tenth_at_once_and_is_never_passed(per_s: int, burst: int, token_us: int) -> None:
    rate = rate_of(per_s)
    assert (rate.burst, rate.token_us) == (burst, token_us)


def test_in_no_second_are_there_more_calls_than_the_rate_and_the_burst() -> None:
    # All go at once for two seconds: the times at which they go are those at which they waited to the end.
    times = _waits(Bucket(rate_of(20)), 0, 60)
    # Three at once and one every twentieth of a second after that: 3 + 19 before a second is over.
    assert max(sum(1 for each in times if start <= each < start + 1_000_000) for start in times) == 22


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/v1/invoices/in_1PqX9aB/pay", "post invoices/*/pay"),
        ("/v1/invoice_payments", "post invoice_payments"),
        ("/v1/payment_methods/pm_card_visa/attach", "post payment_methods/pm_card_visa/attach"),
        ("/v1/tax/calculations", "post tax/calculations"),
    ],
)
def test_requests_about_different_objects_go_to_one_endpoint(path: str, endpoint: str) -> None:
    assert endpoint_of("POST", path) == endpoint
