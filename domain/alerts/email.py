"""What a mail says: facts in, subject, text and HTML out. Names and descriptions are escaped in HTML."""

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from domain.kernel.ids import CustomerId

LINES_MAX = 20


class Notice(StrEnum):
    """The kinds of mail."""

    INVOICE_ISSUED = "invoice_issued"
    PAYMENT_RECEIVED = "payment_received"
    PAYMENT_FAILED = "payment_failed"


_SUBJECTS = {
    Notice.INVOICE_ISSUED: "Invoice {number} from {merchant}: {total}",
    Notice.PAYMENT_RECEIVED: "Payment received for invoice {number}",
    Notice.PAYMENT_FAILED: "Payment failed for invoice {number}",
}


@dataclass(frozen=True, slots=True)
class ShownLine:
    """An invoice line as a mail shows it; the amount with its currency."""

    description: str
    amount: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a template may use. Amounts and days are texts already: a template decides nothing.

    `lines` are all lines of the invoice, of which the first LINES_MAX are shown. `method` and `advice` are empty where
    they do not apply.
    """

    merchant: str
    name: str = field(repr=False)
    number: str
    total: str
    day: str
    lines: tuple[ShownLine, ...] = ()
    method: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """A rendered mail and its recipient: personal as a whole, stored sealed."""

    recipient: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)

    def to_bytes(self) -> bytes:
        """Write it for sealing."""
        return json.dumps([self.recipient, self.subject, self.text, self.html]).encode()

    @classmethod
    def from_bytes(cls, written: bytes) -> "Content":
        """Read what `to_bytes` wrote."""
        return cls(*json.loads(written))


_templates = Environment(
    loader=PackageLoader("domain.alerts"),
    autoescape=select_autoescape(("html.jinja",)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(notice: Notice, facts: Facts, recipient: str) -> Content:
    """Render a mail. The subject is one line, whatever the facts contain."""
    values = {
        "facts": facts,
        "lines": facts.lines[:LINES_MAX],
        "more": max(0, len(facts.lines) - LINES_MAX),
    }
    subject = _SUBJECTS[notice].format(number=facts.number, merchant=facts.merchant, total=facts.total)
    return Content(
        recipient=recipient,
        subject=" ".join(subject.split()),
        text=_templates.get_template(f"{notice}.txt.jinja").render(values),
        html=_templates.get_template(f"{notice}.html.jinja").render(values, subject=subject),
    )


def message_id(customer_id: CustomerId, notice: str, about: str, sender: str) -> str:
    """Return the Message-ID of a mail: the same one however often it is sent."""
    digest = hashlib.blake2b(f"{customer_id}:{notice}:{about}".encode(), digest_size=16).hexdigest()
    return f"<{digest}@{sender.rpartition('@')[2] or 'localhost'}>"
