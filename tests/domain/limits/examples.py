"""An account of January, and estimates, for tests of pure rules."""

from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from domain.kernel.ids import CustomerId, MeterId, SubscriptionId
from domain.kernel.period import Period
from domain.limits.account import Account, Allowance, Basis, Line
from domain.limits.asking import Addition, Estimate
from domain.limits.policy import Limit
from domain.plans.plan import Policy
from domain.usage.combination import combination_of
from tests import make
from tests.domain.invoices.examples import subscription

CALLS, LEVEL = MeterId(make.new_id()), MeterId(make.new_id())
NOON = make.at("2026-01-15T12:00")


def line(
    key: str,
    amount: int | None,
    used: int,
    *,
    leased: int = 0,
    policy: Policy = "hard",
    meter: MeterId = CALLS,
    passed_at: datetime | None = None,
    money: bool = False,
) -> Line:
    """Make a limit with what was used of it."""
    limit = Limit(policy, None if amount is None else Fraction(amount), 110, 48)
    allowance = Allowance(
        key,
        key.title(),
        "call",
        limit,
        meter,
        None,
        money=money,
        markup=Decimal(1),
        carries=meter is LEVEL,
        on_failure="open",
    )
    return Line(allowance, Fraction(used), Fraction(leased), passed_at)


def account(*lines: Line, paid: bool = True) -> Account:
    """Make an account of January."""
    period = Period(make.at("2026-01-01"), make.at("2026-02-01"))
    return Account(
        CustomerId(make.new_id()),
        SubscriptionId(make.new_id()),
        0,
        "pro",
        "USD",
        paid,
        "llm",
        period,
        NOON,
        NOON,
        {each.key: each for each in lines},
        Basis(subscription(), ()),
    )


def one(quantity: int, meter: MeterId = CALLS, *, sets: bool = False) -> Estimate:
    """Make an estimate that counts on one meter."""
    everything = combination_of(meter.bytes, (), ())
    return Estimate("llm.call", (Addition(meter, everything, quantity, sets),), (everything.key,), priceless=False)
