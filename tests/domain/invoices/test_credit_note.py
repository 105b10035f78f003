"""What goes back with a part of a line: tax rounded apart, rests that add up to the invoice, never more than it."""

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.credits.discount import Discount
from domain.invoices.credit_note import (
    Correction,
    Credited,
    CreditKind,
    CreditMalformed,
    CreditPart,
    CreditRefused,
    CreditTooLarge,
    NothingToOffset,
    credited_lines,
    rest_of,
    share_back,
    shares_of,
    taxes_back,
    without_corrections,
)
from domain.invoices.invoice import Identity, Invoice, InvoiceKind, Line, LineKind, State
from domain.kernel.call import Environment
from domain.kernel.ids import CreditNoteId, InvoiceId, LineId, SubscriptionId
from domain.kernel.money import Money
from domain.kernel.period import Period
from tests import make
from tests.domain.invoices import examples

_NOW = make.at("2026-02-01")


def _line(amount: int, tax: int = 0, *, discount: int = 0) -> Line:
    identity = Identity(LineKind.USAGE, SubscriptionId(make.new_id()), None, None, Period(make.at("2026-01-01"), _NOW))
    return Line(
        id=LineId(make.new_id()),
        invoice_id=InvoiceId(make.new_id()),
        customer_id=examples.CUSTOMER,
        identity=identity,
        revision=0,
        description="Usage",
        quantity=Decimal(12),
        unit="call",
        amount=Money(amount, "USD"),
        discounts=(Discount("cpa_1", "SPRING", "Spring", Money(discount, "USD")),) if discount else (),
        tax=Money(tax, "USD"),
        derivation={},
    )


def _invoice(*lines: Line, state: State = State.OPEN, applied: int = 0, offset: int = 0) -> Invoice:
    return Invoice(
        customer_id=examples.CUSTOMER,
        id=InvoiceId(make.new_id()),
        environment=Environment.TEST,
        currency="USD",
        kind=InvoiceKind.INVOICE,
        state=state,
        number="TEST-2026-000001",
        created_at=_NOW,
        grace_ends_at=_NOW,
        issued_at=_NOW,
        due_at=_NOW,
        paid_at=None,
        subtotal=Money(sum(line.amount.minor for line in lines), "USD"),
        discount=Money(sum(line.discount.minor for line in lines), "USD"),
        tax=Money(sum(line.tax.minor for line in lines), "USD"),
        version=1,
        applied_minor=applied,
        offset_minor=offset,
    )


def test_the_last_note_of_a_line_takes_the_rest_of_its_tax() -> None:
    # 769.00 with 153.80 tax (20 %): 726.86 takes 145.372, rounded 145.37; the last 42.14 takes 8.43, not 8.428.
    line = _line(76_900, 15_380)
    [first] = credited_lines(_invoice(line), [line], {}, [CreditPart(line.id, 72_686)])
    assert (first.amount.minor, first.tax.minor) == (72_686, 14_537)
    [last] = credited_lines(_invoice(line), [line], {line.id: Credited(72_686, 0, 14_537)}, [CreditPart(line.id)])
    assert (last.amount.minor, last.tax.minor) == (4_214, 843)


def test_a_part_shows_the_quantity_of_the_whole_line() -> None:
    line = _line(1_000)
    [part] = credited_lines(_invoice(line), [line], {}, [CreditPart(line.id, 1)])
    assert (part.quantity, part.unit, part.description) == (Decimal(12), "call", "Usage")


def _shares(share: int, whole: int, part: int, taken: list[int]) -> list[int]:
    """Return what goes back with each of several parts, given what went back with those before it."""
    return [
        share_back(share, whole, part, taken_minor=before, before_minor=part * number)
        for number, before in enumerate(taken)
    ]


