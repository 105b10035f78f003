"""The conservation query: what staff see of what became of a period's usage."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from domain.kernel.call import Environment
from domain.kernel.ids import encode
from domain.subscriptions.subscription import Subscription
from domain.usage.event import UsageEvent
from domain.usage.verdict import COUNTED
from tests import make
from tests.api.graphql.site import Site
from tests.world import llm_call

START = make.at("2026-01-31")
_DOCUMENT = """query($customer: ID!, $subscription: ID!, $at: DateTime!) {
    conservation(customerId: $customer, subscriptionId: $subscription, periodStart: $at) {
        subscriptionId periodStart periodEnd holds events totalsThatDiffer
        accounts { segmentId meter counted charged included tolerated aboveCap trial observed elsewhere notYetBilled
            missing }
        accepted { counted quarantined stored putAway voids held holds } } }"""


def _asked(started: Subscription, **other: str) -> dict[str, Any]:
    """Ask about the subscription's first period."""
    own = {
        "customer": encode("customer", started.customer_id),
        "subscription": encode("subscription", started.id),
        "at": "2026-02-10T00:00:00Z",
    }
    return own | other


async def _billed(site: Site) -> Subscription:
    """Bill a month of Pro with three calls of 0.50 USD, one of which was voided, and one event that nobody knows."""
    world = site.world
    ada = await world.customer(on="2026-01-31")
    started = await world.subscribe(ada, "pro")
    calls = [llm_call(ada, START + timedelta(minutes=n), input_tokens=400_000) for n in range(3)]
    void = UsageEvent("v1", "void", calls[0].customer, corrects=calls[0].id)
    odd = UsageEvent("o1", "coffee.cup", calls[0].customer)
    assert (await world.use("llm", *calls, void, odd))[:4] == [COUNTED] * 4
    await world.advance(to="2026-03-01")
    await world.close()
    return started


async def test_staff_see_what_became_of_each_quantity_and_of_each_event(site: Site) -> None:
    started = await _billed(site)
    found = (await site.read(_DOCUMENT, site.staff("finance"), **_asked(started)))["conservation"]
    accounts = {each.pop("meter"): each for each in found.pop("accounts")}
    assert found == {
        "subscriptionId": encode("subscription", started.id),
        "periodStart": "2026-01-31T00:00:00Z",
        "periodEnd": "2026-02-28T00:00:00Z",
        "holds": True,
        # Two calls stand; the voided one and the void add nothing.
        "events": 2,
        "totalsThatDiffer": 0,
        "accepted": {
            "counted": 4,
            "quarantined": 1,
            "stored": 4,
            "putAway": 1,
            "voids": 1,
            "held": 1,
            "holds": True,
        },
    }
    nothing = {"included": "0", "tolerated": "0", "aboveCap": "0", "trial": "0", "elsewhere": "0"}
    nothing |= {"notYetBilled": "0", "missing": "0"}
    segment = accounts["cost"].pop("segmentId")
    assert segment.startswith("seg_")
    # 2 x 400,000 x 1.25 / 1M = 1 USD.
    assert accounts["cost"] == {"counted": "1", "charged": "1", "observed": "0", **nothing}
    calls = {"segmentId": segment, "counted": "2", "charged": "0", "observed": "2", **nothing}
    assert accounts["calls"] == calls


async def test_a_total_that_is_not_the_sum_of_its_events_is_told(site: Site) -> None:
    started = await _billed(site)
    slot = await site.world.slot_of("calls")
    async with site.runtime.db.transaction() as tx:
        await tx.execute(sa.text("SET LOCAL session_replication_role = replica"))
        await tx.execute(sa.text(f"UPDATE counter_total SET h{slot} = 3"))  # noqa: S608 -- of the test
    found = (await site.read(_DOCUMENT, site.staff(), **_asked(started)))["conservation"]
    assert (found["holds"], found["totalsThatDiffer"], found["accepted"]["holds"]) == (False, 1, True)


async def test_a_proof_is_for_staff_and_of_the_customers_own_subscription(site: Site) -> None:
    started = await _billed(site)
    other = encode("customer", (await site.world.customer(on="2026-01-31")).id)
    for token, asked in (
        (site.staff(), _asked(started, customer=other)),
        (site.staff(), _asked(started, subscription=encode("subscription", make.new_id()))),
        # A key of the live environment sees no test customer.
        (await site.key("ledger:read", environment=Environment.LIVE), _asked(started)),
    ):
        assert await site.read(_DOCUMENT, token, **asked) == {"conservation": None}
    for token in (site.staff("support"), site.member(started.customer_id), await site.key("usage:read")):
        answer = await site.run(_DOCUMENT, token, **_asked(started))
        assert answer["data"] == {"conservation": None}
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["forbidden"]
    answer = await site.run(_DOCUMENT, site.staff(), **_asked(started, subscription="sub_x"))
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["id_malformed"]


async def test_a_period_without_usage_and_an_instant_of_any_zone_hold(site: Site) -> None:
    started = await _billed(site)
    for at in ("2026-03-30T23:00:00+02:00", "2019-01-01T00:00:00+01:00", "2099-01-01T00:00:00-05:00"):
        found = (await site.read(_DOCUMENT, site.staff(), **_asked(started, at=at)))["conservation"]
        assert (found["holds"], found["events"], found["accounts"]) == (True, 0, [])
