"""What the credits of a draft give back of."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from domain.credits.discount import Discount
from domain.credits.discounting import BilledBefore
from domain.invoices.credited import Credited, credited, is_credit, is_unused_fee
from domain.invoices.invoice import Identity, Line, LineKind
from domain.kernel.ids import InvoiceId, LineId, PriceId, SubscriptionId
from domain.kernel.money import Money
from domain.kernel.period import Period
from tests import make
from tests.domain.invoices.examples import CUSTOMER
from tests.domain.invoices.test_verification import invoice

_START, _MIDDLE, _END = make.at("2026-01-01"), make.at("2026-01-16"), make.at("2026-02-01")
_FEE = Identity(LineKind.FEE, SubscriptionId(make.new_id()), PriceId(make.new_id()), None, Period(_START, _END))
_UNUSED = replace(_FEE, kind=LineKind.PRORATION, period=Period(_MIDDLE, _END), dimension_key="credit")
_DRAFT = invoice()
_TAKEN = Discount("apc_1", "c", "C", Money(1000, "USD"))


def _given_back(minor: int) -> Discount:
    return replace(_TAKEN, amount=Money(-minor, "USD"))


def _line(
    identity: Identity,
    minor: int,
    *,
    revision: int = 0,
    discounts: tuple[Discount, ...] = (),
    on: InvoiceId | None = None,
) -> Line:
    """Make a line whose share of time is what is left of the period's 31 days where it begins."""
    left = Fraction((identity.period.end - identity.period.start).days, 31)
    zero = Money(0, "USD")
    return Line(
        LineId(make.new_id()),
        on or InvoiceId(make.new_id()),
        CUSTOMER,
        identity,
        revision,
        "x",
        Decimal(1),
        "month",
        Money(minor, "USD"),
        zero,
        {"share_of_time": str(left)},
        discounts,
    )


def test_what_is_left_of_a_fee_gives_back_of_the_fee_of_the_same_price_and_period() -> None:
    fee, credit = _line(_FEE, 7900, discounts=(_TAKEN,)), _line(_UNUSED, -3950)
    other = _line(replace(_FEE, price_id=PriceId(make.new_id())), 5000, discounts=(_TAKEN,))
    found = credited(credit, [fee, other, credit], _DRAFT)
    assert found.before is not None
    # From 16 January 16 of 31 days are left: of 79.00 that is 40.77, and the same share of the discount.
    assert found == Credited(BilledBefore(Fraction(7900 * 16, 31), (_TAKEN,), (Fraction(16, 31),)))
    assert credited(credit, [replace(fee, discounts=())], _DRAFT) == Credited()


def test_what_was_taken_back_and_charged_again_gives_back_of_the_later_charge_only() -> None:
    # 62.00 less 10.00 for January; all of it was left on the 1st and taken back. On the 16th the plan is back at its
    # full price, 32.00, and on the 24th it is left for good: 16.00 were billed for these 8 days, and nothing less.
    fee = _line(_FEE, 6200, discounts=(_TAKEN,))
    left = _line(replace(_UNUSED, period=Period(_START, _END)), -6200, discounts=(_given_back(1000),))
    again = _line(replace(_UNUSED, dimension_key="charge"), 3200)
    last = _line(replace(_UNUSED, period=Period(make.at("2026-01-24"), _END)), -1600)
    found = credited(last, [fee, left, again, last], _DRAFT)
    assert found.before is not None
    assert (found.before.amount_minor, found.before.by_coupon) == (1600, [(_TAKEN, Fraction(0))])


def test_a_later_charge_weighs_what_it_is_for_the_time_that_is_left() -> None:
    # For the 8 days from the 24th 16.00 of the first fee are left with 2.58 of its 10.00, and 16.00 of the later one.
    fee = _line(_FEE, 6200, discounts=(_TAKEN,))
    more = _line(replace(_UNUSED, dimension_key="quantity"), 3200)
    credit = _line(replace(_UNUSED, period=Period(make.at("2026-01-24"), _END)), -3200)
    found = credited(credit, [fee, more, credit], _DRAFT)
    assert found.before is not None
    assert (found.before.amount_minor, found.before.by_coupon) == (3200, [(_TAKEN, Fraction(8000, 31))])


