"""What mails about an unpaid invoice say, in the languages there are: facts in, subject and paragraphs out."""

from collections.abc import Mapping
from datetime import datetime

from domain.alerts.email import ReminderFacts
from domain.alerts.language import ENGLISH, GERMAN, day_of, instant_of, language_of, set_apart
from domain.alerts.notice import Notice
from domain.kernel.values import dataclass


@dataclass(frozen=True, slots=True)
class Owed:
    """What is known about an unpaid invoice when its customer is written to. Instants are business time.

    `total` is what was to be collected by a payment that failed, else the invoice's; `left` is what of that is still to
    be paid, where balances or credit notes have taken off a part. `method` names what was charged and `decline` why it
    failed, by a key of the words; both are empty where they do not apply. `next_at` is the next try by itself,
    `waits_until` the last day on which the customer can act instead; `grace_ends_at` is when access is restricted, None
    where that is over. `link` leads to paying. Of an invoice that its customer pays without being charged (`is_sent`),
    `account` and `last4` name the bank account to transfer to, and `missing` what is still to come where a part has
    arrived; `is_covered`: nothing is, all of it has arrived before. `has_method`: the customer has something to be
    charged by; without it `is_blocked`: there is a method, which cannot be charged any more. `is_dropped`: what was
    owed has ended, and nothing is charged for it by itself, whatever is given.
    """

    number: str
    total: str
    failed_at: datetime
    method: str = ""
    decline: str = ""
    next_at: datetime | None = None
    waits_until: datetime | None = None
    grace_ends_at: datetime | None = None
    last_at: datetime | None = None
    link: str = ""
    due_at: datetime | None = None
    is_sent: bool = False
    account: str = ""
    last4: str = ""
    missing: str = ""
    left: str = ""
    is_covered: bool = False
    has_method: bool = True
    is_blocked: bool = False
    is_dropped: bool = False


