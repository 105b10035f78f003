"""The gateway's copy of an invoice, without a gateway."""

import dataclasses
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.credits.discount import Discount
from domain.customers.customer import CollectionMethod
from domain.invoices.credit_note import CreditKind, CreditNote, CreditReason
from domain.invoices.invoice import Identity, Line, LineKind
from domain.kernel.call import Environment
from domain.kernel.ids import CreditNoteId, InvoiceId, LineId, SubscriptionId, encode
from domain.kernel.money import Money
from domain.kernel.period import Period
from domain.payments.port import GatewayInvoice, GatewayInvoiceState, PushedLine
from domain.payments.push import (
    PushState,
    batches,
    begin,
    begin_again,
    begin_anew,
    differences,
    fitted,
    is_stale,
    key,
    notes_since,
    number_of,
    pay_key,
    pushed_invoice,
)
from tests import make
from tests.domain.payments.examples import CUSTOMER, INVOICE, NOON, invoice, push

_NAME = encode("invoice", INVOICE)
_LATER = NOON + timedelta(hours=23)
_OURS = invoice()
# 29.00 net and 5.51 tax (19 %) are 34.51.
_THEIRS = GatewayInvoice(
    "in_1", GatewayInvoiceState.OPEN, "USD", 3451, 551, 3451, None, "cus_1", CUSTOMER, InvoiceId(INVOICE)
)


def test_keys_are_the_same_after_a_crash_and_others_for_another_copy() -> None:
    first = push(PushState.PUSHING)
    assert key(Environment.TEST, first, "lines:0") == f"test:inv:{_NAME}:1:lines:0"
    assert key(Environment.LIVE, begin_anew(first, NOON), "create") == f"live:inv:{_NAME}:2:create"
    assert pay_key(Environment.TEST, InvoiceId(INVOICE), 3) == f"test:pay:{_NAME}:3"


def test_the_age_of_keys_counts_from_the_first_write() -> None:
    waiting = push(PushState.WAITING)
    begun = begin(waiting, _LATER)
    assert (begun.state, begun.keyed_at) == (PushState.PUSHING, _LATER)
    assert begin(begun, _LATER + timedelta(hours=1)) == begun
    assert not is_stale(waiting, _LATER)
    assert is_stale(push(PushState.PUSHING), _LATER)
    assert not is_stale(push(PushState.PUSHING), _LATER - timedelta(microseconds=1))
    assert not is_stale(push(PushState.PUSHED), _LATER)


def test_lines_of_zero_are_not_sent_and_long_texts_are_cut() -> None:
    lines = fitted([PushedLine("nothing", 0), PushedLine("x" * 500, 5), PushedLine("", 7)])
    assert [(len(line.description), line.amount_minor) for line in lines] == [(300, 5), (5, 7)]


def test_250_lines_are_sent_as_they_are() -> None:
    lines = [PushedLine(f"line {number}", number + 1) for number in range(250)]
    assert fitted(lines) == tuple(lines)
    assert [len(batch) for batch in batches(lines)] == [100, 100, 50]


def test_more_than_250_lines_keep_their_total_in_two_more() -> None:
    # 300 charges of 1.00 with 0.10 tax and 10 credits of 0.50: 300.00 - 5.00 = 295.00, and 30.00 tax.
    lines = [PushedLine("charge", 100, 10)] * 300 + [PushedLine("credit", -50)] * 10
    sent = fitted(lines)
    assert len(sent) == 250
    assert sum(line.amount_minor for line in sent) == 29_500
    assert sum(line.tax_minor for line in sent) == 3_000
    # 248 are kept; of the other 62, 52 are charges (52.00) and 10 are credits (-5.00).
    assert [(line.description, line.amount_minor, line.tax_minor) for line in sent[248:]] == [
        ("52 more charges, see the invoice", 5_200, 520),
        ("10 more credits, see the invoice", -500, 0),
    ]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({}, []),
        ({"currency": "EUR"}, ["currency"]),
        ({"total_minor": 3450}, ["total"]),
        ({"tax_minor": 550}, ["tax"]),
        ({"remaining_minor": 0}, ["remaining"]),
        ({"state": GatewayInvoiceState.VOID}, ["state"]),
    ],
)
def test_a_copy_that_differs_is_told_apart(changed: dict[str, object], named: list[str]) -> None:
    seen = dataclasses.replace(_THEIRS, **changed)  # type: ignore[arg-type]
    copy = push(PushState.PUSHED)
    assert differences(_OURS, copy, seen, before_pay=True) == named
    assert differences(_OURS, copy, seen) == [name for name in named if name not in {"remaining", "state"}]