def test_a_charge_that_its_own_later_difference_takes_back_gives_nothing_back_once_more() -> None:
    # A charge of 32.00 for the second half is replaced at its own instant: its difference takes its discount back.
    fee, more = _line(_FEE, 6200), _line(replace(_UNUSED, dimension_key="quantity"), 3200, discounts=(_TAKEN,))
    gone = replace(more, revision=1, invoice_id=_DRAFT.id, amount=Money(-3200, "USD"), discounts=())
    credit = replace(_line(_UNUSED, -3200), invoice_id=_DRAFT.id)
    found = credited(credit, [fee, more, gone, credit], _DRAFT)
    assert found.before is not None
    assert (found.before.amount_minor, found.before.by_coupon) == (3200, [(_TAKEN, Fraction(0))])


def test_what_stands_on_a_note_has_taken_its_share_of_the_discount_of_its_invoice_along() -> None:
    # Half of the fee went back on a note: 31.00 less 5.00 stand. A later charge of 16.00 was reduced by nothing.
    fee = _line(_FEE, 6200, discounts=(_TAKEN,))
    noted = _line(replace(_UNUSED, period=Period(_START, _END), dimension_key="quantity"), -3100, on=fee.invoice_id)
    more = _line(replace(_UNUSED, dimension_key="charge"), 1600)
    credit = _line(_UNUSED, -3200)
    found = credited(credit, [fee, noted, more, credit], _DRAFT)
    assert found.before is not None
    assert (found.before.amount_minor, found.before.by_coupon) == (3200, [(_TAKEN, Fraction(500 * 16, 31))])


def test_a_fee_on_the_same_draft_is_lowered_by_what_is_left_of_it() -> None:
    fee = replace(_line(_FEE, 7900, discounts=(_TAKEN,)), invoice_id=_DRAFT.id)
    credit = replace(_line(_UNUSED, -3950), invoice_id=_DRAFT.id)
    assert credited(credit, [fee, credit], _DRAFT) == Credited(lowers=True)


def test_a_later_difference_gives_back_of_its_own_revisions_on_other_invoices() -> None:
    first, second = _line(_FEE, 7900, discounts=(_TAKEN,)), _line(_FEE, -900, revision=1)
    drafted = replace(_line(_FEE, -100, revision=2, discounts=(_TAKEN,)), invoice_id=_DRAFT.id)
    found = credited(drafted, [first, second, drafted], _DRAFT)
    assert found.before is not None
    assert (found.before.amount_minor, found.before.discounts) == (7000, (_TAKEN,))


def test_a_charge_below_zero_is_a_credit_and_of_a_cap_it_is_the_other_way_round() -> None:
    cap = replace(_FEE, kind=LineKind.CAP)
    assert [is_credit(_line(_FEE, minor)) for minor in (-1, 0, 1)] == [True, False, False]
    assert [is_credit(_line(cap, minor)) for minor in (-1, 0, 1)] == [False, False, True]
    assert [is_unused_fee(_line(_UNUSED, -1, revision=revision)) for revision in (0, 1)] == [True, False]
    assert not is_unused_fee(_line(_UNUSED, 1))


def test_what_is_left_of_a_credit_on_a_note_follows_the_other_charges() -> None:
    paid, unpaid = _line(_FEE, 6000, discounts=(_TAKEN,)), _line(_FEE, 3000)
    noted = replace(_line(_UNUSED, -1500), invoice_id=unpaid.invoice_id)
    rest = replace(_line(_UNUSED, -3000, revision=1), invoice_id=_DRAFT.id)
    found = credited(rest, [paid, unpaid, noted, rest], _DRAFT)
    assert found.before is not None
    assert (found.before.amount_minor, found.before.discounts) == (Fraction(6000 * 16, 31), (_TAKEN,))
