"""What became of a quantity, told by what its lines store."""

from collections.abc import Mapping
from fractions import Fraction

import pytest

from domain.invoices import rating
from domain.invoices.conservation.balance import Account, Billing, account_of
from domain.invoices.rating import SegmentUsage
from domain.subscriptions.subscription import Source
from tests.domain.invoices.examples import (
    PER_REQUEST,
    REQUESTS,
    VERSION,
    catalogue,
    segment,
    subscription,
    total,
    usage_price,
)
from tests.domain.invoices.test_verification import billed, invoice


def test_of_what_stripe_bills_nothing_is_due_here() -> None:
    own = subscription(source=Source.STRIPE)
    january = segment(own, "2026-01-01", "2026-02-01")
    nothing = Billing(is_priced=True, issued=(), drafted=(), caps=(), wanted=None, is_running=False)
    plan = own, catalogue(PER_REQUEST).version(VERSION)
    found = account_of(REQUESTS, Fraction(12), [january], nothing, plan=plan)
    assert [found.elsewhere, found.charged, found.not_yet_billed, found.missing] == [12, 0, 0, 0]


@pytest.mark.parametrize(
    ("quantity", "included", "charged"),
    # The first ten requests cost nothing; from the eleventh on each costs a dollar.
    [("12", 10, 2), ("10", 10, 0), ("3", 3, 0)],
)
def test_tiers_of_price_zero_are_included(quantity: str, included: int, charged: int) -> None:
    tiers = {"tiers": [{"up_to": "10", "unit_amount": "0"}, {"up_to": None, "unit_amount": "1"}]}
    found = _billed("graduated", tiers, quantity)
    assert [found.included, found.charged, found.missing] == [included, charged, 0]


def test_the_tier_that_prices_all_is_charged_for_all() -> None:
    tiers = {"tiers": [{"up_to": "10", "unit_amount": "0"}, {"up_to": None, "unit_amount": "1"}]}
    found = _billed("volume", tiers, "12")
    assert [found.included, found.charged, found.missing] == [0, 12, 0]


def _billed(model: str, definition: Mapping[str, object], quantity: str) -> Account:
    """Bill a month of requests, and say what became of them."""
    own, price = subscription(), usage_price(model, dict(definition), REQUESTS)
    january = segment(own, "2026-01-01", "2026-02-01")
    plans = catalogue(price)
    counted = SegmentUsage(own, january, [total(REQUESTS, quantity, {"region": "fra"})], {})
    wanted = rating.usage_lines(counted, plans)
    lines = billed(invoice(), *wanted)
    of = Billing(is_priced=True, issued=lines, drafted=(), caps=(), wanted=wanted, is_running=False)
    return account_of(REQUESTS, Fraction(quantity), [january], of, plan=(own, plans.version(VERSION)))
