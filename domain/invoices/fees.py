"""Fees: which fee periods have begun under the terms of a subscription, and the lines that each of them should have."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from domain.invoices import document
from domain.invoices.derivation import WantedLine
from domain.invoices.invoice import Identity, LineKind
from domain.invoices.proration import Basis, Part, Stage, Turn, prorate, share_left
from domain.invoices.rating import rounded, sold, stretch
from domain.kernel.money import exact_text, exponent
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.plans.charge import Charge
from domain.plans.plan import Catalogue, Price
from domain.plans.price import rate
from domain.subscriptions import schedule
from domain.subscriptions.subscription import Subscription
from domain.subscriptions.term import Term, runs_of, term_of

FEE_PERIODS_BACK_MAX = 36
# What tells the lines of one change apart; they share the stretch from the change to the end of the fee period.
CREDIT, CHARGE, QUANTITY = "credit", "charge", "quantity"


@dataclass(frozen=True, slots=True)
class FeePeriod:
    """A fee period that has begun. `service` is the part of `whole` that is billed: all but for a short first or last.

    `terms` are the one in force at its start and those that start inside of it; the last may belong to another grid.
    """

    service: Period
    whole: Period
    terms: tuple[Term, ...]


def fee_periods_begun(subscription: Subscription, terms: Sequence[Term], now: datetime) -> tuple[FeePeriod, ...]:
    """Return the fee periods that have begun by `now`, oldest first, about the last FEE_PERIODS_BACK_MAX.

    A fee is due at the first instant of its period, and not for a period that starts where the subscription ends. A
    period whose end was known when it began is billed up to that. Without `terms` it has been what it is since its
    start. A bound that would part two periods which overlap at a change of interval lets both in.
    """
    known = terms or (term_of(subscription, subscription.started_at),)
    found = list[FeePeriod]()
    runs = list(runs_of(known))
    for number, run in enumerate(runs):
        following = runs[number + 1][0] if number + 1 < len(runs) else None
        begun = [each for each in run if each.starts_at <= now]
        if begun and run[0].billed:
            found += _of_run(subscription, begun, following, now)
    first = max(len(found) - FEE_PERIODS_BACK_MAX, 0)
    while first and found[first - 1].service.end > found[first].service.start:
        first -= 1
    return tuple(found[first:])


def _of_run(subscription: Subscription, run: Sequence[Term], following: Term | None, now: datetime) -> list[FeePeriod]:
    """Return the fee periods of terms on one grid, at most the last FEE_PERIODS_BACK_MAX."""
    anchor, zone, interval, _ = run[0].grid
    until = min(now, following.starts_at) if following else now
    first = schedule.period_number(anchor, zone, interval, run[0].starts_at)
    last = schedule.period_number(anchor, zone, interval, until)
    found = []
    for number in range(max(first, last - FEE_PERIODS_BACK_MAX + 1), last + 1):
        whole = schedule.period(anchor, zone, interval, number)
        start = max(whole.start, run[0].starts_at)
        is_left = following is not None and start >= following.starts_at
        if start <= now and not is_left and not _has_ended(subscription, start):
            service = Period(start, _end(subscription, start, whole, following))
            terms = [*run, following] if following and following.starts_at <= now else run
            found.append(FeePeriod(service, whole, _within(terms, service)))
    return found


def _has_ended(subscription: Subscription, at: datetime) -> bool:
    return subscription.ends_at is not None and at >= subscription.ends_at


def _end(subscription: Subscription, start: datetime, whole: Period, following: Term | None) -> datetime:
    """Return where what is billed of a period ends: an end or a bill day asked for before the period began is known."""
    ends, canceled_at, ends_at = [whole.end], subscription.canceled_at, subscription.ends_at
    # An end or a bill day that is asked for where a period begins finds it billed already.
    if canceled_at is not None and ends_at is not None and canceled_at < start:
        ends.append(max(ends_at, subscription.paid_until or ends_at))
    known_at, moves_at = subscription.moves_asked_at, subscription.moves_at
    if following is not None:
        known_at, moves_at = following.known_at, following.starts_at
    if known_at is not None and moves_at is not None and known_at < start:
        ends.append(moves_at)
    return min(ends)


def _within(terms: Sequence[Term], service: Period) -> tuple[Term, ...]:
    """Return the term in force at the start of a period and those that start inside of it."""
    earlier = [each for each in terms if each.starts_at <= service.start]
    return (earlier[-1], *(each for each in terms if service.start < each.starts_at < service.end))


@dataclass(frozen=True, slots=True)
class _Sale:
    """One term's fee for a whole fee period."""

    term: Term
    price: Price
    charge: Charge


def fee_lines(subscription: Subscription, fee: FeePeriod, catalogue: Catalogue) -> list[WantedLine]:
    """Return the lines of one fee period: its fee in advance, then what each change inside of it takes back and adds.

    Raises PriceNotFound where a version is not sold that way.
    """
    moves = _moves(subscription, fee, catalogue)
    in_minor = Fraction(10) ** exponent(subscription.currency)
    stages = [Stage(turn, sale.charge.amount * in_minor, left) for turn, sale, left in moves]
    lines = list[WantedLine]()
    for number, billed in enumerate(prorate(stages)):
        turn, sale, left = moves[number]
        frame = _Frame(subscription, fee, catalogue, turn, sale, moves[number - 1][1] if number else None, left)
        if billed.credit is not None:
            lines.append(_credit(frame, billed.credit))
        if billed.charge is not None:
            lines.append(_charge(frame, billed.charge))
    return lines


