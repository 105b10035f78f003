"""The mail catcher, end to end: a process, SMTP in, pages out."""

import http.client
import json
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiosmtplib
import pytest

from api.local.children import Program, answers_http
from api.local.mailbox import MESSAGES_MAX, Mailbox
from api.local.ports import free_port
from api.local.processes import child_environment, python_module
from tests.waiting import PATIENCE_S


@pytest.fixture(scope="module")
def catcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    directory = tmp_path_factory.mktemp("mail")
    smtp = free_port()
    port = free_port()
    options = ["--smtp-port", str(smtp), "--http-port", str(port), "--dir", str(directory / "mail")]
    program = Program(
        "mail",
        python_module("api.local.mail", *options),
        child_environment(),
        directory / "mail.log",
        answers_http(port, "/healthz"),
    )
    program.start()
    yield SimpleNamespace(smtp=smtp, port=port)
    program.stop()
    # Nothing was logged: no message text, and no warning of a library.
    assert (directory / "mail.log").read_text() == ""


def get(port: int, path: str, host: str = "localhost") -> tuple[int, Any, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.request("GET", path, headers={"Host": f"{host}:{port}"})
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    found = json.loads(body) if response.headers["Content-Type"] == "application/json" else body
    return response.status, found, response.headers


def message(to: str) -> EmailMessage:
    written = EmailMessage()
    written["From"] = "billing@example.com"
    written["To"] = to
    written["Subject"] = "Invoice <b>7</b> für Ada"
    written.set_content("Your invoice is ready.")
    written.add_alternative("<p onclick='steal()'>Your invoice is <b>ready</b>.</p>", subtype="html")
    written.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="invoice-7.pdf")
    return written


async def test_a_message_sent_over_smtp_is_listed_and_shown(catcher: SimpleNamespace) -> None:
    await aiosmtplib.send(message("ada@example.com"), hostname="127.0.0.1", port=catcher.smtp, start_tls=False)

    _, listed, _ = get(catcher.port, "/messages?to=ada@example.com")
    assert [(one["to"], one["subject"]) for one in listed] == [(["ada@example.com"], "Invoice <b>7</b> für Ada")]
    number = listed[0]["id"]
    _, shown, _ = get(catcher.port, f"/messages/{number}")
    assert shown["text"].strip() == "Your invoice is ready."
    assert "<b>ready</b>" in shown["html"]
    assert shown["attachments"] == ["invoice-7.pdf"]
    assert "From: billing@example.com" in shown["raw"]
    assert shown["received_at"].endswith("+00:00")


async def test_the_pages_escape_a_message_and_give_it_no_rights(catcher: SimpleNamespace) -> None:
    await aiosmtplib.send(message("bob@example.com"), hostname="127.0.0.1", port=catcher.smtp, start_tls=False)
    number = get(catcher.port, "/messages?to=bob@example.com")[1][0]["id"]

    _, page, _ = get(catcher.port, "/")
    assert "Invoice &lt;b&gt;7&lt;/b&gt; für Ada" in page
    assert "<b>7</b>" not in page
    _, view, headers = get(catcher.port, f"/view/{number}")
    assert f'<iframe sandbox src="/messages/{number}/html"' in view
    assert "script-src" not in headers["Content-Security-Policy"]
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    _, html, headers = get(catcher.port, f"/messages/{number}/html")
    assert "onclick" in html
    assert headers["Content-Security-Policy"].startswith("sandbox;")


def test_a_message_that_is_not_there_is_404(catcher: SimpleNamespace) -> None:
    assert get(catcher.port, "/messages/999999")[0] == 404


def test_a_foreign_host_name_is_refused(catcher: SimpleNamespace) -> None:
    assert get(catcher.port, "/messages", host="evil.example")[0] == 400


async def test_a_message_beyond_the_size_bound_is_refused_and_not_kept(catcher: SimpleNamespace) -> None:
    huge = EmailMessage()
    huge["To"] = "huge@example.com"
    huge["From"] = "billing@example.com"
    huge.set_content(("x" * 70 + "\n") * 75_000)  # 71 * 75,000 = 5,325,000 bytes, above 5,000,000

    with pytest.raises(aiosmtplib.SMTPException):
        await aiosmtplib.send(huge, hostname="127.0.0.1", port=catcher.smtp, start_tls=False)
    assert get(catcher.port, "/messages?to=huge@example.com")[1] == []


def test_only_the_newest_messages_are_kept(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    for number in range(MESSAGES_MAX + 2):
        mailbox.add(["ada@example.com"], f"Subject: {number}\r\n\r\ntext\r\n".encode())

    caught = mailbox.list_caught()
    # 502 were added, 500 are kept: the subjects 2 to 501.
    assert (len(caught), caught[0].subject, caught[-1].subject) == (500, "501", "2")
