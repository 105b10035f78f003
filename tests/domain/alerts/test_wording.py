"""How mails say what alerts mean."""

import dataclasses
from decimal import Decimal
from typing import Any

import pytest

from domain.alerts.alert import AlertKind
from domain.alerts.email import DigestFacts, ShownLine
from domain.alerts.language import ENGLISH, GERMAN
from domain.alerts.wording import alert_facts, compared_text, digest_facts, settled_lines, tax_lines, trial_facts
from domain.invoices.billdiff.diff import BillDiff, Cause, Part
from domain.kernel.ids import CustomerId, SubscriptionId
from domain.kernel.money import Money
from domain.limits.status import LimitState, LimitStatus
from domain.subscriptions.subscription import TrialEnd
from tests import make
from tests.domain.invoices.test_verification import invoice

_ALERT = make.alert(CustomerId(make.new_id()), SubscriptionId(make.new_id()))


def facts(**changed: Any) -> Any:
    """Word an alert that differs from one of 80 of 100 calls."""
    alert = dataclasses.replace(_ALERT, **changed)
    return alert_facts(alert, merchant="Example", name="Ada", zone="Europe/Berlin", upgrade="Basic")


def test_a_threshold_is_worded_with_what_was_used() -> None:
    found = facts()
    assert (found.used, found.limit, found.percent, found.step, found.upgrade, found.due) == (
        "80 calls",
        "100 calls",
        "80%",
        "80",
        "Basic",
        "",
    )


@pytest.mark.parametrize(
    ("changed", "advice"),
    [
        ({}, "You can go on until the limit is reached."),
        ({"used": Decimal(100)}, "Whatever would pass the limit is refused until 1 Mar 2026, 01:00 CET."),
        ({"used": Decimal(100), "resets_at": None}, "Whatever would pass the limit is refused."),
        ({"used": Decimal(101), "policy": "observe"}, "Nothing is refused; this is for your information."),
        (
            {"used": Decimal(101), "policy": "soft", "resets_at": None},
            "A little more is tolerated for a short time; then whatever would pass the limit is refused.",
        ),
        (
            {"kind": AlertKind.FORECAST},
            "At the present rate your plan does not last until the end of the period.",
        ),
        (
            {"kind": AlertKind.GRACE, "step": 6},
            "Until then more is tolerated. After it whatever would pass the limit is refused.",
        ),
        ({"kind": AlertKind.GRACE, "step": 0}, "From now on whatever would pass the limit is refused."),
    ],
    ids=str,
)
def test_advice_says_what_happens_next(changed: dict[str, Any], advice: str) -> None:
    assert facts(**changed).advice == advice


def test_a_grace_says_when_it_ends_and_what_is_left() -> None:
    found = facts(kind=AlertKind.GRACE, step=6, due_at=make.at("2026-02-10T12:00"))
    assert (found.due, found.left) == ("10 Feb 2026, 13:00 CET", "6 hours of tolerance left")
    assert facts(kind=AlertKind.GRACE, step=0).left == "the tolerance is over"


def test_the_digest_has_a_line_for_each_limit() -> None:
    def status(used: int, limit: int | None, percent: int | None) -> LimitStatus:
        amount = None if limit is None else Decimal(limit)
        share = None if percent is None else Decimal(percent)
        return LimitStatus("calls", "Calls", "hard", amount, Decimal(used), share, LimitState.OK, "call", None)

    stored = dataclasses.replace(status(999_999_999, 10**12, 0), unit="byte")
    statuses = [status(7, 100, 7), status(7, None, None), status(0, 0, None), stored]
    assert digest_facts(statuses, merchant="Example", name="Ada", day="2 Feb 2026") == DigestFacts(
        "Example",
        "Ada",
        "2 Feb 2026",
        (
            ShownLine("Calls", "7 of 100 calls (7%)"),
            ShownLine("Calls", "7 calls, unlimited"),
            ShownLine("Calls", "0 of 0 calls"),
            ShownLine("Calls", "999.99 MB of 1 TB (0%)"),
        ),
    )


def _part(cause: Cause, minor: int) -> Part:
    return Part(cause, Money(minor, "USD"), ())