_EN: Mapping[str, str] = {
    "pay": "Pay the invoice",
    "payment_failed": "Payment failed for invoice {number}",
    "top_up_failed": "Your top-up of {total} failed, invoice {number}",
    "retry_failed": "Payment failed again for invoice {number}",
    "payment_action_required": "Please confirm the payment of invoice {number}",
    "access_restricted": "Your access is restricted: invoice {number} is not paid",
    "last_notice": "Last notice: invoice {number} is not paid",
    "subscription_unpaid": "Your access is suspended: invoice {number} was not paid",
    "subscription_ended_unpaid": "Your subscription ended: invoice {number} was not paid",
    "moved_to_free": "You were moved to the free plan: invoice {number} was not paid",
    "payment_method_wanted": "Please give another payment method for invoice {number}",
    "payment_method_missing": "Please add a payment method: invoice {number} is not paid",
    "invoice_sent": "Invoice {number} from {merchant}: {total}, due on {due}",
    "invoice_due_soon": "Invoice {number} is due on {due}",
    "invoice_overdue": "Invoice {number} is overdue",
    "invoice_still_overdue": "Reminder: invoice {number} is overdue",
    "here": "here is your invoice {number} over {total}. Please pay it by {due}.",
    "covered": "here is your invoice {number} over {total}. What you have transferred covers it; you need to do "
    "nothing.",
    "soon": "invoice {number} over {total} is due on {due}. If you have paid it already, you need to do nothing.",
    "was_due": "invoice {number} over {total} was due on {due} and is not paid.",
    "transfer": "Please transfer the amount. All details are on the page of the invoice.",
    "transfer_to": "Please transfer the amount to your account with us: {account}, ending in {last4}. All details "
    "are on the page of the invoice.",
    "left": "{left} of it is still to be paid.",
    "part": "A part has arrived; {missing} are still missing.",
    "pay_by": "Please pay by {waits}.",
    "failed": "the payment of {total} for invoice {number} failed on {failed}.",
    "failed_on": "the payment of {total} for invoice {number} failed on {failed} ({method}).",
    "not_bought": "Nothing was bought, and nothing is owed for it. A top-up that is made automatically is paused until "
    "it is saved again.",
    "confirm": "the payment of {total} for invoice {number} waits for you to confirm it with your bank.",
    "owed": "invoice {number} over {total} is not paid.",
    "want_method": "we could not collect {total} for invoice {number}. Please give another payment method.",
    "no_method": "we could not collect {total} for invoice {number}, because there is no payment method.",
    "blocked": "we could not collect {total} for invoice {number}, because your payment method cannot be charged any "
    "more.",
    "add": "You can add a payment method in your billing pages; the invoice is then collected at once.",
    "data": "The details of the payment method are out of date. Please update them.",
    "customer": "Your bank asks you to confirm the payment.",
    "funds": "The account did not have enough funds.",
    "declined": "The payment method was declined. Please use another one or speak to your bank.",
    "next": "We will try again on {next}.",
    "waits": "We do not charge this payment method again by ourselves. Please pay by {waits}.",
    "grace": "Until {grace} you can use everything; after that what the free plan allows, until the invoice is paid.",
    "restricted": "Until it is paid you can use what the free plan allows, and nothing can be added.",
    "last": "Please pay by {last}; otherwise your subscription will not go on.",
    "suspended": "Your access is suspended until it is paid. Your data and what you have used stay recorded.",
    "ended": "Your subscription has ended. You can subscribe again at any time.",
    "moved": "You can go on with the free plan. What you have stays; nothing can be added above its limits.",
    "change": "You can also change the payment method in your billing pages; the invoice is then collected at once.",
}
_DE: Mapping[str, str] = {
    "pay": "Rechnung bezahlen",
    "payment_failed": "Zahlung der Rechnung {number} fehlgeschlagen",
    "top_up_failed": "Ihre Aufladung über {total} ist fehlgeschlagen, Rechnung {number}",
    "retry_failed": "Zahlung der Rechnung {number} erneut fehlgeschlagen",
    "payment_action_required": "Bitte bestätigen Sie die Zahlung der Rechnung {number}",
    "access_restricted": "Ihr Zugang ist eingeschränkt: Rechnung {number} ist nicht bezahlt",
    "last_notice": "Letzte Mahnung: Rechnung {number} ist nicht bezahlt",
    "subscription_unpaid": "Ihr Zugang ist gesperrt: Rechnung {number} wurde nicht bezahlt",
    "subscription_ended_unpaid": "Ihr Abonnement ist beendet: Rechnung {number} wurde nicht bezahlt",
    "moved_to_free": "Sie nutzen jetzt den kostenlosen Plan: Rechnung {number} wurde nicht bezahlt",
    "payment_method_wanted": "Bitte hinterlegen Sie eine andere Zahlungsart für Rechnung {number}",
    "payment_method_missing": "Bitte hinterlegen Sie eine Zahlungsart: Rechnung {number} ist nicht bezahlt",
    "invoice_sent": "Rechnung {number} von {merchant}: {total}, fällig am {due}",
    "invoice_due_soon": "Rechnung {number} ist am {due} fällig",
    "invoice_overdue": "Rechnung {number} ist überfällig",
    "invoice_still_overdue": "Erinnerung: Rechnung {number} ist überfällig",
    "here": "hier ist Ihre Rechnung {number} über {total}. Bitte bezahlen Sie sie bis zum {due}.",
    "covered": "hier ist Ihre Rechnung {number} über {total}. Was Sie überwiesen haben, deckt sie; Sie müssen nichts "
    "tun.",
    "soon": "die Rechnung {number} über {total} ist am {due} fällig. Falls Sie sie schon bezahlt haben, müssen Sie "
    "nichts tun.",
    "was_due": "die Rechnung {number} über {total} war am {due} fällig und ist nicht bezahlt.",
    "transfer": "Bitte überweisen Sie den Betrag. Alle Angaben stehen auf der Seite der Rechnung.",
    "transfer_to": "Bitte überweisen Sie den Betrag auf Ihr Konto bei uns: {account}, Endziffern {last4}. Alle Angaben "
    "stehen auf der Seite der Rechnung.",
    "left": "Davon sind noch {left} zu bezahlen.",
    "part": "Ein Teil ist eingegangen; es fehlen noch {missing}.",
    "pay_by": "Bitte bezahlen Sie bis zum {waits}.",
    "failed": "die Zahlung von {total} für Rechnung {number} ist am {failed} fehlgeschlagen.",
    "failed_on": "die Zahlung von {total} für Rechnung {number} ist am {failed} fehlgeschlagen ({method}).",
    "not_bought": "Es wurde nichts gekauft, und es ist nichts dafür zu bezahlen. Eine automatische Aufladung ruht, bis "
    "sie erneut gespeichert wird.",
    "confirm": "die Zahlung von {total} für Rechnung {number} wartet auf Ihre Bestätigung bei Ihrer Bank.",
    "owed": "die Rechnung {number} über {total} ist nicht bezahlt.",
    "want_method": "wir konnten {total} für Rechnung {number} nicht einziehen. Bitte hinterlegen Sie eine andere "
    "Zahlungsart.",
    "no_method": "wir konnten {total} für Rechnung {number} nicht einziehen, weil keine Zahlungsart hinterlegt ist.",
    "blocked": "wir konnten {total} für Rechnung {number} nicht einziehen, weil Ihre Zahlungsart nicht mehr belastet "
    "werden kann.",
    "add": "Sie können auf Ihren Abrechnungsseiten eine Zahlungsart hinterlegen; der Betrag wird dann sofort "
    "eingezogen.",
    "data": "Die Angaben der Zahlungsart sind veraltet. Bitte aktualisieren Sie sie.",
    "customer": "Ihre Bank bittet Sie, die Zahlung zu bestätigen.",
    "funds": "Das Konto war nicht gedeckt.",
    "declined": "Die Zahlungsart wurde abgelehnt. Bitte verwenden Sie eine andere oder fragen Sie Ihre Bank.",
    "next": "Wir versuchen es am {next} erneut.",
    "waits": "Diese Zahlungsart belasten wir nicht von uns aus erneut. Bitte bezahlen Sie bis zum {waits}.",
    "grace": "Bis zum {grace} können Sie alles nutzen, danach das, was der kostenlose Plan erlaubt, bis die Rechnung "
    "bezahlt ist.",
    "restricted": "Bis sie bezahlt ist, können Sie nutzen, was der kostenlose Plan erlaubt, und nichts hinzufügen.",
    "last": "Bitte bezahlen Sie bis zum {last}; sonst wird Ihr Abonnement nicht fortgeführt.",
    "suspended": "Ihr Zugang ist gesperrt, bis sie bezahlt ist. Ihre Daten und Ihre Nutzung bleiben erfasst.",
    "ended": "Ihr Abonnement ist beendet. Sie können jederzeit neu abonnieren.",
    "moved": "Sie können den kostenlosen Plan nutzen. Was Sie haben, bleibt; über seine Grenzen hinaus können Sie "
    "nichts hinzufügen.",
    "change": "Sie können auch die Zahlungsart ändern; der Betrag wird dann sofort eingezogen.",
}
WORDS: Mapping[str, Mapping[str, str]] = {ENGLISH: _EN, GERMAN: _DE}
# What each mail says, in order; what has no fact is left out.
_SAID: Mapping[Notice, tuple[str, ...]] = {
    Notice.PAYMENT_FAILED: ("failed", "advice", "next", "waits", "grace", "change"),
    Notice.TOP_UP_FAILED: ("failed", "advice", "not_bought"),
    Notice.RETRY_FAILED: ("failed", "advice", "next", "waits", "grace", "restricted", "change"),
    Notice.PAYMENT_ACTION_REQUIRED: ("confirm", "waits", "grace", "change"),
    Notice.ACCESS_RESTRICTED: ("owed", "left", "restricted", "waits", "change"),
    Notice.LAST_NOTICE: ("owed", "left", "last", "next", "change"),
    Notice.SUBSCRIPTION_UNPAID: ("owed", "left", "suspended", "change"),
    Notice.SUBSCRIPTION_ENDED_UNPAID: ("owed", "ended"),
    Notice.MOVED_TO_FREE: ("owed", "moved"),
    Notice.PAYMENT_METHOD_WANTED: ("want_method", "advice", "grace", "change"),
    Notice.PAYMENT_METHOD_MISSING: ("no_method", "left", "grace", "restricted", "waits", "change"),
    Notice.INVOICE_SENT: ("here", "left", "part", "change"),
    Notice.INVOICE_DUE_SOON: ("soon", "left", "part", "change"),
    Notice.INVOICE_OVERDUE: ("was_due", "left", "part", "grace", "restricted", "waits", "change"),
    Notice.INVOICE_STILL_OVERDUE: ("was_due", "left", "part", "grace", "restricted", "waits", "change"),
}


