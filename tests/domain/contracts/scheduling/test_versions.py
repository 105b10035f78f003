"""Which version a start that was scheduled pins."""

from dataclasses import replace

from domain.contracts.scheduling.versions import version_at_start
from domain.kernel.ids import CustomerId, PlanId, PlanVersionId, PriceId, ProductId
from domain.plans.plan import Existing, Plan, PlanVersion, Price, Product, catalogue_of
from domain.subscriptions.schedule import Interval
from domain.subscriptions.upcoming.scheduled_start import Terms
from tests import make
from tests.make import at

_PRODUCT = Product(ProductId(make.new_id()), "print", "Print")
_PLAN = Plan(PlanId(make.new_id()), _PRODUCT.id, "basic", "Basic", 1)
_ADA, _BOB = CustomerId(make.new_id()), CustomerId(make.new_id())


def _version(
    number: int, existing: Existing = "stay", *, of: CustomerId | None = None, currency: str = "USD"
) -> PlanVersion:
    version_id = PlanVersionId(make.new_id())
    fee = Price(
        PriceId(make.new_id()), version_id, "fee", "fee", currency, "month", None, "flat", {"amount": "10"}, "Fee"
    )
    return PlanVersion(
        version_id, _PLAN.id, number, at("2026-01-01"), 0, (), "", existing, b"", (fee,), (), customer_id=of
    )


_SHOWN = _version(1)
_TERMS = Terms(_SHOWN.id, Interval.MONTH, "USD", at("2026-03-01"))


def _number(*later: PlanVersion, shown: PlanVersion = _SHOWN) -> int:
    catalogue = catalogue_of("f", [_PRODUCT], [_PLAN], [shown, *later], [])
    return version_at_start(catalogue, _ADA, replace(_TERMS, plan_version_id=shown.id)).number


def test_it_pins_what_was_shown_unless_a_newer_version_moves_what_exists() -> None:
    assert _number() == 1
    assert _number(_version(2)) == 1
    assert _number(_version(2, "move_at_renewal")) == 2
    # The newest one decides.
    assert _number(_version(2, "move_at_renewal"), _version(3)) == 1


def test_what_was_negotiated_meanwhile_takes_its_place_for_that_customer_alone() -> None:
    assert _number(_version(2, of=_ADA)) == 2
    assert _number(_version(2, of=_BOB)) == 1
    # An older one of the customer's own is not newer than what was shown.
    assert _number(_version(1, of=_ADA), shown=_version(2)) == 2


def test_a_newer_version_that_is_not_sold_as_was_asked_for_is_passed_over() -> None:
    assert _number(_version(2, "move_at_renewal", currency="EUR")) == 1
