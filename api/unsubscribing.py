"""/unsubscribe/{id}: the link in mails that a customer may do without.

A mail program posts to it at one click (RFC 8058). A browser gets a page with a button: what looks through links in
mails follows them with GET, and must not unsubscribe anybody.
"""

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from domain.access.roles import system_principal
from domain.alerts import unsubscribing as links
from domain.alerts.notice import Notice
from domain.alerts.preferring import service as preferring
from domain.kernel.ids import CustomerId, decode

_HEAD = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Mail</title><meta name="robots" content="noindex">'
_ASK = f'{_HEAD}<form method="post"><p>Stop mails of this kind?</p><button>Unsubscribe</button></form>'
_DONE = f"{_HEAD}<p>You will get no more mails of this kind.</p>"
_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}


async def get_unsubscribe(request: Request) -> Response:
    """Ask whether to unsubscribe. Nothing changes."""
    _check(request)
    return HTMLResponse(_ASK, headers=_HEADERS)


async def post_unsubscribe(request: Request) -> Response:
    """Stop mails of the link's kind. Safe to repeat; the body says nothing that matters."""
    customer_id, notice = _check(request)
    runtime = request.app.state.runtime
    call = runtime.call(system_principal("unsubscribe"))
    async with runtime.db.transaction() as tx:
        await preferring.unsubscribe(tx, call, customer_id, notice)
    return HTMLResponse(_DONE, headers=_HEADERS)


def _check(request: Request) -> tuple[CustomerId, Notice]:
    customer_id = CustomerId(decode("customer", request.path_params["id"]))
    query, keys = request.query_params, request.app.state.runtime.unsubscribe_keys
    return customer_id, links.check(keys, customer_id, query.get("notice", ""), query.get("signature", ""))


UNSUBSCRIBE = (
    Route("/unsubscribe/{id}", get_unsubscribe, methods=["GET"]),
    Route("/unsubscribe/{id}", post_unsubscribe, methods=["POST"]),
)
