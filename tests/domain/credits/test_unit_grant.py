"""What a unit grant may be."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.credits.burn import replay
from domain.credits.unit_grant import GrantMalformed, Refill, UnitGrant, burning, check_grant, hour_of, next_hour
from domain.kernel.ids import GrantId, MeterId, SubscriptionId
from tests import make
from tests.domain.credits.examples import CUSTOMER

_START = make.at("2026-01-31")


def _grant(**changed: Any) -> UnitGrant:
    plain = UnitGrant(
        customer_id=CUSTOMER,
        id=GrantId(make.new_id()),
        subscription_id=SubscriptionId(make.new_id()),
        meter_id=MeterId(make.new_id()),
        name="Welcome",
        amount=Decimal("2.5"),
        priority=50,
        effective_at=_START,
        expires_at=None,
        voided_at=None,
        rollover_max=None,
        rollover_min=Decimal(0),
        refill=None,
        zone="UTC",
        created_at=_START,
    )
    return replace(plain, **changed)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"name": ""}, "a name has"),
        ({"name": "x" * 201}, "a name has"),
        ({"amount": Decimal(0)}, "above 0"),
        ({"priority": 101}, "0 to 100"),
        ({"effective_at": make.at("2026-01-30")}, "present usage period"),
        ({"expires_at": _START}, "after it begins"),
        ({"rollover_min": Decimal(-1)}, "rolls over"),
        ({"rollover_min": Decimal(2), "rollover_max": Decimal(1)}, "rolls over"),
    ],
)
def test_a_grant_that_could_not_work_is_refused(changed: dict[str, Any], what: str) -> None:
    check_grant(_grant(), _START)
    with pytest.raises(GrantMalformed, match=what):
        check_grant(_grant(**changed), _START)


def test_instants_are_full_hours_of_the_customers_zone() -> None:
    # Kathmandu is 5 hours and 45 minutes ahead: its hours begin at a quarter past.
    at = make.at("2026-01-31T10:20")
    assert (hour_of(at, "UTC"), hour_of(at, "Asia/Kathmandu")) == (
        make.at("2026-01-31T10:00"),
        make.at("2026-01-31T10:15"),
    )
    assert (next_hour(at, "UTC"), next_hour(_START, "UTC")) == (make.at("2026-01-31T11:00"), _START)


def test_a_grant_is_filled_up_by_the_calendar_from_its_beginning() -> None:
    monthly = burning(_grant(refill=Refill.MONTH, rollover_max=Decimal(0)))
    book = replay([monthly], [], start=_START, until=make.at("2026-04-01"), resets=[make.at("2026-03-15")])
    # 28 February and 31 March; what a reset cut in between comes back at the latter.
    assert [(f"{move.at:%m-%d}", str(move.kind), str(move.amount)) for move in book.moves] == [
        ("01-31", "granted", "5/2"),
        ("03-15", "rolled_over", "-5/2"),
        ("03-31", "refilled", "5/2"),
    ]
