"""States of an invoice, what becomes of a draft, and numbers."""

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.credits.discount import Discount
from domain.invoices.invoice import (
    FOLLOWING,
    Identity,
    Invoice,
    InvoiceKind,
    InvoiceStateRefused,
    Line,
    LineKind,
    Opening,
    PaymentDiffers,
    PaymentUnderWay,
    State,
    VoidReason,
    charged,
    covered,
    minimum,
    numbered,
    opened,
    opening_of,
    paid,
    released,
    stated,
    too_little,
    voided,
    written_off,
)
from domain.invoices.number import number_text
from domain.kernel.call import Environment
from domain.kernel.ids import InvoiceId, LineId, SubscriptionId
from domain.kernel.money import Money
from domain.kernel.period import Period
from tests import make
from tests.domain.invoices import examples

_NOW = make.at("2026-02-01")


def _draft(total_minor: int = 2900, currency: str = "USD") -> Invoice:
    return Invoice(
        customer_id=examples.CUSTOMER,
        id=InvoiceId(make.new_id()),
        environment=Environment.TEST,
        currency=currency,
        kind=InvoiceKind.INVOICE,
        state=State.DRAFT,
        number=None,
        created_at=_NOW,
        grace_ends_at=_NOW,
        issued_at=None,
        due_at=None,
        paid_at=None,
        subtotal=Money(total_minor, currency),
        discount=Money(0, currency),
        tax=Money(0, currency),
        version=1,
    )


def _lines(draft: Invoice, *amounts: int) -> list[Line]:
    period = Period(make.at("2026-01-01"), _NOW)
    identity = Identity(LineKind.USAGE, SubscriptionId(make.new_id()), None, None, period)
    return [
        Line(
            LineId(make.new_id()),
            draft.id,
            draft.customer_id,
            identity,
            0,
            "usage",
            Decimal(1),
            "USD",
            Money(amount, draft.currency),
            Money(0, draft.currency),
            {},
        )
        for amount in amounts
    ]


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        ([], Opening.WAIT),
        ([0, 0], Opening.STATEMENT),
        ([49], Opening.WAIT),  # the gateway charges 0.50 USD or more
        ([50], Opening.INVOICE),
        ([0, 2900], Opening.INVOICE),
        ([-100], Opening.WAIT),
        ([321, -321], Opening.WAIT),  # nothing to pay, but not all lines are zero
    ],
)
def test_what_becomes_of_a_draft(amounts: list[int], expected: Opening) -> None:
    draft = _draft(sum(amounts))
    assert opening_of(draft, _lines(draft, *amounts)) is expected


def test_a_draft_that_coupons_cover_since_it_was_taxed_becomes_a_statement() -> None:
    draft = _draft(500)
    [line] = _lines(draft, 500)
    whole = Discount("apc_1", "c", "C", Money(500, "USD"))
    # Its tax, which its price contains, is told anew once it is opened: of nothing there is none.
    taxed = replace(line, discounts=(whole,), tax=Money(80, "USD"), tax_inclusive=True)
    assert opening_of(draft, [taxed]) is Opening.STATEMENT


def test_each_currency_has_its_own_minimum() -> None:
    assert [minimum(currency).minor for currency in ("USD", "EUR", "JPY", "GBP", "HUF")] == [50, 50, 50, 30, 17_500]


def test_opening_gives_the_number_and_makes_it_due_at_once() -> None:
    after = numbered(opened(_draft(), _NOW), 2026, 1)
    assert (after.state, after.number, after.issued_at, after.due_at) == (State.OPEN, "TEST-2026-000001", _NOW, _NOW)
    assert (after.amount_due, after.amount_paid) == (Money(2900, "USD"), Money(0, "USD"))


def test_a_statement_is_paid_and_has_no_number() -> None:
    after = stated(_draft(0), _NOW)
    assert (after.kind, after.state, after.number, after.due_at) == (InvoiceKind.STATEMENT, State.PAID, None, None)


def test_a_paid_invoice_absorbs_late_and_repeated_news() -> None:
    after = paid(opened(_draft(), _NOW), _NOW, Money(2900, "USD"))
    assert (after.state, after.paid_at, after.amount_due.minor, after.amount_paid.minor) == (State.PAID, _NOW, 0, 2900)
    assert paid(after, make.at("2026-03-01"), Money(1, "USD")) is after


@pytest.mark.parametrize("state", [State.DRAFT, State.VOID])
def test_what_is_not_owed_can_not_be_paid(state: State) -> None:
    with pytest.raises(InvoiceStateRefused):
        paid(replace(_draft(), state=state), _NOW, Money(2900, "USD"))


@pytest.mark.parametrize("amount", [Money(2899, "USD"), Money(2901, "USD"), Money(2900, "EUR")])
def test_another_amount_than_the_total_is_refused(amount: Money) -> None:
    with pytest.raises(PaymentDiffers, match=r"29\.00"):
        paid(opened(_draft(), _NOW), _NOW, amount)


@pytest.mark.parametrize("state", [each for each in State if each is not State.DRAFT])
def test_only_a_draft_is_opened(state: State) -> None:
    with pytest.raises(InvoiceStateRefused):
        opened(replace(_draft(), state=state), _NOW)


