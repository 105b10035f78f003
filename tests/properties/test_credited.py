"""Any changes of a fee under coupons that come and go: what a credit gives back is what was billed for its time."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from domain.credits.discounting import DiscountableLine, discounted
from domain.invoices import derivation
from domain.invoices.credited import Credited, credited, is_credit, is_unused_fee
from domain.invoices.derivation import NewLine
from domain.invoices.fees import fee_lines, fee_periods_begun
from domain.invoices.invoice import Invoice, Line
from domain.kernel.ids import CustomerId, InvoiceId, LineId
from domain.kernel.money import Money
from domain.subscriptions.term import term_of, with_term
from tests import make
from tests.domain.credits.examples import right
from tests.domain.invoices import examples
from tests.domain.invoices.test_fees import TEAM, two_plans
from tests.domain.invoices.test_verification import invoice

_CATALOGUE = two_plans()
# The minute of a change, the plan and the quantity that it leads to, and the per cent that a coupon then takes off.
_CHANGES = st.lists(
    st.tuples(
        st.integers(1, 31 * 24 * 60 - 1),
        st.sampled_from((examples.VERSION, TEAM)),
        st.integers(1, 4),
        st.sampled_from((0, 0, 25, 50, 100)),
    ),
    min_size=1,
    max_size=6,
)


@given(st.sampled_from((0, 30, 100)), _CHANGES)
def test_a_credit_gives_back_what_was_billed_for_the_same_time_after_coupons(
    first: int, changes: list[tuple[int, object, int, int]]
) -> None:
    """Each change is invoiced at once, under the coupon of its moment."""
    subscription = examples.subscription("2026-01-01")
    terms, issued = [term_of(subscription, subscription.started_at)], list[Line]()
    steps = [(0, examples.VERSION, 1, first), *sorted(changes, key=lambda each: each[0])]
    for minute, version, quantity, percent in steps:
        now = subscription.started_at + timedelta(minutes=minute)
        became = replace(terms[-1], starts_at=now, plan_version_id=version, quantity=quantity)  # type: ignore[arg-type]  # an id
        terms = with_term(terms, became) if minute else terms
        begun = fee_periods_begun(subscription, terms, now)
        wanted = [line for fee in begun for line in fee_lines(subscription, fee, _CATALOGUE)]
        draft = replace(invoice(), id=InvoiceId(make.new_id()))
        drafted = [_drafted(line, draft) for line in derivation.changes(wanted, issued, ()).add]
        reduced = _reduced(drafted, issued, draft, percent)
        for line in reduced:
            if is_unused_fee(line):
                _check(line, [*issued, *(each for each in reduced if each.revision)])
        issued += reduced


def _check(credit: Line, issued: list[Line]) -> None:
    """Compare what goes back in all with what was billed before for the time that is left, but for their roundings."""
    own = credit.identity
    fee = [
        line
        for line in issued
        if (line.identity.price_id, line.period.end) == (own.price_id, own.period.end) and line.identity != own
    ]
    rest = [Fraction(_seconds(credit), _seconds(line)) for line in fee]
    gross = sum((line.amount.minor * share for line, share in zip(fee, rest, strict=True)), Fraction(0))
    net = sum((line.taxable.minor * share for line, share in zip(fee, rest, strict=True)), Fraction(0))
    # The same share of what was billed goes back as of what it was before coupons.
    back = net * -credit.amount.minor / gross if gross else Fraction(0)
    assert abs(-credit.taxable.minor - back) <= len(fee) + 1


def _seconds(line: Line) -> int:
    return int(line.period.length.total_seconds())


def _reduced(lines: list[Line], issued: list[Line], draft: Invoice, percent: int) -> list[Line]:
    rights = [right(percent_off=Decimal(percent))] if percent else []
    given = [credited(line, [*issued, *lines], draft) if is_credit(line) else Credited() for line in lines]
    plain = [
        DiscountableLine(line.amount.minor, None, None, None, lowers=each.lowers, follows=each.before)
        for line, each in zip(lines, given, strict=True)
    ]
    found = discounted(plain, rights, "USD").by_line
    return [replace(line, discounts=own) for line, own in zip(lines, found, strict=True)]


def _drafted(new: NewLine, draft: Invoice) -> Line:
    return Line(
        id=LineId(make.new_id()),
        invoice_id=draft.id,
        customer_id=CustomerId(make.new_id()),
        identity=new.identity,
        revision=new.revision,
        description=new.description,
        quantity=new.quantity,
        unit=new.unit,
        amount=Money(new.amount_minor, "USD"),
        tax=Money(0, "USD"),
        derivation=new.derivation,
    )