def reminder_facts(notice: Notice, owed: Owed, *, merchant: str, name: str, zone: str, locale: str) -> ReminderFacts:
    """Say what a mail says, in the customer's zone and language."""
    language = language_of(locale)
    words = WORDS[language]
    texts = _texts(owed, language, zone) | {"merchant": set_apart(merchant)}
    paragraphs = (_paragraph(part, owed, words) for part in _SAID[notice])
    return ReminderFacts(
        merchant=merchant,
        name=name,
        language=language,
        subject=words[notice].format(**texts),
        paragraphs=tuple(each.format(**texts) for each in paragraphs if each),
        pay=words["pay"],
        link=owed.link,
    )


def _paragraph(part: str, owed: Owed, words: Mapping[str, str]) -> str:
    """Return a paragraph's words, or nothing where it does not apply."""
    needed: dict[str, object] = {
        "advice": owed.decline,
        "next": owed.next_at,
        "waits": owed.waits_until,
        "grace": owed.grace_ends_at,
        "restricted": owed.grace_ends_at is None and not owed.is_dropped,
        "last": owed.last_at,
        "part": owed.missing,
        "left": owed.left,
        "change": not owed.is_dropped or owed.is_sent,
    }
    if not needed.get(part, True) or (part == "left" and owed.is_covered):
        return ""
    if part == "advice":
        return words[owed.decline]
    if owed.is_sent and part in {"change", "waits", "here"}:
        return _of_sent(part, owed, words)
    if not owed.has_method and part in {"change", "waits"}:
        return words["add" if part == "change" else "pay_by"]
    if part == "no_method" and owed.is_blocked:
        return words["blocked"]
    return words["failed_on"] if part == "failed" and owed.method else words[part]


