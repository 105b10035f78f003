"""Every mail with example data, as files to look at: no database, and nothing is sent."""

import html
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from domain.alerts.blocking import blocked_facts
from domain.alerts.email import AlertFacts, AnyFacts, Facts, ReminderFacts, ShownLine, render
from domain.alerts.expiry import expiry_facts
from domain.alerts.language import (
    ENGLISH,
    GERMAN,
    LANGUAGES,
    amount_of,
    day_of,
    instant_of,
    money_of,
    percent_text,
)
from domain.alerts.low_balance import low_balance_facts
from domain.alerts.notice import OF_METHOD, OWED, Content, Notice
from domain.alerts.reminder import Owed, reminder_facts
from domain.alerts.wording import digest_facts, trial_facts
from domain.alerts.words import WORDS
from domain.kernel.money import Money
from domain.limits.status import LimitState, LimitStatus
from domain.subscriptions.subscription import TrialEnd

NAMES = [notice.value for notice in Notice]
_MERCHANT, _NAME, _RECIPIENT = "Example Ltd", "Ada Lovelace", "ada@example.com"
_ZONE = "Europe/Berlin"
_FEBRUARY = datetime(2026, 2, 28, 9, 30, tzinfo=UTC)
_LINES = (
    ("Pro, 31 Jan to 28 Feb 2026", Money(7_900, "USD")),
    ("Tokens, 18,059,974 at list price", Money(2_503, "USD")),
)
# 79.00 and 25.03.
_TOTAL = Money(10_403, "USD")
_METHODS = {ENGLISH: "Visa ending in 4242", GERMAN: "Visa mit den Endziffern 4242"}


_STATUSES = (
    LimitStatus(
        "calls", "Calls a month", "hard", Decimal(5_000), Decimal(800), Decimal(16), LimitState.OK, "call", None
    ),
    LimitStatus("modules", "Modules", "observe", None, Decimal(3), None, LimitState.OK, "module", None),
)
_OF_SENT = frozenset(
    (Notice.INVOICE_SENT, Notice.INVOICE_DUE_SOON, Notice.INVOICE_OVERDUE, Notice.INVOICE_STILL_OVERDUE)
)


# By then nothing more than the free plan allows can be used.
_GRACE_OVER = frozenset((Notice.ACCESS_RESTRICTED, Notice.LAST_NOTICE, Notice.SUBSCRIPTION_UNPAID))


def _facts(notice: Notice, language: str) -> AnyFacts:
    """Return the example that a mail is rendered with."""
    if notice in OWED | OF_METHOD | {Notice.WALLET_LOW}:
        return _reminder(notice, language)
    day = day_of(_FEBRUARY, _ZONE, language)
    if notice is Notice.TRIAL_ENDING:
        return trial_facts(TrialEnd.BILL, merchant=_MERCHANT, name=_NAME, plan="Pro", day=day, language=language)
    if notice is Notice.WEEKLY_DIGEST:
        return digest_facts(_STATUSES, merchant=_MERCHANT, name=_NAME, day=day, language=language)
    if notice in {Notice.INVOICE_ISSUED, Notice.PAYMENT_RECEIVED}:
        return Facts(
            merchant=_MERCHANT,
            name=_NAME,
            number="2026-000042",
            total=money_of(_TOTAL, language),
            day=day,
            lines=tuple(ShownLine(text, money_of(amount, language)) for text, amount in _LINES),
            method=_METHODS[language],
            language=language,
        )
    return _alert(notice, language)


def _alert(notice: Notice, language: str) -> AlertFacts:
    words = WORDS[language]
    used, percent = (5_250, 105) if notice is Notice.GRACE_COUNTDOWN else (4_500, 90)
    advice = {Notice.GRACE_COUNTDOWN: words["grace"], Notice.LIMIT_FORECAST: words["forecast"]}
    return AlertFacts(
        merchant=_MERCHANT,
        name=_NAME,
        what="Calls a month",
        step="90",
        used=amount_of(Decimal(used), "call", language),
        limit=amount_of(Decimal(5_000), "call", language),
        percent=percent_text(Decimal(percent), language),
        due=instant_of(_FEBRUARY, _ZONE, language),
        left=words["left"].format(24),
        advice=advice.get(notice, words["go_on"]),
        upgrade="Enterprise",
        language=language,
    )


def _reminder(notice: Notice, language: str) -> ReminderFacts:
    method = _METHODS[language]
    if notice is Notice.PAYMENT_METHOD_EXPIRING:
        return expiry_facts(method, 2026, 3, is_default=True, merchant=_MERCHANT, name=_NAME, locale=language)
    if notice is Notice.PAYMENT_METHOD_BLOCKED:
        return blocked_facts(method, by_mandate=False, is_default=True, merchant=_MERCHANT, name=_NAME, locale=language)
    if notice is Notice.WALLET_LOW:
        return low_balance_facts("Prepaid", Money(1_000, "USD"), merchant=_MERCHANT, name=_NAME, locale=language)
    owed = Owed(
        number="2026-000042",
        total=money_of(_TOTAL, language),
        failed_at=_FEBRUARY,
        method=method,
        decline="funds",
        next_at=datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
        grace_ends_at=datetime(2026, 3, 7, 9, 30, tzinfo=UTC),
        last_at=datetime(2026, 3, 14, 9, 30, tzinfo=UTC),
        link="https://pay.example.com/i/2026-000042",
    )
    if notice in _GRACE_OVER:
        owed = replace(owed, grace_ends_at=None)
    if notice is Notice.TOP_UP_FAILED:
        owed = replace(owed, link="")
    if notice is Notice.PAYMENT_METHOD_MISSING:
        owed = replace(owed, waits_until=owed.last_at, next_at=None, has_method=False)
    if notice in _OF_SENT:
        # 104.03 less 50.00 that have arrived.
        missing = money_of(Money(5_403, "USD"), language)
        owed = replace(owed, waits_until=owed.last_at, due_at=_FEBRUARY, is_sent=True, missing=missing, next_at=None)
        owed = replace(owed, account="Example Bank", last4="4321")
    return reminder_facts(notice, owed, merchant=_MERCHANT, name=_NAME, zone=_ZONE, locale=language)


def previews(names: Iterable[str]) -> Iterator[tuple[str, str, Content]]:
    """Give each mail by name and language, rendered."""
    for name in names:
        notice = Notice(name)
        for language in LANGUAGES:
            yield name, language, render(notice, _facts(notice, language), _RECIPIENT)


def write_previews(directory: Path, names: Iterable[str]) -> list[Path]:
    """Write the text and the HTML of each mail and a page with all of them; return the files, the page last."""
    directory.mkdir(parents=True, exist_ok=True)
    written, rows = [], []
    for name, language, content in previews(names):
        for suffix, text in (("txt", f"Subject: {content.subject}\n\n{content.text}"), ("html", content.html)):
            file = directory / f"{name}.{language}.{suffix}"
            file.write_text(text, encoding="utf-8")
            written.append(file)
        links = " ".join(f'<a href="{name}.{language}.{kind}">{kind}</a>' for kind in ("html", "txt"))
        rows.append(
            f"<tr><td>{name}</td><td>{language}</td><td>{html.escape(content.subject)}</td><td>{links}</td></tr>"
        )
    page = directory / "index.html"
    table = "\n".join(rows)
    page.write_text(f'<!doctype html><meta charset="utf-8"><title>Mail</title>\n<table>\n{table}\n</table>\n', "utf-8")
    return [*written, page]