def test_parts_never_take_more_tax_than_is_left() -> None:
    # Three parts of 1 of a line of 3 with 1 of tax: a third each rounds to 0, the last takes it.
    assert _shares(1, 3, 1, [0, 0, 0]) == [0, 0, 1]
    # Parts of 1 of a line of 4 with 2 of tax: 0.5 rounds to 1, then 1, and nothing is left for the other two.
    assert _shares(2, 4, 1, [0, 1, 2, 2]) == [1, 1, 0, 0]
    assert _shares(-2, -4, -1, [0, -1, -2, -2]) == [-1, -1, 0, 0]


def test_a_coupons_share_of_what_is_credited_goes_back_with_it() -> None:
    # 399.00 less 250.00, and 29.80 tax on 149.00. Half of the list price, 199.50, takes half of both with it: 74.50 net
    # and 14.90 tax. The rest takes the other halves.
    line = _line(39_900, 2_980, discount=25_000)
    [half] = credited_lines(_invoice(line), [line], {}, [CreditPart(line.id, 19_950)])
    assert (half.discount.minor, half.tax.minor, half.total_minor) == (12_500, 1_490, 8_940)
    [rest] = credited_lines(_invoice(line), [line], {line.id: Credited(19_950, 12_500, 1_490)}, [CreditPart(line.id)])
    assert half.total_minor + rest.total_minor == 17_880  # 149.00 + 29.80


def test_two_taxes_on_one_line_add_up_to_the_tax_that_goes_back() -> None:
    # A third of 20.00 tax is 6.67: 5.00 of 15.00 and 1.67 of 5.00.
    assert taxes_back([1_500, 500], 10_000, 3_333) == [500, 167]


def test_tax_that_the_price_contains_goes_back_within_the_amount() -> None:
    # 119.00 contain 19.00 tax: half of it is 59.50, of which 9.50 are tax.
    line = replace(_line(11_900, 1_900), tax_inclusive=True)
    invoice = replace(_invoice(line), tax_included_minor=1_900)
    [half] = credited_lines(invoice, [line], {}, [CreditPart(line.id, 5_950)])
    assert (half.tax.minor, half.total_minor) == (950, 5_950)
    before = Credited(5_950, 0, 950, tax_inclusive=True)
    assert before.net_minor == 5_000
    [rest] = credited_lines(invoice, [line], {line.id: before}, [CreditPart(line.id)])
    assert rest.total_minor == 5_950


def test_a_line_is_never_credited_beyond_its_rest() -> None:
    line = _line(1_000)
    with pytest.raises(CreditTooLarge) as refused:
        credited_lines(_invoice(line), [line], {line.id: Credited(400)}, [CreditPart(line.id, 601)])
    assert (refused.value.left, refused.value.currency) == ("6.00", "USD")
    with pytest.raises(CreditTooLarge):
        credited_lines(_invoice(line), [line], {line.id: Credited(1_000)}, [CreditPart(line.id)])


def test_notes_never_exceed_an_invoice_that_a_cap_has_lowered() -> None:
    # Usage of 100.00 with 40.00 above the cap is an invoice over 60.00.
    usage, cap = _line(10_000), _line(-4_000)
    invoice = _invoice(usage, cap)
    with pytest.raises(CreditTooLarge) as refused:
        credited_lines(invoice, [usage, cap], {}, [CreditPart(usage.id)])
    assert refused.value.left == "60.00"
    whole = credited_lines(invoice, [usage, cap], {}, rest_of([usage, cap], {}))
    assert [line.amount.minor for line in whole] == [10_000, -4_000]
    # What lowers an invoice is no credit by itself.
    with pytest.raises(CreditMalformed):
        credited_lines(invoice, [usage, cap], {}, [CreditPart(cap.id, 1)])