def _of_sent(part: str, owed: Owed, words: Mapping[str, str]) -> str:
    """Say of an invoice that nobody charges what its customer can do: transfer the money, unless it has come."""
    if part == "here":
        return words["covered" if owed.is_covered else "here"]
    if owed.is_covered:
        return ""
    return words["pay_by"] if part == "waits" else words["transfer_to" if owed.account else "transfer"]


def _texts(owed: Owed, language: str, zone: str) -> dict[str, str]:
    return {
        "number": owed.number,
        "total": owed.total,
        "method": owed.method,
        "failed": _when(owed.failed_at, language, zone),
        "next": _when(owed.next_at, language, zone),
        "waits": _when(owed.waits_until, language, zone),
        "grace": _when(owed.grace_ends_at, language, zone),
        "last": _when(owed.last_at, language, zone),
        "due": _day(owed.due_at, language, zone),
        "account": set_apart(owed.account),
        "last4": owed.last4,
        "missing": owed.missing,
        "left": owed.left,
    }


def _day(at: datetime | None, language: str, zone: str) -> str:
    """Write the day of an instant in a zone."""
    return day_of(at, zone, language) if at is not None else ""


def _when(at: datetime | None, language: str, zone: str) -> str:
    """Write an instant as people of a language do, in a zone."""
    return instant_of(at, zone, language) if at is not None else ""
