"""What the credits of a draft give back of."""

from dataclasses import replace
from decimal import Decimal

from domain.credits.discount import Discount
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


def _line(identity: Identity, minor: int, *, revision: int = 0, discounts: tuple[Discount, ...] = ()) -> Line:
    zero = Money(0, "USD")
    on = InvoiceId(make.new_id())
    return Line(
        LineId(make.new_id()),
        on,
        CUSTOMER,
        identity,
        revision,
        "x",
        Decimal(1),
        "month",
        Money(minor, "USD"),
        zero,
        {},
        discounts,
    )


def test_what_is_left_of_a_fee_gives_back_of_the_fee_of_the_same_price_and_period() -> None:
    fee, credit = _line(_FEE, 7900, discounts=(_TAKEN,)), _line(_UNUSED, -3950)
    other = _line(replace(_FEE, price_id=PriceId(make.new_id())), 5000, discounts=(_TAKEN,))
    found = credited(credit, [fee, other, credit], _DRAFT)
    assert found.before is not None
    assert (found.before.amount_minor, found.before.discounts, found.lowers) == (7900, (_TAKEN,), False)
    assert credited(credit, [replace(fee, discounts=())], _DRAFT) == Credited()


def test_a_fee_on_the_same_draft_is_lowered_by_what_is_left_of_it() -> None:
    fee = replace(_line(_FEE, 7900, discounts=(_TAKEN,)), invoice_id=_DRAFT.id)
    assert credited(_line(_UNUSED, -3950), [fee], _DRAFT) == Credited(lowers=True)


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
    assert (found.before.amount_minor, found.before.discounts) == (6000, (_TAKEN,))
