"""Which unpaid invoice a change's credit lowers."""

from dataclasses import replace
from decimal import Decimal

from domain.invoices.credit_note import Credited, CreditPart
from domain.invoices.derivation import NewLine
from domain.invoices.invoice import Identity, Invoice, Line, LineKind, State
from domain.invoices.unpaid import Offset, Unpaid, charged_by, is_unpaid, offset_of, takes_back
from domain.kernel.ids import InvoiceId, LineId, PriceId, SubscriptionId
from domain.kernel.money import Money
from domain.kernel.period import Period
from tests import make
from tests.domain.invoices.examples import CUSTOMER
from tests.domain.invoices.test_verification import invoice

_START, _MIDDLE, _END = make.at("2026-04-01"), make.at("2026-04-16"), make.at("2026-05-01")
_FEE = Identity(LineKind.FEE, SubscriptionId(make.new_id()), PriceId(make.new_id()), None, Period(_START, _END))
_UNUSED = replace(_FEE, kind=LineKind.PRORATION, period=Period(_MIDDLE, _END), dimension_key="credit")


def _line(minor: int, *, identity: Identity = _FEE, left: str = "1", on: Invoice | None = None) -> Line:
    usd = Money(minor, "USD")
    invoice_id = on.id if on else InvoiceId(make.new_id())
    said = {"share_of_time": left}
    line_id = LineId(make.new_id())
    return Line(line_id, invoice_id, CUSTOMER, identity, 0, "x", Decimal(1), "month", usd, Money(0, "USD"), said)


def _credit(minor: int, left: str = "0.5") -> NewLine:
    return NewLine(_UNUSED, 0, "x", Decimal(-1), "month", -minor, {"share_of_time": left})


def _open(*lines: Line, total: int) -> Unpaid:
    found = replace(invoice(), id=lines[0].invoice_id, state=State.OPEN, subtotal=Money(total, "USD"))
    return Unpaid(found, lines, {})


def test_the_unused_part_of_a_fee_is_taken_off_its_invoice() -> None:
    fee = _line(3_000)
    found = offset_of(_credit(1_500), [fee], {fee.invoice_id: _open(fee, total=3_000)})
    assert found == Offset(fee.invoice_id, 1_500, (CreditPart(fee.id, 1_500),))


def test_nothing_is_taken_off_a_paid_invoice() -> None:
    assert offset_of(_credit(1_500), [_line(3_000)], {}) is None
    assert offset_of(_credit(1_500), [], {}) is None


def test_the_newest_charge_is_taken_back_first_and_only_what_is_unused_of_it() -> None:
    first = _line(3_000)
    added = _line(2_000, identity=replace(_FEE, kind=LineKind.PRORATION, period=Period(make.at("2026-04-11"), _END)))
    added = replace(added, derivation={"share_of_time": "2/3"})
    unpaid = {added.invoice_id: _open(added, total=2_000)}
    # 20.00 for two thirds of the month: 15.00 for the half that is left; the other 15.00 were paid.
    found = offset_of(_credit(3_000), [first, added], unpaid)
    assert found == Offset(added.invoice_id, 1_500, (CreditPart(added.id, 1_500),))
    # Once that stands on its note, nothing of the rest is on an unpaid invoice.
    noted = replace(_line(-1_500, identity=_UNUSED, left="0.5"), invoice_id=added.invoice_id)
    rest = replace(_credit(1_500), revision=1)
    assert offset_of(rest, [first, added, noted], unpaid) is None
    # Were the first one unpaid too, the rest would lower it.
    both = unpaid | {first.invoice_id: _open(first, total=3_000)}
    assert offset_of(rest, [first, added, noted], both) == Offset(
        first.invoice_id, 1_500, (CreditPart(first.id, 1_500),)
    )


def test_the_oldest_invoice_bears_what_rounding_has_left_over() -> None:
    fee = _line(999)
    # 999 / 2 is 499.5, which rounds to 500; a credit of 501 is at most one unit for each charge above that.
    found = offset_of(_credit(501), [fee], {fee.invoice_id: _open(fee, total=999)})
    assert found is not None
    assert found.amount_minor == 501


def test_a_credit_beyond_what_is_unused_of_an_invoice_stays() -> None:
    fee = _line(1_000)
    found = offset_of(_credit(900), [fee], {fee.invoice_id: _open(fee, total=1_000)})
    assert found is not None
    assert found.amount_minor == 500


def test_what_earlier_notes_gave_back_is_not_given_back_again() -> None:
    fee = _line(3_000)
    unpaid = replace(_open(fee, total=3_000), before={fee.id: Credited(2_000)})
    found = offset_of(_credit(1_500), [fee], {fee.invoice_id: unpaid})
    assert found == Offset(fee.invoice_id, 1_000, (CreditPart(fee.id, 1_000),))
    spent = replace(unpaid, before={fee.id: Credited(3_000)})
    assert offset_of(_credit(1_500), [fee], {fee.invoice_id: spent}) is None


def test_a_line_for_no_time_has_nothing_unused() -> None:
    fee = _line(0, left="0")
    assert offset_of(_credit(100), [fee], {fee.invoice_id: _open(fee, total=0)}) is None


def test_charges_are_those_of_the_same_price_and_end_that_began_before() -> None:
    fee, other = _line(3_000), _line(3_000, identity=replace(_FEE, price_id=PriceId(make.new_id())))
    later = _line(100, identity=replace(_FEE, period=Period(make.at("2026-04-20"), _END)))
    usage = _line(100, identity=replace(_FEE, kind=LineKind.USAGE))
    assert charged_by([fee, other, later, usage], _credit(1)) == [fee]


def test_only_what_is_open_written_off_or_charged_back_without_a_payment_under_way_is_unpaid() -> None:
    found = invoice()
    unpaid = [state for state in State if is_unpaid(replace(found, state=state))]
    assert unpaid == [State.OPEN, State.UNCOLLECTIBLE, State.CHARGED_BACK]
    assert not is_unpaid(replace(found, state=State.OPEN, charging=True))


def test_only_what_a_change_leaves_unused_is_taken_back() -> None:
    credit = _credit(1_500)
    assert takes_back(credit)
    assert takes_back(replace(credit, identity=_FEE))
    assert not takes_back(replace(credit, amount_minor=1_500))
    assert not takes_back(replace(credit, identity=replace(_UNUSED, kind=LineKind.USAGE)))