def test_an_invoice_is_compared_in_one_paragraph() -> None:
    before = dataclasses.replace(invoice(), subtotal=Money(2900, "USD"))
    after = dataclasses.replace(invoice(), subtotal=Money(3900, "USD"), tax=Money(200, "USD"))
    parts = (_part(Cause.USAGE, 1100), _part(Cause.DISCOUNTS, -100), _part(Cause.TAX, 200))
    diff = BillDiff(before, after, parts, _part(Cause.CREDITS, 0))
    first = "Compared with invoice TEST-2026-000001: +12.00 USD (usage +11.00, discounts -1.00, tax +2.00)."
    assert compared_text(diff) == first
    credited = dataclasses.replace(diff, credits=_part(Cause.CREDITS, -1500))
    assert compared_text(credited) == f"{first} With credits (-15.00), what is to be paid changes by -3.00 USD."
    same = BillDiff(before, before, (), _part(Cause.CREDITS, 0))
    assert compared_text(same) == "Compared with invoice TEST-2026-000001: 0.00 USD."
    assert compared_text(None) == ""


def test_a_german_alert_is_german_but_for_what_the_catalogue_names() -> None:
    alert = dataclasses.replace(_ALERT, used=Decimal(8_000), limit=Decimal(8_000), resets_at=make.at("2026-03-01"))
    found = alert_facts(alert, merchant="Example", name="Ada", zone="Europe/Berlin", language=GERMAN)
    assert (found.used, found.percent, found.language) == ("8.000 calls", "100 %", "de")
    assert found.advice == "Was über die Grenze hinausginge, wird bis 01.03.2026, 01:00 CET abgelehnt."
    soft = dataclasses.replace(alert, policy="soft", resets_at=None)
    found = alert_facts(soft, merchant="Example", name="Ada", zone="UTC", language=GERMAN)
    assert found.advice.endswith("danach wird, was über die Grenze hinausginge, abgelehnt.")
    grace = dataclasses.replace(alert, kind=AlertKind.GRACE, step=6)
    assert alert_facts(grace, merchant="Example", name="Ada", zone="UTC", language=GERMAN).left == (
        "noch 6 Stunden Toleranz"
    )


def test_a_german_digest_and_trial_are_german() -> None:
    status = LimitStatus(
        "calls", "Calls", "hard", Decimal(5_000), Decimal("1234.5"), Decimal(24), LimitState.OK, "call", None
    )
    [line] = digest_facts([status], merchant="Example", name="Ada", day="02.02.2026", language=GERMAN).lines
    assert line.amount == "1.234,5 von 5.000 calls (24 %)"
    for end in TrialEnd:
        texts = {
            language: trial_facts(end, merchant="Example", name="Ada", plan="Pro", day="1", language=language).advice
            for language in (ENGLISH, GERMAN)
        }
        assert texts[ENGLISH] != texts[GERMAN]


def test_an_invoice_is_compared_in_german() -> None:
    before = dataclasses.replace(invoice(), subtotal=Money(2900, "USD"))
    after = dataclasses.replace(invoice(), subtotal=Money(123_900, "USD"))
    diff = BillDiff(before, after, (_part(Cause.USAGE, 121_000),), _part(Cause.CREDITS, -1500))
    assert compared_text(diff, GERMAN) == (
        "Verglichen mit Rechnung TEST-2026-000001: +1.210,00 USD (Nutzung +1.210,00). "
        "Mit Gutschriften (-15,00) ändert sich der zu zahlende Betrag um +1.195,00 USD."
    )


def test_an_invoice_shows_its_tax_and_what_balances_have_paid_of_it() -> None:
    # 100.00 and 19.00 tax are 119.00; 50.00 and 9.00 are taken off.
    taxed = dataclasses.replace(invoice(), subtotal=Money(10_000, "USD"), tax=Money(1_900, "USD"))
    assert tax_lines(taxed) == (ShownLine("Tax", "19.00 USD"),)
    assert settled_lines(taxed) == ()
    paid = dataclasses.replace(taxed, applied_minor=5_000, offset_minor=900)
    assert settled_lines(paid) == (
        ShownLine("Paid from your balance", "-50.00 USD"),
        ShownLine("Credited", "-9.00 USD"),
        ShownLine("To be paid", "60.00 USD"),
    )
    assert settled_lines(paid, GERMAN) == (
        ShownLine("Aus Ihrem Guthaben bezahlt", "-50,00\xa0$"),
        ShownLine("Gutgeschrieben", "-9,00\xa0$"),
        ShownLine("Zu bezahlen", "60,00\xa0$"),
    )


def test_an_invoice_without_tax_shows_none() -> None:
    assert tax_lines(invoice()) == ()