def test_void_is_final_and_paid_is_left_to_banks() -> None:
    assert {state for state, following in FOLLOWING.items() if not following} == {State.VOID}


def test_numbers_name_the_year_and_test_customers() -> None:
    assert number_text(Environment.TEST, 2026, 1) == "TEST-2026-000001"
    assert number_text(Environment.LIVE, 2026, 999_999) == "2026-999999"
    assert number_text(Environment.LIVE, 2026, 1_000_000) == "2026-1000000"


@pytest.mark.parametrize(
    ("total", "balance", "is_last", "expected"),
    [
        (2900, 0, False, Opening.INVOICE),
        (2900, 2850, False, Opening.INVOICE),  # 29.00 - 28.50 = 0.50, the minimum
        (2900, 2851, False, Opening.WAIT),  # 0.49
        (2900, 2900, False, Opening.INVOICE),  # the balance pays it whole
        (30, 30, False, Opening.INVOICE),
        (30, 29, False, Opening.WAIT),
        (30, 0, True, Opening.INVOICE),  # nothing follows that it could wait for
        (-30, 500, False, Opening.WAIT),
        (-30, 0, True, Opening.INVOICE),
    ],
)
def test_what_is_left_after_balances_decides_whether_a_draft_is_opened(
    total: int, balance: int, is_last: bool, expected: Opening
) -> None:
    draft = _draft(total)
    assert opening_of(draft, _lines(draft, total), balance_minor=balance, is_last=is_last) is expected


def test_balances_and_credit_notes_lower_what_is_collected_and_not_the_total() -> None:
    # 29.00 - 4.00 paid by the balance - 5.00 credited = 20.00.
    after = replace(opened(_draft(), _NOW, applied_minor=400), offset_minor=500)
    assert (after.total, after.collectable, after.amount_due) == (
        Money(2900, "USD"),
        Money(2000, "USD"),
        after.collectable,
    )
    assert (after.applied, after.offset) == (Money(400, "USD"), Money(500, "USD"))
    assert paid(after, _NOW, Money(2000, "USD")).amount_paid == Money(2000, "USD")
    with pytest.raises(PaymentDiffers):
        paid(after, _NOW, Money(2900, "USD"))


def test_what_balances_pay_whole_is_paid_without_money() -> None:
    after = covered(opened(_draft(), _NOW, applied_minor=2900), _NOW)
    assert (after.state, after.paid_at, after.amount_paid) == (State.PAID, _NOW, Money(0, "USD"))


def test_a_total_below_zero_leaves_nothing_to_collect() -> None:
    assert opened(_draft(-500), _NOW).collectable == Money(0, "USD")


def test_an_open_invoice_is_voided_once_and_keeps_its_number() -> None:
    after = voided(numbered(opened(_draft(), _NOW), 2026, 7), _NOW, VoidReason.DUPLICATE)
    assert (after.state, after.number, after.voided_at, after.void_reason) == (
        State.VOID,
        "TEST-2026-000007",
        _NOW,
        VoidReason.DUPLICATE,
    )
    assert voided(after, make.at("2026-03-01"), VoidReason.OTHER) == after


def test_a_draft_and_a_paid_invoice_are_neither_voided_nor_written_off() -> None:
    for before in (_draft(), paid(opened(_draft(), _NOW), _NOW, Money(2900, "USD"))):
        with pytest.raises(InvoiceStateRefused):
            voided(before, _NOW, VoidReason.OTHER)
        with pytest.raises(InvoiceStateRefused):
            written_off(before, _NOW)


def test_while_a_payment_is_under_way_an_invoice_is_neither_voided_nor_written_off() -> None:
    under_way = charged(opened(_draft(), _NOW))
    with pytest.raises(PaymentUnderWay):
        voided(under_way, _NOW, VoidReason.OTHER)
    with pytest.raises(PaymentUnderWay):
        written_off(under_way, _NOW)
    assert voided(released(under_way), _NOW, VoidReason.OTHER).state is State.VOID
    assert not paid(under_way, _NOW, Money(2900, "USD")).charging
    with pytest.raises(InvoiceStateRefused):
        charged(_draft())


def test_a_written_off_invoice_can_still_be_paid_or_voided() -> None:
    given_up = written_off(opened(_draft(), _NOW), _NOW)
    assert (given_up.state, given_up.written_off_at) == (State.UNCOLLECTIBLE, _NOW)
    assert written_off(given_up, make.at("2026-03-01")) == given_up
    assert paid(given_up, _NOW, Money(2900, "USD")).state is State.PAID
    assert voided(given_up, _NOW, VoidReason.MISTAKE).state is State.VOID


def test_too_little_is_more_than_nothing_and_less_than_the_minimum() -> None:
    amounts = [0, 1, 49, 50]
    assert [too_little(opened(_draft(total), _NOW)) for total in amounts] == [False, True, True, False]


def test_credit_notes_have_numbers_of_their_own() -> None:
    assert number_text(Environment.LIVE, 2026, 3, series="CN-") == "CN-2026-000003"
    assert number_text(Environment.TEST, 2026, 3, series="CN-") == "TEST-CN-2026-000003"