def _moves(subscription: Subscription, fee: FeePeriod, catalogue: Catalogue) -> list[tuple[Turn, _Sale, Fraction]]:
    """Return how each term begins, what it costs and the share left then; terms that change no fee are left out."""
    found = list[tuple[Turn, _Sale, Fraction]]()
    for term in fee.terms:
        before = found[-1][1] if found else None
        turn = _turn(before.term, term, fee) if before else Turn.START
        if turn is not None:
            sale = before if before and turn is Turn.LEAVE else _sale(subscription, term, catalogue)
            at = max(term.starts_at, fee.service.start)
            left = share_left(at, fee.service.end, fee.whole, fee.terms[0].zone, _basis(fee, catalogue))
            found.append((turn, _Sale(term, sale.price, sale.charge), left))
    return found


def _turn(before: Term, after: Term, fee: FeePeriod) -> Turn | None:
    if after.grid != fee.terms[0].grid:
        return Turn.LEAVE
    if after.sold != before.sold:
        return Turn.PRICE
    return Turn.QUANTITY if after.quantity != before.quantity else None


def _basis(fee: FeePeriod, catalogue: Catalogue) -> Basis:
    """Return what the shares of a fee period are counted in: the version in force at its start decides for all."""
    return Basis(catalogue.version(fee.terms[0].plan_version_id).proration)


def _sale(subscription: Subscription, term: Term, catalogue: Catalogue) -> _Sale:
    price = catalogue.fee_price(term.plan_version_id, term.interval, subscription.currency)
    return _Sale(term, price, rate(price, Decimal(term.quantity)))


@dataclass(frozen=True, slots=True)
class _Frame:
    """What the lines of one stage share. `before` is what was in force until then."""

    subscription: Subscription
    fee: FeePeriod
    catalogue: Catalogue
    turn: Turn
    sale: _Sale
    before: _Sale | None
    left: Fraction

    @property
    def rest(self) -> Period:
        """The stretch from the stage's begin to the end of what is billed of the period."""
        return Period(max(self.sale.term.starts_at, self.fee.service.start), self.fee.service.end)


def _credit(frame: _Frame, part: Part) -> WantedLine:
    assert frame.before is not None, "only a change takes something back"
    quantity = Decimal(-frame.before.term.quantity)
    return _line(frame, frame.before, part, quantity, CREDIT)


def _charge(frame: _Frame, part: Part) -> WantedLine:
    quantity = Decimal(frame.sale.term.quantity)
    if frame.turn is Turn.START:
        return _line(frame, frame.sale, part, quantity, "")
    if frame.turn is Turn.QUANTITY and frame.before is not None:
        return _line(frame, frame.sale, part, quantity - frame.before.term.quantity, QUANTITY)
    return _line(frame, frame.sale, part, quantity, CHARGE)


def _line(frame: _Frame, sale: _Sale, part: Part, quantity: Decimal, what: str) -> WantedLine:
    subscription, currency = frame.subscription, frame.subscription.currency
    kind = LineKind.PRORATION if what else LineKind.FEE
    amount = rounded(part.exact / 10 ** exponent(currency), currency) | {"amount_minor": part.minor}
    return WantedLine(
        identity=Identity(kind, subscription.id, sale.price.id, None, frame.rest, what),
        description=_description(frame, sale, what),
        quantity=quantity,
        unit=sale.term.interval,
        amount_minor=part.minor,
        derivation={
            **sale.charge.derivation,
            **sold(sale.price, frame.catalogue),
            **amount,
            "unit": str(sale.term.interval),
            "share_of_time": exact_text(frame.left),
            "period": stretch(frame.fee.whole),
            **_said(frame, what),
        },
    )


def _said(frame: _Frame, what: str) -> dict[str, Any]:
    """Say what a line has beyond a whole fee."""
    said: dict[str, Any] = {"proration": what} if what else {}
    if what == QUANTITY and frame.before is not None:
        said |= {"quantity_before": str(frame.before.term.quantity), "quantity": str(frame.sale.term.quantity)}
    if _basis(frame.fee, frame.catalogue) is Basis.DAY:
        said["basis"] = str(Basis.DAY)
    return said


def _description(frame: _Frame, sale: _Sale, what: str) -> str:
    plan = frame.catalogue.plan_of_version(sale.term.plan_version_id)
    product = frame.catalogue.product_by_id(frame.subscription.product_id)
    fee = document.describe_fee(product.name, plan.name, sale.term.interval, frame.rest, frame.fee.terms[0].zone)
    if what == CREDIT:
        return document.describe_unused(fee)
    if what == QUANTITY and frame.before is not None:
        return document.describe_quantity(fee, frame.before.term.quantity, sale.term.quantity)
    return fee
