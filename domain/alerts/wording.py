"""How a mail says what an alert means: numbers, instants and advice as texts."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from domain.alerts.alert import Alert, AlertKind
from domain.alerts.email import AlertFacts, DigestFacts, ShownLine, TrialFacts
from domain.invoices.billdiff.diff import BillDiff
from domain.invoices.document import day_text
from domain.kernel.money import Money, exact_text
from domain.limits.status import LimitStatus, percent_of
from domain.plans.plan import Policy
from domain.subscriptions.subscription import TrialEnd

_CURRENCY_LETTERS = 3
_GRACE_OVER = "From now on whatever would pass the limit is refused."
_GRACE_AFTER = "After it whatever would pass the limit is refused."
_AT_LIMIT: dict[Policy, str] = {
    "hard": "Whatever would pass the limit is refused{0}.",
    "soft": "A little more is tolerated for a short time; then whatever would pass the limit is refused{0}.",
    "observe": "Nothing is refused; this is for your information.",
}


# What becomes of a trial, by its end (`domain.subscriptions.subscription.TrialEnd`).
_TRIAL_ENDS = {
    TrialEnd.BILL: "From then on it is billed. If you do not want that, cancel it before in your billing pages.",
    TrialEnd.CANCEL: "It then ends, since there is no payment method. Add one in your billing pages to go on.",
    TrialEnd.PAUSE: "It is then paused, since there is no payment method. Add one in your billing pages to go on.",
    TrialEnd.FALL_BACK: "You then go on with the free plan, since there is no payment method. Add one in your billing "
    "pages to keep what you have.",
}


def trial_facts(end: TrialEnd, *, merchant: str, name: str, plan: str, day: str) -> TrialFacts:
    """Return what the mail about the end of a trial says."""
    return TrialFacts(merchant=merchant, name=name, plan=plan, day=day, advice=_TRIAL_ENDS[end])


def compared_text(diff: BillDiff | None) -> str:
    """Say in one paragraph why an invoice differs from the one before it; nothing where there is none."""
    if diff is None:
        return ""
    parts = ", ".join(f"{part.cause} {_signed(part.amount)}" for part in diff.parts)
    said = f"Compared with invoice {diff.before.number}: {_signed(diff.difference)} {diff.after.currency}"
    text = f"{said} ({parts})." if parts else f"{said}."
    if not diff.credits.amount.minor:
        return text
    due = f"{_signed(diff.due_difference)} {diff.after.currency}"
    return f"{text} With credits ({_signed(diff.credits.amount)}), what is to be paid changes by {due}."


def _signed(amount: Money) -> str:
    return f"+{amount.major}" if amount.minor > 0 else amount.major


def alert_facts(alert: Alert, *, merchant: str, name: str, zone: str) -> AlertFacts:
    """Return what a mail about an alert says."""
    return AlertFacts(
        merchant=merchant,
        name=name,
        what=alert.description,
        step=str(alert.step),
        used=amount_text(alert.used, alert.unit),
        limit=amount_text(alert.limit, alert.unit),
        percent=percent_text(percent_of(alert.used, alert.limit)),
        due=instant_text(alert.due_at, zone) if alert.due_at else "",
        left=_left(alert.step),
        advice=_advice(alert, zone),
        upgrade=alert.upgrade or "",
    )


def digest_facts(statuses: Sequence[LimitStatus], *, merchant: str, name: str, day: str) -> DigestFacts:
    """Return what the weekly digest says: each limit, with what was used of it."""
    return DigestFacts(merchant, name, day, tuple(_digest_line(each) for each in statuses))


def _digest_line(status: LimitStatus) -> ShownLine:
    if status.limit is None:
        return ShownLine(status.description, f"{amount_text(status.used, status.unit)}, unlimited")
    share = f" ({percent_text(status.percent)})" if status.percent is not None else ""
    used, limit = number_text(status.used), amount_text(status.limit, status.unit)
    return ShownLine(status.description, f"{used} of {limit}{share}")


def _left(hours: int) -> str:
    return f"{hours} hours of tolerance left" if hours else "the tolerance is over"


def _advice(alert: Alert, zone: str) -> str:
    if alert.kind is AlertKind.FORECAST:
        return "At the present rate your plan does not last until the end of the period."
    if alert.kind is AlertKind.GRACE:
        is_over = alert.step == 0
        return _GRACE_OVER if is_over else f"Until then more is tolerated. {_GRACE_AFTER}"
    if alert.used < alert.limit:
        return "You can go on until the limit is reached."
    until = f" until {instant_text(alert.resets_at, zone)}" if alert.resets_at else ""
    return _AT_LIMIT[alert.policy].format(until)


def instant_text(at: datetime, zone: str) -> str:
    """Write an instant for people, in a zone: 28 Feb 2026, 09:30 UTC."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{day_text(at, zone)}, {local:%H:%M} {local.tzname()}"


def percent_text(percent: Decimal | None) -> str:
    """Write a percentage, cut to whole ones: 99.9 is not 100."""
    return "" if percent is None else f"{int(percent)}%"


def amount_text(amount: Decimal, unit: str) -> str:
    """Write an amount with its unit: 8,000 calls, 12.5 USD."""
    is_currency = len(unit) == _CURRENCY_LETTERS and unit.isupper()
    return f"{number_text(amount)} {unit if is_currency or amount == 1 else unit + 's'}"


def number_text(amount: Decimal) -> str:
    """Write a number with commas between thousands: 8,000."""
    whole, point, rest = exact_text(amount).partition(".")
    return f"{int(whole):,}{point}{rest}"
