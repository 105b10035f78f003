"""Figures of the business, from what live customers subscribed to, changed and ended on days of early 2026."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

from domain.contracts import service as contracts
from domain.contracts.changing import wish as changing
from domain.contracts.replanning import service as replanning
from domain.contracts.starting.wish import Wish
from domain.credits.coupon import Coupon, Duration
from domain.credits.coupons import service as coupons
from domain.credits.coupons.service import Offer
from domain.customers import service as customers
from domain.customers.customer import Customer
from domain.kernel.call import Call, Environment
from domain.kernel.money import Money
from domain.subscriptions.change import ChangeAt
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Subscription
from tests import make
from tests.api.graphql.site import Site

_FIGURES = """mrr { amount } arr { amount } committedMrr { amount } trialMrr { amount } opening { amount }
  new { amount } expansion { amount } contraction { amount } churn { amount } reactivation { amount }
  payingCustomers freeCustomers convertedCustomers arpu { amount } customerChurnPercent grossMrrChurnPercent
  netMrrChurnPercent netRetentionPercent grossRetentionPercent expansionPercent conversionPercent quickRatio
  plans { product plan mrr { amount } }"""
_REVENUE = f"""query($first: String, $months: Int!) {{
  revenue(currency: "USD", firstMonth: $first, months: $months, marginPercent: "80") {{
    months {{ month figures {{ {_FIGURES} }} cohort {{ customers retainedPercent }} acquisitionCost {{ amount }}
      lifetimeValue {{ amount }} valueToCost paybackMonths }}
    whole {{ {_FIGURES} }}
    targets {{ conversionPercent expansionPercent customerChurnPercent valueToCost }} }} }}"""
_MANUAL = re.findall(
    r"```graphql\n(.*?)```",
    (Path(__file__).resolve().parents[3] / "docs" / "revenue.md").read_text(encoding="utf-8"),
    re.DOTALL,
)
_COST_SET = "... on AcquisitionCostSet { month cost { amount } }"


class _Business:
    """Live customers without a method: what they subscribe to runs, and nothing is charged. Each act has its day."""

    def __init__(self, site: Site) -> None:
        self._db = site.runtime.db

    async def customer(self, on: str, environment: Environment = Environment.LIVE) -> Customer:
        async with self._db.transaction() as tx:
            return await customers.create_customer(
                tx, self._on(on), environment=environment, name="Somebody", email="somebody@example.com"
            )

    async def subscribe(
        self,
        who: Customer,
        plan: str,
        on: str,
        interval: Interval = Interval.MONTH,
        *,
        product: str = "edge",
        wish: Wish | None = None,
    ) -> Subscription:
        offer = dict[str, Any](product_key=product, plan_key=plan, interval=interval)
        async with self._db.transaction() as tx:
            return await contracts.subscribe(tx, self._on(on), customer_id=who.id, **offer, wish=wish)

    async def close(self, of: Subscription, on: str) -> None:
        async with self._db.transaction() as tx:
            await contracts.close_period(tx, self._on(on), of.customer_id, of.id)

    async def pause(self, of: Subscription, on: str) -> None:
        async with self._db.transaction() as tx:
            await contracts.pause(tx, self._on(on), subscription_id=of.id)

    async def resume(self, of: Subscription, on: str) -> None:
        async with self._db.transaction() as tx:
            await contracts.resume(tx, self._on(on), subscription_id=of.id)

    async def change(self, of: Subscription, plan: str, on: str) -> None:
        await self.close(of, on)
        async with self._db.transaction() as tx:
            wish = changing.Wish(plan_key=plan, at=ChangeAt.NOW)
            await replanning.change(tx, self._on(on), subscription_id=of.id, wish=wish)

    async def cancel(self, of: Subscription, on: str, *, at_period_end: bool) -> None:
        await self.close(of, on)
        async with self._db.transaction() as tx:
            await contracts.cancel(tx, self._on(on), subscription_id=of.id, at_period_end=at_period_end)

    async def coupon(self, on: str, **offer: Any) -> Coupon:
        async with self._db.transaction() as tx:
            return await coupons.create_coupon(tx, self._on(on), Offer(**offer))

    async def give(self, who: Customer, coupon: Coupon, on: str) -> Any:
        async with self._db.transaction() as tx:
            return await coupons.apply_coupon(tx, self._on(on), who.id, coupon.id)

    async def take(self, who: Customer, applied: Any, on: str) -> None:
        async with self._db.transaction() as tx:
            await coupons.remove_coupon(tx, self._on(on), who.id, applied.id)

    def _on(self, day: str) -> Call:
        return make.call(day)


def _amounts(figures: dict[str, Any]) -> dict[str, Any]:
    """Write figures flat: what is of money as its amount alone."""
    flat = {name: each["amount"] if isinstance(each, dict) else each for name, each in figures.items()}
    return flat | {"plans": {f"{each['product']}/{each['plan']}": each["mrr"]["amount"] for each in figures["plans"]}}


async def _months(site: Site, first: str, months: int) -> Any:
    return (await site.read(_REVENUE, site.staff("finance"), first=first, months=months))["revenue"]


async def _quarter(site: Site) -> Any:
    """Have five live customers and one test customer come, grow and go in three months, and read these."""
    business = _Business(site)
    ada, bob, cyd, dan, eve = [await business.customer("2026-01-01") for _ in range(5)]
    tess = await business.customer("2026-01-01", Environment.TEST)
    ada_has = await business.subscribe(ada, "starter", "2026-01-05")
    bob_has = await business.subscribe(bob, "professional", "2026-01-20", Interval.YEAR)
    cyd_has = await business.subscribe(cyd, "free", "2026-01-10")
    await business.subscribe(dan, "free", "2026-01-10")
    await business.subscribe(tess, "professional", "2026-01-10")
    half = await business.coupon("2026-02-01", key="h", name="H", duration=Duration.FOREVER, percent_off=Decimal(50))
    await business.give(eve, half, "2026-02-01")
    await business.subscribe(eve, "starter", "2026-02-01")
    await business.change(ada_has, "professional", "2026-02-10")
    await business.change(cyd_has, "starter", "2026-02-20")
    await business.cancel(bob_has, "2026-03-15", at_period_end=False)
    await business.cancel(ada_has, "2026-03-20", at_period_end=True)
    return await _months(site, "2026-01", 3)


async def test_months_of_new_growing_and_leaving_customers_add_up(site: Site) -> None:
    found = await _quarter(site)
    january, february, march = (_amounts(month["figures"]) for month in found["months"])
    # Ada 29.00, and Bob 1,069.20 a year: 89.10.
    assert (january["opening"], january["new"], january["mrr"]) == ("0.00", "118.10", "118.10")
    assert (january["payingCustomers"], january["freeCustomers"], january["conversionPercent"]) == (2, 0, None)
    # Ada goes from 29.00 to 99.00, Cyd from nothing to 29.00, and Eve begins with half of 29.00.
    assert february == {
        "mrr": "231.60",
        "arr": "2779.20",
        "committedMrr": "231.60",
        "trialMrr": "0.00",
        "opening": "118.10",
        "new": "43.50",
        "expansion": "70.00",
        "contraction": "0.00",
        "churn": "0.00",
        "reactivation": "0.00",
        "payingCustomers": 4,
        "freeCustomers": 2,
        "convertedCustomers": 1,
        "arpu": "57.90",
        "customerChurnPercent": "0.00",
        "grossMrrChurnPercent": "0.00",
        "netMrrChurnPercent": "-59.27",  # -70 / 118.10
        "netRetentionPercent": "159.27",
        "grossRetentionPercent": "100.00",
        "expansionPercent": "59.27",
        "conversionPercent": "50.00",  # Cyd of Cyd and Dan
        "quickRatio": None,
        "plans": {"edge/professional": "188.10", "edge/starter": "43.50"},
    }
    # Bob is gone, and Ada is set to go: 231.60 - 89.10 = 142.50, of which 43.50 is not set to end.
    assert (march["mrr"], march["committedMrr"], march["churn"]) == ("142.50", "43.50", "89.10")
    assert (march["customerChurnPercent"], march["grossMrrChurnPercent"]) == ("25.00", "38.47")
    assert (march["netRetentionPercent"], march["quickRatio"]) == ("61.53", "0.00")
    # Who came and went in between is in no movement of the whole.
    whole = _amounts(found["whole"])
    assert (whole["opening"], whole["new"], whole["churn"], whole["mrr"]) == ("0.00", "142.50", "0.00", "142.50")


async def test_cohorts_and_lifetimes_are_read_from_the_same_months(site: Site) -> None:
    cost = {"amount": "50.00", "currency": "USD"}
    await site.change("setAcquisitionCost", _COST_SET, site.staff("finance"), month="2026-03", cost=cost)
    found = await _quarter(site)
    assert [each["cohort"] for each in found["months"]] == [
        {"customers": 2, "retainedPercent": ["100.00", "100.00", "50.00"]},
        {"customers": 2, "retainedPercent": ["100.00", "100.00"]},
        {"customers": 0, "retainedPercent": [None]},
    ]
    # 47.50 a customer at 80 % are 38.00 a month: 152.00 at a quarter leaving, 3.04 times 50.00, back in 1.32 months.
    _, february, march = found["months"]
    assert march["lifetimeValue"] == {"amount": "152.00"}
    assert (march["valueToCost"], march["paybackMonths"]) == ("3.04", "1.32")
    assert (february["lifetimeValue"], february["acquisitionCost"], february["valueToCost"]) == (None, None, None)
    assert found["targets"] == {
        "conversionPercent": "5",
        "expansionPercent": "20",
        "customerChurnPercent": "5",
        "valueToCost": "3",
    }


async def test_a_trial_is_worth_nothing_yet_and_a_pause_is_churn_until_it_ends(site: Site) -> None:
    business = _Business(site)
    ada, bob = await business.customer("2026-01-01"), await business.customer("2026-01-01")
    await business.subscribe(ada, "starter", "2026-01-20", wish=Wish(trial_days=30))
    bob_has = await business.subscribe(bob, "starter", "2026-01-05")
    await business.pause(bob_has, "2026-01-25")
    await business.close(bob_has, "2026-02-05")
    await business.resume(bob_has, "2026-03-10")

    found = await _months(site, "2026-01", 3)
    january, february, march = (_amounts(month["figures"]) for month in found["months"])
    assert (january["mrr"], january["trialMrr"], january["payingCustomers"]) == ("29.00", "29.00", 1)
    # Bob stands still from 5 February on. Nobody has seen to the end of Ada's trial on the 19th: it brings in nothing
    # yet, and is no free plan either.
    assert (february["mrr"], february["trialMrr"]) == ("0.00", "0.00")
    assert (february["churn"], february["customerChurnPercent"], february["freeCustomers"]) == ("29.00", "100.00", 0)
    assert (march["reactivation"], march["freeCustomers"]) == ("29.00", 0)
    assert march["mrr"] == "29.00"


async def test_a_coupon_of_an_amount_is_taken_once_and_until_it_is_removed(site: Site) -> None:
    business = _Business(site)
    ada = await business.customer("2026-01-01")
    ten = await business.coupon(
        "2026-01-01", key="ten", name="Ten", duration=Duration.FOREVER, amount_off=Money(1000, "USD")
    )
    # One that is used once is no lasting discount.
    once = await business.coupon("2026-01-01", key="once", name="Once", duration=Duration.ONCE, percent_off=Decimal(10))
    given = await business.give(ada, ten, "2026-01-02")
    await business.give(ada, once, "2026-01-02")
    await business.subscribe(ada, "starter", "2026-01-05")
    await business.subscribe(ada, "pro", "2026-01-10", product="llm")
    await business.take(ada, given, "2026-02-15")

    found = await _months(site, "2026-01", 2)
    january, february = (_amounts(month["figures"]) for month in found["months"])
    # 29.00 - 10.00 and 79.00; then all of both. One customer with two subscriptions.
    assert (january["mrr"], january["plans"]) == ("98.00", {"edge/starter": "19.00", "llm/pro": "79.00"})
    assert (february["mrr"], february["expansion"], february["payingCustomers"]) == ("108.00", "10.00", 1)


async def test_what_is_asked_wrongly_or_by_others_is_refused(site: Site) -> None:
    ada = await site.world.customer(on="2026-01-01")
    document = """query($first: String, $months: Int, $of: String!) {
        revenue(currency: $of, firstMonth: $first, months: $months) { currency } }"""
    for token in (site.staff("support"), site.staff("viewer"), site.member(ada.id)):
        refused = await site.run(document, token, of="USD", months=1)
        assert [each["extensions"]["code"] for each in refused["errors"]] == ["forbidden"]
    test_key = await site.key("revenue:read", environment=Environment.TEST)
    refused = await site.run(document, test_key, of="USD", months=1)
    assert [each["extensions"]["code"] for each in refused["errors"]] == ["environment_refused"]
    for given, code in (
        ({"of": "USD", "months": 0}, "revenue_malformed"),
        ({"of": "USD", "months": 37}, "revenue_malformed"),
        ({"of": "USD", "months": 1, "first": "2026-13"}, "revenue_malformed"),
        ({"of": "USD", "months": 1, "first": "2099-12"}, "revenue_malformed"),
        ({"of": "XXX", "months": 1}, "currency_unknown"),
    ):
        refused = await site.run(document, site.staff("finance"), **given)
        assert [each["extensions"]["code"] for each in refused["errors"]] == [code]
    cost = {"amount": "-1.00", "currency": "USD"}
    answer = await site.change("setAcquisitionCost", _COST_SET, site.staff("finance"), month="2026-03", cost=cost)
    assert answer["code"] == "revenue_malformed"
    answer = await site.change("setAcquisitionCost", _COST_SET, site.staff("support"), month="2026-03", cost=cost)
    assert answer["code"] == "forbidden"


async def test_a_cost_that_is_entered_again_takes_the_place_of_the_first(site: Site) -> None:
    finance = site.staff("finance")
    for amount in ("50.00", "60.00", "60.00"):
        cost = {"amount": amount, "currency": "USD"}
        await site.change("setAcquisitionCost", _COST_SET, finance, month="2026-03", cost=cost)
    found = await _months(site, "2026-03", 1)
    assert found["months"][0]["acquisitionCost"] == {"amount": "60.00"}
    entries = await site.read("{ auditEntries(first: 10) { nodes { action about } } }", site.staff())
    written = [each for each in entries["auditEntries"]["nodes"] if each["action"] == "set_acquisition_cost"]
    assert [each["about"] for each in written] == ["month:2026-03"] * 2


async def test_the_documents_of_the_manual_are_answered(site: Site) -> None:
    asked, entered = _MANUAL
    assert len((await site.read(asked, site.staff("finance")))["revenue"]["months"]) == 12
    said = await site.read(entered, site.staff("finance"))
    assert said["setAcquisitionCost"] == {"cost": {"amount": "50.00"}}
