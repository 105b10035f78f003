"""How a mail says what an alert means: numbers, instants and advice as texts of its customer's language."""

from collections.abc import Mapping, Sequence

from domain.alerts.alert import Alert, AlertKind
from domain.alerts.email import AlertFacts, DigestFacts, ShownLine, TrialFacts
from domain.alerts.language import BYTE, ENGLISH, amount_of, instant_of, money_number, money_of, number_of, percent_text
from domain.alerts.words import CAUSES, WORDS
from domain.invoices.billdiff.diff import BillDiff
from domain.invoices.invoice import Invoice
from domain.kernel.money import Money
from domain.limits.status import LimitStatus, percent_of
from domain.subscriptions.subscription import TrialEnd


def trial_facts(end: TrialEnd, *, merchant: str, name: str, plan: str, day: str, language: str = ENGLISH) -> TrialFacts:
    """Return what the mail about the end of a trial says."""
    advice = WORDS[language][end]
    return TrialFacts(merchant=merchant, name=name, plan=plan, day=day, advice=advice, language=language)


def compared_text(diff: BillDiff | None, language: str = ENGLISH) -> str:
    """Say in one paragraph why an invoice differs from the one before it; nothing where there is none."""
    if diff is None:
        return ""
    words, causes = WORDS[language], CAUSES[language]
    parts = ", ".join(f"{causes[part.cause]} {_signed(part.amount, language)}" for part in diff.parts)
    said = words["compared"].format(diff.before.number, _signed(diff.difference, language), diff.after.currency)
    text = f"{said} ({parts})." if parts else f"{said}."
    if not diff.credits.amount.minor:
        return text
    due = f"{_signed(diff.due_difference, language)} {diff.after.currency}"
    return f"{text} {words['credited'].format(_signed(diff.credits.amount, language), due)}"


def tax_lines(invoice: Invoice, language: str = ENGLISH) -> tuple[ShownLine, ...]:
    """Return what stands between the net lines of an invoice and its total: its tax, unless there is none."""
    words = WORDS[language]
    return (ShownLine(words["tax"], money_of(invoice.tax, language)),) if invoice.tax.minor else ()


def settled_lines(invoice: Invoice, language: str = ENGLISH) -> tuple[ShownLine, ...]:
    """Return what stands behind the total: what was taken off it before anybody paid, and what is left to be paid."""
    words = WORDS[language]
    parts = [
        ShownLine(words[word], money_of(-amount, language))
        for word, amount in (("applied", invoice.applied), ("offset", invoice.offset))
        if amount.minor
    ]
    return (*parts, ShownLine(words["due"], money_of(invoice.collectable, language))) if parts else ()


def _signed(amount: Money, language: str) -> str:
    text = money_number(amount, language)
    return f"+{text}" if amount.minor > 0 else text


def alert_facts(
    alert: Alert, *, merchant: str, name: str, zone: str, upgrade: str = "", language: str = ENGLISH
) -> AlertFacts:
    """Return what a mail about an alert says; `upgrade` is the name of the plan that it proposes, if any."""
    words = WORDS[language]
    return AlertFacts(
        merchant=merchant,
        name=name,
        what=alert.description,
        step=str(alert.step),
        used=amount_of(alert.used, alert.unit, language),
        limit=amount_of(alert.limit, alert.unit, language),
        percent=percent_text(percent_of(alert.used, alert.limit), language),
        due=instant_of(alert.due_at, zone, language) if alert.due_at else "",
        left=words["left"].format(alert.step) if alert.step else words["left_over"],
        advice=_advice(alert, zone, language, words),
        upgrade=upgrade,
        language=language,
    )


def digest_facts(
    statuses: Sequence[LimitStatus], *, merchant: str, name: str, day: str, language: str = ENGLISH
) -> DigestFacts:
    """Return what the weekly digest says: each limit, with what was used of it."""
    lines = tuple(_digest_line(each, language, WORDS[language]) for each in statuses)
    return DigestFacts(merchant, name, day, lines, language)


def _digest_line(status: LimitStatus, language: str, words: Mapping[str, str]) -> ShownLine:
    if status.limit is None:
        used = amount_of(status.used, status.unit, language)
        return ShownLine(status.description, words["unlimited"].format(used))
    share = f" ({percent_text(status.percent, language)})" if status.percent is not None else ""
    limit = amount_of(status.limit, status.unit, language)
    # Both sides of bytes may be of other sizes: 800 MB of 1 GB.
    used = amount_of(status.used, status.unit, language) if status.unit == BYTE else number_of(status.used, language)
    return ShownLine(status.description, words["of"].format(used, limit, share))


def _advice(alert: Alert, zone: str, language: str, words: Mapping[str, str]) -> str:
    if alert.kind is AlertKind.FORECAST:
        return words["forecast"]
    if alert.kind is AlertKind.GRACE:
        return words["grace" if alert.step else "grace_over"]
    if alert.used < alert.limit:
        return words["go_on"]
    until = words["until"].format(instant_of(alert.resets_at, zone, language)) if alert.resets_at else ""
    return words[alert.policy].format(until)
