"""What to do next to collect an invoice: a decision from rows, the same after a crash as before it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from domain.invoices.invoice import Invoice, State
from domain.kernel.money import Money
from domain.payments.attempt import LIVE, UNRESOLVED, Attempt, AttemptState, is_lost, is_received
from domain.payments.method import PaymentMethod, method_to_charge
from domain.payments.port import GatewayInvoice, GatewayInvoiceState
from domain.payments.push import Push, PushState
from domain.payments.unapplied.payment import takes_money


class Step(StrEnum):
    """The next step of collecting an invoice."""

    NOTHING = "nothing"  # closed, or the customer was asked and has not answered
    WAIT = "wait"  # a payment is on its way, or waits for the customer
    NO_METHOD = "no_method"  # due, and nothing to charge: its customer is asked for a method, or pays the copy
    PUSH = "push"  # make or finish the gateway's copy
    PAY = "pay"  # begin an attempt
    RECOVER = "recover"  # an attempt was sent and nothing certain is known
    WITHDRAW = "withdraw"  # an attempt was ordered, and there is nothing to charge or nothing to charge it to
    CREDIT = "credit"  # take off the copy what credit notes took off ours
    CLOSE = "close"  # end the copy of what is not to be collected any more
    SUPERSEDE = "supersede"  # an attempt waits for the customer, who has given another method since


def next_step(
    *,
    is_open: bool,
    push: Push | None,
    last: Attempt | None,
    methods: Sequence[PaymentMethod],
    charged: Attempt | None = None,
    offset_minor: int = 0,
    is_given_up: bool = False,
    is_due: bool = True,
    is_sent: bool = False,
    is_over: bool = False,
) -> tuple[Step, PaymentMethod | None]:
    """Decide, and name the method that the step is about.

    `last` is the newest attempt, `charged` the newest one that charged a method, where that is another; `methods` are
    the attached ones; `offset_minor` is what credit notes took off the invoice,
    `is_given_up` says that it is void or written off, or was paid another way: the copy is to be closed. A live attempt
    always comes first: a second one is never begun beside it. Before an invoice is due (`is_due`) nobody is charged who
    has not ordered it, and for one that is sent to its customer (`is_sent`) never: its copy is made, and money comes by
    itself. Nor for one that asks for what has ended (`is_over`), whatever method is given: its customer may pay it.
    """
    if last is not None and last.state in UNRESOLVED:
        return Step.RECOVER, None
    if push is not None and push.state is PushState.PUSHED and push.credited_minor < offset_minor:
        return Step.CREDIT, None
    if last is not None and last.state is AttemptState.PLANNED:
        return _ordered(last, push, methods, is_open=is_open)
    if not is_open:
        return (Step.CLOSE if _is_left_open(push, is_given_up=is_given_up) else Step.NOTHING), None
    if is_sent:
        is_live = last is not None and last.state in LIVE
        return (Step.WAIT if is_live else Step.PUSH if _charge(push) is Step.PUSH else Step.NOTHING), None
    method = None if is_over else method_to_charge(methods, charged or last)
    return _collect(push, last, method, is_due=is_due)


def _collect(
    push: Push | None, last: Attempt | None, method: PaymentMethod | None, *, is_due: bool
) -> tuple[Step, PaymentMethod | None]:
    if last is not None and last.state in LIVE:
        takes_over = last.state is AttemptState.ACTION_REQUIRED and method is not None
        return (Step.SUPERSEDE, method) if takes_over else (Step.WAIT, None)
    if not is_due:
        return Step.NOTHING, None
    if method is None:
        # After a try its failure is followed; where none was made, or none left a trace, nothing else tells of it. What
        # is asked for again, as a bank took its money back, has a copy to be made, on which it can be paid.
        is_untold = last is None or is_lost(last) or last.state is AttemptState.SUCCEEDED or _is_unmade(push)
        return (Step.NO_METHOD if is_untold else Step.NOTHING), None
    return _charge(push), method


def _ordered(
    last: Attempt, push: Push | None, methods: Sequence[PaymentMethod], *, is_open: bool
) -> tuple[Step, PaymentMethod | None]:
    """Carry an ordered attempt out on the method that it names, as long as that is attached and something is owed."""
    method = next((each for each in methods if each.id == last.method_id), None)
    if not is_open or method is None:
        return Step.WITHDRAW, None
    return _charge(push), method


def _charge(push: Push | None) -> Step:
    return Step.PAY if push is not None and push.state is PushState.PUSHED else Step.PUSH


def _is_unmade(push: Push | None) -> bool:
    """Whether a copy was written down, and is not open at the gateway yet."""
    return push is not None and push.state in {PushState.WAITING, PushState.PUSHING}


def _is_left_open(push: Push | None, *, is_given_up: bool) -> bool:
    """Whether the gateway has a copy, whole or begun, of an invoice that it is not to collect any more."""
    if push is None:
        return False
    return push.state is PushState.PUSHING or (is_given_up and push.state is PushState.PUSHED)


def step_of(
    invoice: Invoice,
    push: Push | None,
    attempts: Sequence[Attempt],
    methods: Sequence[PaymentMethod],
    now: datetime,
    *,
    is_over: bool,
) -> tuple[Step, PaymentMethod | None]:
    """Decide the next step for an invoice as it is at business time `now`, by its attempts, the newest first."""
    last = attempts[0] if attempts else None
    return next_step(
        is_open=invoice.state is State.OPEN,
        push=push,
        last=last,
        methods=methods,
        charged=next((each for each in attempts if each.method_id is not None), None),
        offset_minor=invoice.offset_minor,
        is_given_up=invoice.state in {State.VOID, State.UNCOLLECTIBLE} or _was_received(last),
        is_due=invoice.due_at is None or invoice.due_at <= now,
        is_sent=invoice.is_sent,
        is_over=is_over,
    )


def is_early(invoice: Invoice, now: datetime) -> bool:
    """Whether an invoice that was sent is not due yet: what fails before is its customer's own try, and no debt."""
    return invoice.is_sent and invoice.due_at is not None and now < invoice.due_at


def _was_received(last: Attempt | None) -> bool:
    return last is not None and last.state is AttemptState.SUCCEEDED and is_received(last)


def is_news_of_money(invoice: Invoice, last: Attempt | None, seen: GatewayInvoice) -> bool:
    """Whether a copy was paid without an attempt of ours. One that credit notes settled is paid without money.

    What an earlier attempt brought is none, unless the invoice is open again: then it is gone, and the copy another.
    Where staff have recorded money that came another way, the copy is closed without any: what it shows all the same
    is paid beside it.
    """
    if seen.state is not GatewayInvoiceState.PAID:
        return False
    if invoice.state is not State.OPEN and last is not None and last.state is AttemptState.SUCCEEDED:
        return is_received(last) and seen.paid_minor > 0
    return invoice.outstanding.minor > 0 or seen.paid_minor > 0


def external(attempt: Attempt, invoice: Invoice, seen: GatewayInvoice) -> Attempt:
    """Give an attempt that stands for money from elsewhere its amount, where nothing was to be collected any more."""
    if seen.paid_minor and not takes_money(invoice):
        return replace(attempt, amount=Money(seen.paid_minor, attempt.amount.currency))
    return attempt
