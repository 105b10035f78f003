"""Every mail with example data, as files to look at: no database, and nothing is sent."""

import html
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from domain.alerts.blocking import blocked_facts
from domain.alerts.email import (
    AlertFacts,
    AnyFacts,
    DigestFacts,
    Facts,
    ReminderFacts,
    ShownLine,
    render,
)
from domain.alerts.expiry import expiry_facts
from domain.alerts.notice import OF_METHOD, OWED, Content, Notice
from domain.alerts.reminder import ENGLISH, LANGUAGES, Owed, reminder_facts
from domain.alerts.wording import trial_facts
from domain.subscriptions.subscription import TrialEnd

NAMES = [notice.value for notice in Notice]
_MERCHANT, _NAME, _RECIPIENT = "Example Ltd", "Ada Lovelace", "ada@example.com"
_ZONE = "Europe/Berlin"
_LINES = (
    ShownLine("Pro, 31 Jan to 28 Feb 2026", "79.00 USD"),
    ShownLine("Tokens, 18,059,974 at list price", "25.03 USD"),
)
_IN_ALL_LANGUAGES = OWED | OF_METHOD
_OWED = Owed(
    number="2026-000042",
    total="104.03 USD",
    failed_at=datetime(2026, 2, 28, 9, 30, tzinfo=UTC),
    method="Visa ending in 4242",
    decline="funds",
    next_at=datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
    grace_ends_at=datetime(2026, 3, 7, 9, 30, tzinfo=UTC),
    last_at=datetime(2026, 3, 14, 9, 30, tzinfo=UTC),
    link="https://pay.example.com/i/2026-000042",
)


def _facts(notice: Notice, language: str) -> AnyFacts:
    """Return the example that a mail is rendered with."""
    if notice in _IN_ALL_LANGUAGES:
        return _reminder(notice, language)
    if notice is Notice.TRIAL_ENDING:
        return trial_facts(TrialEnd.BILL, merchant=_MERCHANT, name=_NAME, plan="Pro", day="28 Feb 2026")
    if notice is Notice.WEEKLY_DIGEST:
        lines = (ShownLine("Calls a month", "800 of 5,000 calls (16%)"), ShownLine("Storage", "3 GB, unlimited"))
        return DigestFacts(_MERCHANT, _NAME, "2 Mar 2026", lines)
    if notice in {Notice.INVOICE_ISSUED, Notice.PAYMENT_RECEIVED}:
        compared = "Compared with invoice 2026-000017: +4.03 USD (usage +4.03)."
        return Facts(_MERCHANT, _NAME, _OWED.number, _OWED.total, "28 Feb 2026", _LINES, _OWED.method, compared)
    return AlertFacts(
        merchant=_MERCHANT,
        name=_NAME,
        what="Calls a month",
        step="90",
        used="4,500 calls",
        limit="5,000 calls",
        percent="90%",
        due="26 Feb 2026, 10:00 CET",
        left="24 hours of tolerance left",
        advice="You can go on until the limit is reached.",
        upgrade="Enterprise",
    )


def _reminder(notice: Notice, language: str) -> ReminderFacts:
    if notice is Notice.PAYMENT_METHOD_EXPIRING:
        return expiry_facts(_OWED.method, 2026, 3, is_default=True, merchant=_MERCHANT, name=_NAME, locale=language)
    if notice is Notice.PAYMENT_METHOD_BLOCKED:
        return blocked_facts(
            "Example bank ending in 6789",
            by_mandate=False,
            is_default=True,
            merchant=_MERCHANT,
            name=_NAME,
            locale=language,
        )
    return reminder_facts(notice, _OWED, merchant=_MERCHANT, name=_NAME, zone=_ZONE, locale=language)


def previews(names: Iterable[str]) -> Iterator[tuple[str, str, Content]]:
    """Give each mail by name and language, rendered."""
    for name in names:
        notice = Notice(name)
        for language in LANGUAGES if notice in _IN_ALL_LANGUAGES else (ENGLISH,):
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