def test_what_names_no_line_or_one_twice_or_nothing_is_malformed() -> None:
    line, other = _line(1_000), _line(1_000)
    for parts in ([], [CreditPart(other.id, 1)], [CreditPart(line.id, 1)] * 2, [CreditPart(line.id, 0)]):
        with pytest.raises(CreditMalformed):
            credited_lines(_invoice(line), [line], {}, parts)
    for state in (State.DRAFT, State.VOID):
        with pytest.raises(CreditRefused):
            credited_lines(_invoice(line, state=state), [line], {}, [CreditPart(line.id)])


def test_what_is_due_is_lowered_first_and_what_was_paid_goes_where_the_kind_says() -> None:
    # 100.00, of which 60.00 was paid from the balance: 40.00 are due. A note over 70.00 leaves 30.00 of what was paid.
    invoice = _invoice(_line(10_000), applied=6_000)

    def found(kind: CreditKind) -> tuple[int, int, int]:
        shares = shares_of(invoice, 7_000, kind)
        return shares.offset_minor, shares.credit_minor, shares.refund_minor

    assert found(CreditKind.CUSTOMER_CREDIT) == (4_000, 3_000, 0)
    assert found(CreditKind.OFFSET) == (4_000, 3_000, 0)
    assert found(CreditKind.REFUND) == (4_000, 0, 3_000)


def test_what_wallets_paid_goes_back_to_them_after_the_money() -> None:
    # 100.00, of which wallets paid 60.00 and a card 40.00.
    invoice = _invoice(_line(10_000), applied=6_000, state=State.PAID)

    def found(kind: CreditKind, total: int, moved: int = 0, left: int = 6_000) -> tuple[int, int, int, int]:
        shares = shares_of(invoice, total, kind, from_wallets_minor=left, moved_minor=moved)
        return shares.offset_minor, shares.credit_minor, shares.refund_minor, shares.wallet_minor

    assert found(CreditKind.REFUND, 3_000) == (0, 0, 3_000, 0)
    assert found(CreditKind.REFUND, 7_000) == (0, 0, 4_000, 3_000)
    assert found(CreditKind.CUSTOMER_CREDIT, 7_000) == (0, 4_000, 0, 3_000)
    # A second note: 30.00 of the money went back before, so 10.00 of it is left.
    assert found(CreditKind.REFUND, 2_000, moved=3_000) == (0, 0, 1_000, 1_000)
    # Wallets have got 50.00 back before; what is more than both is what customer credit had paid.
    assert found(CreditKind.CUSTOMER_CREDIT, 2_000, moved=4_000, left=1_000) == (0, 1_000, 0, 1_000)


def test_what_wallets_paid_of_an_open_invoice_goes_back_once_nothing_is_due() -> None:
    invoice = _invoice(_line(10_000), applied=6_000)
    shares = shares_of(invoice, 7_000, CreditKind.CUSTOMER_CREDIT, from_wallets_minor=6_000)
    assert (shares.offset_minor, shares.credit_minor, shares.wallet_minor) == (4_000, 0, 3_000)


def test_a_paid_invoice_has_nothing_to_offset() -> None:
    invoice = _invoice(_line(10_000), state=State.PAID)
    with pytest.raises(NothingToOffset):
        shares_of(invoice, 1, CreditKind.OFFSET)
    assert shares_of(invoice, 500, CreditKind.REFUND).refund_minor == 500
    assert shares_of(invoice, 500, CreditKind.CUSTOMER_CREDIT).credit_minor == 500
    assert shares_of(replace(invoice, state=State.UNCOLLECTIBLE), 500, CreditKind.REFUND).offset_minor == 500


def test_corrections_count_as_if_they_had_not_been_billed() -> None:
    line, whole, other = _line(1_000), _line(700), _line(5)
    note = CreditNoteId(make.new_id())
    corrections = [Correction(note, line.id, 300), Correction(note, line.id, 100), Correction(note, whole.id, 700)]
    after = without_corrections([line, whole, other], corrections)
    assert [(each.amount.minor, each.quantity) for each in after] == [
        (600, Decimal(12)),
        (0, Decimal(0)),
        (5, Decimal(12)),
    ]
