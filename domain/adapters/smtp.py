"""Mail over SMTP. Headers are built by the standard library, which refuses line breaks in them."""

import ipaddress
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from urllib.parse import unquote, urlsplit

import aiosmtplib

from domain.alerts.port import MailPolicy, MailRefused, MailUnavailable, OutgoingMail
from domain.kernel.errors import DomainError, Kind

TIMEOUT_S = 20
_PORTS = {"smtp": 25, "smtps": 465}
_PERMANENT = range(500, 600)


class SmtpUrlMalformed(DomainError):
    """The mail server's URL looks like smtp://user:password@host:587 or smtps://host:465. Check SMTP_URL."""

    code = "smtp_url_malformed"
    kind = Kind.UNAVAILABLE


class SmtpMailer:
    """Sends through one server, a connection a mail.

    `smtps://` speaks TLS from the start. `smtp://` turns to TLS where the server offers it; with a password and a
    server on another machine it insists on it.
    """

    def __init__(self, url: str, policy: MailPolicy) -> None:
        """Open no connection yet. Raises SmtpUrlMalformed."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise SmtpUrlMalformed from error
        if parts.scheme not in _PORTS or not parts.hostname:
            raise SmtpUrlMalformed
        self._policy = policy
        self._host = parts.hostname
        self._port = port or _PORTS[parts.scheme]
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._is_tls = parts.scheme == "smtps"
        self._start_tls = True if self._user and not self._is_tls and not _is_loopback(self._host) else None

    @property
    def policy(self) -> MailPolicy:
        """Who mail is from, and who may get it."""
        return self._policy

    async def send(self, mail: OutgoingMail) -> None:
        """Hand a mail over. Raises MailRefused where recipient or content is refused for good, else MailUnavailable.

        What the server has against the sender, or its password, is mended without another mail.
        """
        message, recipient = _message(mail)
        try:
            await aiosmtplib.send(
                message,
                sender=mail.sender,
                recipients=[recipient],
                hostname=self._host,
                port=self._port,
                username=self._user,
                password=self._password,
                timeout=TIMEOUT_S,
                use_tls=self._is_tls,
                start_tls=False if self._is_tls else self._start_tls,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            if all(refused.code in _PERMANENT for refused in error.recipients):
                raise MailRefused("recipient") from error
            raise MailUnavailable("recipient") from error
        except aiosmtplib.SMTPDataError as error:
            if error.code in _PERMANENT:
                raise MailRefused(f"data {error.code}") from error
            raise MailUnavailable(f"data {error.code}") from error
        except aiosmtplib.SMTPNotSupported as error:
            if recipient.isascii():
                raise MailUnavailable(type(error).__name__) from error
            # The server knows no addresses beyond ASCII, and will know none tomorrow.
            raise MailRefused("recipient") from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MailUnavailable(type(error).__name__) from error


def _message(mail: OutgoingMail) -> tuple[EmailMessage, str]:
    """Build the message, and return the recipient as the server is told it.

    Raises MailRefused for an address or a text that no header can hold.
    """
    message = EmailMessage(policy=SMTP)
    try:
        recipient = _address(mail.recipient)
        message["From"] = Address(mail.sender_name, addr_spec=mail.sender)
        message["To"] = recipient
        message["Subject"] = mail.subject
        message["Date"] = mail.written_at
        message["Message-ID"] = mail.message_id
        message["Auto-Submitted"] = "auto-generated"
        if mail.unsubscribe is not None:
            message["List-Unsubscribe"] = f"<{mail.unsubscribe}>"
            message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    except (ValueError, IndexError) as error:
        raise MailRefused("header") from error
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message, recipient.addr_spec


def _address(text: str) -> Address:
    """Read one address, with its domain spelt as in the DNS. Raises ValueError for none, and for more than one."""
    name, _, domain = text.rpartition("@")
    if not (name and domain) or "@" in name or " " in text or not text.isprintable():
        raise ValueError("not one address")
    return Address(username=name, domain=domain if domain.isascii() else _in_ascii(domain))


def _in_ascii(domain: str) -> str:
    """Spell a domain as the DNS does (RFC 5891). Raises ValueError."""
    import idna  # noqa: PLC0415 -- by the first such domain only

    return idna.encode(domain, uts46=True).decode("ascii")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
