"""The mail catcher: a process that takes every message over SMTP and shows it on a page instead of sending it.

`python -m api.local.mail --smtp-port N --http-port M --dir D`. Both ports listen on loopback only, and the pages
answer only to loopback host names. `/` lists the messages, `/messages` does so as JSON.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage
from html import escape
from pathlib import Path

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from api.local.mailbox import MESSAGE_BYTES_MAX, Caught, Mailbox, attachment_names, part
from api.local.ports import LOOPBACK

SMTP_TIMEOUT_S = 60.0
RECIPIENTS_MAX = 50
LOOPBACK_NAMES = ("127.0.0.1", "localhost")
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'; form-action 'none'"
# What a message says runs nothing, loads nothing and has an origin of its own.
MESSAGE_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
STYLE = """body{font:16px system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}
td,th{text-align:left;padding:.3rem 1rem .3rem 0}iframe{width:100%;height:60vh;border:1px solid #999}
pre{white-space:pre-wrap;overflow-wrap:anywhere}"""


class Catcher:
    """What aiosmtpd calls for each message; the method's name is aiosmtpd's."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox

    async def handle_RCPT(  # noqa: N802 the name is aiosmtpd's
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Accept a recipient, up to RECIPIENTS_MAX of them."""
        if len(envelope.rcpt_tos) >= RECIPIENTS_MAX:
            return "452 too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 the name is aiosmtpd's
        """Keep the message."""
        content = envelope.content
        assert isinstance(content, bytes)
        number = self.mailbox.add(envelope.rcpt_tos, content)
        return f"250 caught as message {number}"


def create_app(mailbox: Mailbox, smtp_port: int) -> Starlette:
    """Make the catcher: its pages, and its SMTP server for as long as the pages are served."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        server = await asyncio.get_running_loop().create_server(smtp_factory(mailbox), LOOPBACK, smtp_port)
        async with server:
            yield

    routes = [
        Route("/", show_list),
        Route("/healthz", lambda _request: JSONResponse({"status": "ok"})),
        Route("/messages", list_messages),
        Route("/messages/{number:int}", get_message),
        Route("/messages/{number:int}/html", get_html_part),
        Route("/view/{number:int}", show_message),
    ]
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK_NAMES), www_redirect=False)
    app = Starlette(routes=routes, middleware=[hosts], lifespan=lifespan)
    app.state.mailbox = mailbox
    return app


def smtp_factory(mailbox: Mailbox) -> Callable[[], SMTP]:
    """Give what makes the protocol of one SMTP connection, bounded in message size and idle time."""

    def factory() -> SMTP:
        return SMTP(
            Catcher(mailbox),
            data_size_limit=MESSAGE_BYTES_MAX,
            enable_SMTPUTF8=True,
            hostname="localhost",
            timeout=SMTP_TIMEOUT_S,
            loop=asyncio.get_running_loop(),
        )

    return factory


def list_messages(request: Request) -> JSONResponse:
    """List the messages, the newest first; `?to=` gives those of one recipient."""
    return JSONResponse([_summary(one) for one in _mailbox(request).list_caught(request.query_params.get("to"))])


def get_message(request: Request) -> JSONResponse:
    """Give one message: raw, text part and HTML part."""
    caught, message = _found(request)
    parts = {"text": part(message, "plain"), "html": part(message, "html"), "attachments": attachment_names(message)}
    return JSONResponse({**_summary(caught), **parts, "raw": _mailbox(request).raw(caught.id)})


def get_html_part(request: Request) -> Response:
    """Give the HTML part alone, for the frame of show_message."""
    _, message = _found(request)
    return _page(part(message, "html") or "", MESSAGE_POLICY)


def show_list(request: Request) -> Response:
    """Show the messages as a page."""
    rows = "".join(_row(one) for one in _mailbox(request).list_caught())
    table = f"<table><tr><th>Received</th><th>To</th><th>Subject</th></tr>{rows}</table>" if rows else "<p>No mail.</p>"
    return _page(_document("Caught mail", table), PAGE_POLICY)


def show_message(request: Request) -> Response:
    """Show one message as a page, its HTML part in a frame that may do nothing."""
    caught, message = _found(request)
    head = f"<p>{escape(caught.received_at.isoformat())} to {escape(', '.join(caught.to))}</p>"
    frame = (
        f'<iframe sandbox src="/messages/{caught.id}/html" title="HTML part"></iframe>' if part(message, "html") else ""
    )
    text = f"<h2>Text part</h2><pre>{escape(part(message, 'plain') or 'none')}</pre>"
    return _page(_document(caught.subject, f'{head}{frame}{text}<p><a href="/">All mail</a></p>'), PAGE_POLICY)


def main() -> None:
    """Serve until a stop signal."""
    parser = argparse.ArgumentParser(prog="python -m api.local.mail", description="Catch mail and show it.")
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--dir", type=Path, required=True)
    given = parser.parse_args()
    app = create_app(Mailbox(given.dir), given.smtp_port)
    uvicorn.run(app, host=LOOPBACK, port=given.http_port, log_level="warning", access_log=False)


def _mailbox(request: Request) -> Mailbox:
    mailbox = request.app.state.mailbox
    assert isinstance(mailbox, Mailbox)
    return mailbox


def _found(request: Request) -> tuple[Caught, EmailMessage]:
    found = _mailbox(request).find(request.path_params["number"])
    if found is None:
        raise HTTPException(404, "there is no message of this number")
    return found


def _summary(caught: Caught) -> dict[str, object]:
    return {
        "id": caught.id,
        "to": list(caught.to),
        "subject": caught.subject,
        "received_at": caught.received_at.isoformat(),
    }


def _row(caught: Caught) -> str:
    received_at = escape(caught.received_at.isoformat(sep=" ", timespec="seconds"))
    link = f'<a href="/view/{caught.id}">{escape(caught.subject or "(no subject)")}</a>'
    return f"<tr><td>{received_at}</td><td>{escape(', '.join(caught.to))}</td><td>{link}</td></tr>"


def _document(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>{body}</body></html>"
    )


def _page(html: str, policy: str) -> Response:
    return HTMLResponse(html, headers={"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"})


if __name__ == "__main__":
    main()
