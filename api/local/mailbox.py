"""Caught messages as files: one per message, numbered in order of arrival, the oldest dropped beyond a bound."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

from api.local.home import PRIVATE_DIRECTORY, PRIVATE_FILE
from domain.kernel.values import dataclass

MESSAGES_MAX = 500
MESSAGE_BYTES_MAX = 5_000_000
RECIPIENT_HEADER = "X-Envelope-To"


@dataclass(frozen=True, slots=True)
class Caught:
    """One caught message, as the list shows it. `to` is who it was delivered to, not what its To header says."""

    id: int
    to: tuple[str, ...]
    subject: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A directory of messages. One process writes to it; MESSAGES_MAX are kept."""

    directory: Path

    def add(self, recipients: Sequence[str], content: bytes) -> int:
        """Keep a message under the next number, and give the number."""
        numbers = self._numbers()
        number = numbers[-1] + 1 if numbers else 1
        self.directory.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        envelope = "".join(f"{RECIPIENT_HEADER}: {recipient}\r\n" for recipient in recipients)
        draft = self.directory / f"{number}.draft"
        draft.touch(mode=PRIVATE_FILE)
        draft.write_bytes(envelope.encode() + content)
        draft.replace(self._file(number))
        for old in [*numbers, number][:-MESSAGES_MAX]:
            self._file(old).unlink(missing_ok=True)
        return number

    def list_caught(self, to: str | None = None) -> list[Caught]:
        """List messages, the newest first, of one recipient if given."""
        caught = (self._describe(number) for number in reversed(self._numbers()))
        return [one for one in caught if to is None or to in one.to]

    def find(self, number: int) -> tuple[Caught, EmailMessage] | None:
        """Read one message, or None when there is none of this number."""
        return (self._describe(number), self._parse(number)) if self._file(number).is_file() else None

    def raw(self, number: int) -> str:
        """Give a message as it came, after its envelope headers; it must exist."""
        return self._file(number).read_bytes().decode(errors="replace")

    def _describe(self, number: int) -> Caught:
        message = self._parse(number, headers_only=True)
        # The file's own time is when the message arrived.
        received_at = datetime.fromtimestamp(self._file(number).stat().st_mtime, UTC)
        return Caught(number, tuple(_recipients(message)), str(message.get("Subject", "")), received_at)

    def _parse(self, number: int, *, headers_only: bool = False) -> EmailMessage:
        content = self._file(number).read_bytes()
        return BytesParser(EmailMessage, policy=policy.default).parsebytes(content, headersonly=headers_only)

    def _numbers(self) -> list[int]:
        return sorted(int(file.stem) for file in self.directory.glob("*.eml") if file.stem.isdecimal())

    def _file(self, number: int) -> Path:
        return self.directory / f"{number}.eml"


def part(message: EmailMessage, kind: str) -> str | None:
    """Give the `plain` or `html` body of a message, or None when it has none."""
    body = message.get_body((kind,))
    return None if body is None else str(body.get_content())


def attachment_names(message: EmailMessage) -> list[str]:
    """List the file names of a message's attachments."""
    return [attachment.get_filename() or "unnamed" for attachment in message.iter_attachments()]


def _recipients(message: EmailMessage) -> Iterator[str]:
    yield from (str(value) for value in message.get_all(RECIPIENT_HEADER, []))