def test_the_copy_has_lines_after_discounts_so_that_its_total_is_ours() -> None:
    period = Period(NOON, NOON + timedelta(days=31))
    identity = Identity(LineKind.FEE, SubscriptionId(make.new_id()), None, None, period)
    welcome = Discount("app_1", "welcome", "Welcome", Money(900, "USD"))
    line = Line(
        LineId(make.new_id()),
        _OURS.id,
        CUSTOMER,
        identity,
        0,
        "Fee",
        Decimal(1),
        "month",
        Money(3800, "USD"),
        Money(551, "USD"),
        {},
        (welcome,),
    )
    ours = dataclasses.replace(_OURS, subtotal=Money(3800, "USD"), discount=Money(900, "USD"))
    sent = pushed_invoice(ours, [line], "cus_1")
    assert sent.lines == (PushedLine("Fee", 2900, 551, period),)
    assert sent.total_minor == 2900 + 551


def test_an_invoice_that_is_asked_for_again_gets_another_copy_under_another_number() -> None:
    # 34.51 were collectable; credit notes took off 4.51, 20.00 of the 30.00 that were paid are still here.
    again = dataclasses.replace(_OURS, offset_minor=451, kept_minor=2_000, reopened=1)
    before = dataclasses.replace(push(PushState.PUSHED), credited_minor=451, sealed_page=b"sealed")
    copy = begin_again(before, again, _LATER)
    assert (copy.number, copy.state, copy.gateway_invoice_id, copy.sealed_page) == (2, PushState.WAITING, None, None)
    assert (copy.credited_minor, copy.settled_minor, copy.keyed_at) == (451, 2_451, _LATER)
    assert key(Environment.TEST, copy, "create") == f"test:inv:{_NAME}:2:create"
    assert [number_of(each) for each in (_OURS, again)] == ["TEST-2026-000001", "TEST-2026-000001-R1"]
    sent = pushed_invoice(again, [], "cus_1", settled_minor=copy.settled_minor)
    # 34.51 - 4.51 - 20.00.
    assert (sent.number, sent.total_minor) == ("TEST-2026-000001-R1", 1_000)
    assert sent.lines == (PushedLine("Already settled", -2_451),)
    seen = dataclasses.replace(_THEIRS, total_minor=1_000, remaining_minor=1_000)
    assert differences(again, copy, seen, before_pay=True) == []
    assert differences(again, before, seen, before_pay=True) == ["total"]


def test_only_notes_of_after_its_beginning_are_taken_off_another_copy() -> None:
    old, older, new = (_note(minor) for minor in (151, 300, 200))
    copy = dataclasses.replace(push(PushState.PUSHED), credited_before_minor=451)
    assert notes_since(copy, [old, _note(0), older, new]) == [new]
    assert notes_since(push(PushState.PUSHED), [old, _note(0), new]) == [old, new]


def _note(offset_minor: int) -> CreditNote:
    nothing = Money(0, "USD")
    return CreditNote(
        customer_id=CUSTOMER,
        id=CreditNoteId(make.new_id()),
        invoice_id=_OURS.id,
        environment=Environment.TEST,
        currency="USD",
        number="TEST-CN-2026-000001",
        kind=CreditKind.OFFSET,
        reason=CreditReason.GOODWILL,
        issued_at=NOON,
        subtotal=Money(offset_minor, "USD"),
        discount=nothing,
        tax=nothing,
        tax_included_minor=0,
        offset_minor=offset_minor,
        credit_minor=0,
        refund_minor=0,
        wallet_minor=0,
    )


def test_the_copy_of_a_sent_invoice_has_its_terms_and_no_instant() -> None:
    assert pushed_invoice(_OURS, [], "cus_1").days_until_due is None
    sent = dataclasses.replace(_OURS, collection=CollectionMethod.SEND, due_at=NOON + timedelta(days=30))
    assert pushed_invoice(sent, [], "cus_1").days_until_due == 30
