"""Mail over SMTP, to a server of the test's own."""

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP

from domain.adapters.smtp import SmtpMailer, SmtpUrlMalformed
from domain.alerts.port import MailPolicy, MailRefused, MailUnavailable, OutgoingMail
from tests import make

_POLICY = MailPolicy("billing@merchant.example", "Merchant")


@dataclass
class Box:
    """What the server was given, and how it answers. The method's names are aiosmtpd's."""

    port: int = 0
    is_wide: bool = True
    recipient_answer: str = "250 OK"
    data_answer: str = "250 OK"
    got: list[tuple[list[str], EmailMessage]] = field(default_factory=list)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802 -- aiosmtpd's name
        """Take a recipient, or answer as ordered."""
        if self.recipient_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient_answer

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 -- aiosmtpd's name
        """Keep the message, or answer as ordered."""
        if self.data_answer.startswith("250"):
            message = email.message_from_bytes(envelope.content, policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            self.got.append((envelope.rcpt_tos, message))
        return self.data_answer


@pytest.fixture
async def box() -> AsyncIterator[Box]:
    """Listen on a port of our own."""
    kept = Box()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(kept, loop=loop, enable_SMTPUTF8=kept.is_wide), "127.0.0.1", 0)
    kept.port = server.sockets[0].getsockname()[1]
    yield kept
    server.close()
    await server.wait_closed()


def _mail(**changed: str) -> OutgoingMail:
    values: dict[str, Any] = {
        "message_id": "<1@merchant.example>",
        "written_at": make.at("2026-01-15T12:00"),
        "sender": "billing@merchant.example",
        "sender_name": "Merchant, Inc.",
        "recipient": "ada@example.com",
        "subject": "Invoice 1: 29.00 €",
        "text": "Hello Ada",
        "html": "<p>Hello Ada</p>",
    }
    return OutgoingMail(**(values | changed))


async def test_a_mail_arrives_with_text_and_html(box: Box) -> None:
    await SmtpMailer(f"smtp://127.0.0.1:{box.port}", _POLICY).send(_mail())
    [(recipients, message)] = box.got
    assert recipients == ["ada@example.com"]
    assert message["From"] == '"Merchant, Inc." <billing@merchant.example>'
    assert message["To"] == "ada@example.com"
    assert message["Subject"] == "Invoice 1: 29.00 €"
    assert message["Message-ID"] == "<1@merchant.example>"
    assert message["Date"] == "Thu, 15 Jan 2026 12:00:00 +0000"
    parts = {part.get_content_type(): part.get_content().strip() for part in message.iter_parts()}
    assert parts == {"text/plain": "Hello Ada", "text/html": "<p>Hello Ada</p>"}


async def test_a_mail_that_may_be_done_without_says_how_at_one_click(box: Box) -> None:
    link = "https://billing.example.com/unsubscribe/cus_1?notice=weekly_digest&signature=" + "0" * 64
    mailer = SmtpMailer(f"smtp://127.0.0.1:{box.port}", _POLICY)
    await mailer.send(_mail(unsubscribe=link))
    await mailer.send(_mail())
    [(_, with_link), (_, without)] = box.got
    assert with_link["List-Unsubscribe"] == f"<{link}>"
    assert with_link["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert without["List-Unsubscribe"] is None


@pytest.mark.parametrize(
    ("recipient", "told"),
    [
        # Domains are spelt in the DNS by RFC 5891: an older rule made strasse.example of the second one.
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@straße.example", "ada@xn--strae-oqa.example"),
        # Dots where no name should have them, as some providers gave them out.
        ("ada..b.@example.com", "ada..b.@example.com"),
        ("jörg@bücher.example", "jörg@xn--bcher-kva.example"),
    ],
)
async def test_addresses_of_every_kind_that_a_customer_may_have_are_reached(
    box: Box, recipient: str, told: str
) -> None:
    await SmtpMailer(f"smtp://127.0.0.1:{box.port}", _POLICY).send(_mail(recipient=recipient))
    [(recipients, message)] = box.got
    assert (recipients, message["To"]) == ([told], told)


async def test_a_name_beyond_ascii_is_refused_for_good_by_a_server_that_knows_none(box: Box) -> None:
    box.is_wide = False
    with pytest.raises(MailRefused):
        await SmtpMailer(f"smtp://127.0.0.1:{box.port}", _POLICY).send(_mail(recipient="jörg@example.com"))
    assert box.got == []


@pytest.mark.parametrize(
    "changed",
    [
        {"recipient": "ada@example.com\r\nBcc: eve@example.com"},
        {"recipient": "ada@example.com, eve@example.com"},
        {"recipient": ""},
        {"recipient": "ada@"},
        {"recipient": "ada eve@example.com"},
        {"recipient": f"ada@{'ü' * 64}.example"},
        {"sender_name": "Merchant\r\nBcc: eve@example.com"},
        {"subject": "Invoice\r\nBcc: eve@example.com"},
        {"message_id": "<1@x>\r\nBcc: eve@example.com"},
    ],
)
async def test_a_line_break_in_a_header_sends_nothing(box: Box, changed: dict[str, str]) -> None:
    with pytest.raises(MailRefused):
        await SmtpMailer(f"smtp://127.0.0.1:{box.port}", _POLICY).send(_mail(**changed))
    assert box.got == []


@pytest.mark.parametrize(
    ("recipient_answer", "data_answer", "raised"),
    [
        ("550 no such user", "250 OK", MailRefused),
        ("451 try later", "250 OK", MailUnavailable),
        ("250 OK", "554 refused", MailRefused),
        ("250 OK", "452 full", MailUnavailable),
    ],
)
async def test_a_refusal_is_final_in_the_500s_only(
    box: Box, recipient_answer: str, data_answer: str, raised: type[Exception]
) -> None:
    box.recipient_answer, box.data_answer = recipient_answer, data_answer
    with pytest.raises(raised) as refused:
        await SmtpMailer(f"smtp://127.0.0.1:{box.port}", _POLICY).send(_mail())
    assert "ada@example.com" not in str(refused.value)


async def test_an_unreachable_server_is_unavailable() -> None:
    with pytest.raises(MailUnavailable):
        await SmtpMailer("smtp://127.0.0.1:9", _POLICY).send(_mail())


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:25", "http://127.0.0.1", "smtp://", "smtp://host:port", "smtp://h:99999"]
)
def test_what_is_no_url_of_a_mail_server_is_refused(url: str) -> None:
    with pytest.raises(SmtpUrlMalformed):
        SmtpMailer(url, _POLICY)


async def test_a_password_is_not_sent_in_the_clear_to_another_machine() -> None:
    assert SmtpMailer("smtp://ada:p%40ss@mail.example:587", _POLICY)._start_tls is True
    assert SmtpMailer("smtp://ada:p%40ss@mail.example:587", _POLICY)._password == "p@ss"
    assert SmtpMailer("smtps://ada:secret@mail.example", _POLICY)._is_tls
    assert SmtpMailer("smtp://127.0.0.1:2525", _POLICY)._start_tls is None
