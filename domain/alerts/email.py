"""What a mail says: facts in, subject, text and HTML out. Names and descriptions are escaped in HTML."""

import hashlib
from dataclasses import field, replace

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from domain.alerts.language import ENGLISH, hello, set_apart
from domain.alerts.notice import Content, Notice
from domain.alerts.words import GREETINGS, SUBJECTS
from domain.kernel.ids import CustomerId
from domain.kernel.values import dataclass

LINES_MAX = 20


@dataclass(frozen=True, slots=True)
class ShownLine:
    """An invoice line as a mail shows it; the amount with its currency."""

    description: str
    amount: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a template may use. Amounts and days are texts already: a template decides nothing.

    `lines` are all lines of the invoice, of which the first LINES_MAX are shown; `taxes` stand between them and the
    total, and `settled` behind it: what balances have paid and what is left. `method` is empty where it does not apply;
    `blocked` names one that would be charged, but cannot be any more. `compared` is empty where there is no earlier
    invoice, and `due` where it is due at once. `nothing_due`: nobody collects anything.
    """

    merchant: str
    name: str = field(repr=False)
    number: str
    total: str
    day: str
    lines: tuple[ShownLine, ...] = ()
    method: str = ""
    blocked: str = ""
    compared: str = ""
    taxes: tuple[ShownLine, ...] = ()
    settled: tuple[ShownLine, ...] = ()
    nothing_due: bool = False
    due: str = ""
    language: str = ENGLISH


@dataclass(frozen=True, slots=True)
class AlertFacts:
    """Everything that a mail about a limit may use, as texts.

    `what` names the limit, `step` is a percentage, `due` the instant at which the limit is reached or the grace ends,
    `left` what is left of the grace, `advice` what will happen and what to do, `upgrade` a larger plan or nothing.
    """

    merchant: str
    name: str = field(repr=False)
    what: str
    step: str
    used: str
    limit: str
    percent: str
    due: str
    left: str
    advice: str
    upgrade: str
    lines: tuple[ShownLine, ...] = ()
    language: str = ENGLISH


@dataclass(frozen=True, slots=True)
class DigestFacts:
    """Everything that the weekly digest may use: a line for each limit, what was used of it."""

    merchant: str
    name: str = field(repr=False)
    day: str
    lines: tuple[ShownLine, ...] = ()
    language: str = ENGLISH


@dataclass(frozen=True, slots=True)
class TrialFacts:
    """Everything that the mail about the end of a trial may use; `advice` says what will then happen."""

    merchant: str
    name: str = field(repr=False)
    plan: str
    day: str
    advice: str
    lines: tuple[ShownLine, ...] = ()
    language: str = ENGLISH


@dataclass(frozen=True, slots=True)
class ReminderFacts:
    """A mail about an unpaid invoice, a method or a wallet, in its customer's language: everything is text already.

    `footer` says how to do without such mails, where that is possible.
    """

    merchant: str
    name: str = field(repr=False)
    language: str
    subject: str
    paragraphs: tuple[str, ...]
    pay: str
    link: str
    lines: tuple[ShownLine, ...] = ()
    footer: str = ""


AnyFacts = Facts | AlertFacts | DigestFacts | TrialFacts | ReminderFacts

_templates = Environment(
    loader=PackageLoader("domain.alerts"),
    autoescape=select_autoescape(("html.jinja",)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(notice: Notice, facts: AnyFacts, recipient: str) -> Content:
    """Render a mail. The subject is one line, whatever the facts contain."""
    facts = _set_apart(facts)
    values = {
        "facts": facts,
        "hello": hello(GREETINGS[facts.language], facts.name),
        "lines": facts.lines[:LINES_MAX],
        "more": max(0, len(facts.lines) - LINES_MAX),
    }
    if isinstance(facts, ReminderFacts):
        subject, template = facts.subject, "reminder"
    else:
        subject = SUBJECTS[facts.language][notice].format(facts)
        template = notice.value if facts.language == ENGLISH else f"{notice.value}.{facts.language}"
    return Content(
        recipient=recipient,
        subject=" ".join(subject.split()),
        text=_templates.get_template(f"{template}.txt.jinja").render(values),
        html=_templates.get_template(f"{template}.html.jinja").render(values, subject=subject),
    )


def _set_apart(facts: AnyFacts) -> AnyFacts:
    """Set names apart that are written from right to left; in the paragraphs of a reminder they are so already."""
    lines = tuple(ShownLine(set_apart(each.description), each.amount) for each in facts.lines)
    facts = replace(facts, merchant=set_apart(facts.merchant), lines=lines)
    if isinstance(facts, AlertFacts):
        return replace(facts, what=set_apart(facts.what), upgrade=set_apart(facts.upgrade))
    return replace(facts, plan=set_apart(facts.plan)) if isinstance(facts, TrialFacts) else facts


def message_id(customer_id: CustomerId, notice: str, about: str, sender: str) -> str:
    """Return the Message-ID of a mail: the same one however often it is sent."""
    digest = hashlib.blake2b(f"{customer_id}:{notice}:{about}".encode(), digest_size=16).hexdigest()
    return f"<{digest}@{sender.rpartition('@')[2] or 'localhost'}>"
