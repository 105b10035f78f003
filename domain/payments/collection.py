"""What to do next to collect an invoice: a decision from rows, the same after a crash as before it."""

from collections.abc import Sequence
from enum import StrEnum

from domain.payments.attempt import LIVE, UNRESOLVED, Attempt, AttemptState
from domain.payments.method import PaymentMethod, method_to_charge
from domain.payments.push import Push, PushState


class Step(StrEnum):
    """The next step of collecting an invoice."""

    NOTHING = "nothing"  # closed, or the customer was asked and has not answered
    WAIT = "wait"  # a payment is on its way, or waits for the customer
    NO_METHOD = "no_method"  # open, and nothing to charge
    PUSH = "push"  # make or finish the gateway's copy
    PAY = "pay"  # begin an attempt
    RECOVER = "recover"  # an attempt was sent and nothing certain is known
    WITHDRAW = "withdraw"  # an attempt was ordered, and there is nothing to charge or nothing to charge it to
    SUPERSEDE = "supersede"  # an attempt waits for the customer, who has given another method since


def next_step(
    *, is_open: bool, push: Push | None, last: Attempt | None, methods: Sequence[PaymentMethod]
) -> tuple[Step, PaymentMethod | None]:
    """Decide, and name the method that the step is about.

    `last` is the newest attempt, `methods` the attached ones. A live attempt always comes first: a second one is never
    begun beside it.
    """
    if last is not None and last.state in UNRESOLVED:
        return Step.RECOVER, None
    if last is not None and last.state is AttemptState.PLANNED:
        return _ordered(last, push, methods, is_open=is_open)
    if not is_open:
        return Step.NOTHING, None
    method = method_to_charge(methods, last)
    if last is not None and last.state in LIVE:
        takes_over = last.state is AttemptState.ACTION_REQUIRED and method is not None
        return (Step.SUPERSEDE, method) if takes_over else (Step.WAIT, None)
    if method is None:
        return (Step.NO_METHOD if last is None else Step.NOTHING), None
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
