"""The words of mails about alerts, trials and invoices, in the languages there are.

What is sold keeps the words that the catalogue has for it.
"""

from collections.abc import Mapping

from domain.alerts.language import ENGLISH, GERMAN
from domain.alerts.notice import Notice
from domain.invoices.billdiff.diff import Cause
from domain.subscriptions.subscription import TrialEnd

GREETINGS: Mapping[str, str] = {ENGLISH: "Hello", GERMAN: "Guten Tag"}
SUBJECTS: Mapping[str, Mapping[Notice, str]] = {
    ENGLISH: {
        Notice.INVOICE_ISSUED: "Invoice {0.number} from {0.merchant}: {0.total}",
        Notice.PAYMENT_RECEIVED: "Payment received for invoice {0.number}",
        Notice.LIMIT_THRESHOLD: "{0.step}% of your limit is used: {0.what}",
        Notice.LIMIT_FORECAST: "Your limit will be reached on {0.due}: {0.what}",
        Notice.GRACE_COUNTDOWN: "You are over your limit, {0.left}: {0.what}",
        Notice.WEEKLY_DIGEST: "Your week at {0.merchant}, {0.day}",
        Notice.TRIAL_ENDING: "Your trial of {0.plan} ends on {0.day}",
    },
    GERMAN: {
        Notice.INVOICE_ISSUED: "Rechnung {0.number} von {0.merchant}: {0.total}",
        Notice.PAYMENT_RECEIVED: "Zahlung der Rechnung {0.number} eingegangen",
        Notice.LIMIT_THRESHOLD: "{0.step} % Ihrer Grenze sind verbraucht: {0.what}",
        Notice.LIMIT_FORECAST: "Ihre Grenze wird am {0.due} erreicht: {0.what}",
        Notice.GRACE_COUNTDOWN: "Sie sind über Ihrer Grenze, {0.left}: {0.what}",
        Notice.WEEKLY_DIGEST: "Ihre Woche bei {0.merchant}, {0.day}",
        Notice.TRIAL_ENDING: "Ihr Testzeitraum für {0.plan} endet am {0.day}",
    },
}
_EN: Mapping[str, str] = {
    "grace_over": "From now on whatever would pass the limit is refused.",
    "grace": "Until then more is tolerated. After it whatever would pass the limit is refused.",
    "forecast": "At the present rate your plan does not last until the end of the period.",
    "go_on": "You can go on until the limit is reached.",
    "hard": "Whatever would pass the limit is refused{0}.",
    "soft": "A little more is tolerated for a short time; then whatever would pass the limit is refused{0}.",
    "observe": "Nothing is refused; this is for your information.",
    "until": " until {0}",
    "left": "{0} hours of tolerance left",
    "left_over": "the tolerance is over",
    "unlimited": "{0}, unlimited",
    "of": "{0} of {1}{2}",
    "tax": "Tax",
    "applied": "Paid from your balance",
    "offset": "Credited",
    "due": "To be paid",
    "compared": "Compared with invoice {0}: {1} {2}",
    "credited": "With credits ({0}), what is to be paid changes by {1}.",
    # What becomes of a trial.
    TrialEnd.BILL: "From then on it is billed. If you do not want that, cancel it before in your billing pages.",
    TrialEnd.CANCEL: "It then ends, since there is no payment method. Add one in your billing pages to go on.",
    TrialEnd.PAUSE: "It is then paused, since there is no payment method. Add one in your billing pages to go on.",
    TrialEnd.FALL_BACK: "You then go on with the free plan, since there is no payment method. Add one in your billing "
    "pages to keep what you have.",
}
_DE: Mapping[str, str] = {
    "grace_over": "Von jetzt an wird abgelehnt, was über die Grenze hinausginge.",
    "grace": "Bis dahin wird mehr toleriert. Danach wird abgelehnt, was über die Grenze hinausginge.",
    "forecast": "Beim jetzigen Verbrauch reicht Ihr Plan nicht bis zum Ende des Zeitraums.",
    "go_on": "Sie können weitermachen, bis die Grenze erreicht ist.",
    "hard": "Was über die Grenze hinausginge, wird{0} abgelehnt.",
    "soft": "Etwas mehr wird für kurze Zeit toleriert; danach wird, was über die Grenze hinausginge,{0} abgelehnt.",
    "observe": "Es wird nichts abgelehnt; dies dient nur Ihrer Information.",
    "until": " bis {0}",
    "left": "noch {0} Stunden Toleranz",
    "left_over": "die Toleranz ist vorbei",
    "unlimited": "{0}, unbegrenzt",
    "of": "{0} von {1}{2}",
    "tax": "Steuer",
    "applied": "Aus Ihrem Guthaben bezahlt",
    "offset": "Gutgeschrieben",
    "due": "Zu bezahlen",
    "compared": "Verglichen mit Rechnung {0}: {1} {2}",
    "credited": "Mit Gutschriften ({0}) ändert sich der zu zahlende Betrag um {1}.",
    TrialEnd.BILL: "Ab dann wird der Plan berechnet. Wenn Sie das nicht möchten, kündigen Sie vorher auf Ihren "
    "Abrechnungsseiten.",
    TrialEnd.CANCEL: "Das Abonnement endet dann, weil keine Zahlungsart hinterlegt ist. Hinterlegen Sie eine auf Ihren "
    "Abrechnungsseiten, um weiterzumachen.",
    TrialEnd.PAUSE: "Das Abonnement ruht dann, weil keine Zahlungsart hinterlegt ist. Hinterlegen Sie eine auf Ihren "
    "Abrechnungsseiten, um weiterzumachen.",
    TrialEnd.FALL_BACK: "Sie nutzen dann den kostenlosen Plan, weil keine Zahlungsart hinterlegt ist. Hinterlegen Sie "
    "eine auf Ihren Abrechnungsseiten, um zu behalten, was Sie haben.",
}
WORDS: Mapping[str, Mapping[str, str]] = {ENGLISH: _EN, GERMAN: _DE}
# From what an invoice differs from the one before it.
CAUSES: Mapping[str, Mapping[Cause, str]] = {
    ENGLISH: {each: each.value for each in Cause},
    GERMAN: {
        Cause.PLAN: "Plan",
        Cause.PRICE: "Preise",
        Cause.USAGE: "Nutzung",
        Cause.PRORATION: "anteilige Zeiträume",
        Cause.DISCOUNTS: "Rabatte",
        Cause.TAX: "Steuer",
        Cause.OTHER: "einmalige Beträge",
        Cause.CREDITS: "Gutschriften",
    },
}
