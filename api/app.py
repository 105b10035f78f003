"""The API process: every URL, the order of the middleware, and what is opened at its start. Read this file first.

POST /graphql               queries and mutations          api/graphql
WS   /graphql               live data                      api/graphql (graphql-transport-ws)
POST /v1/events             usage, in bulk                 api/rest/events.py
GET  /v1/events             what happened, in order        api/rest/feed.py
GET  /api/subscription/...  reads of the LLM product       api/rest/subscription.py
GET  /api/billing/...       subscribe, cancel, usage …   api/rest/billing.py
     /api/billing/payment-methods…  payment methods      api/rest/methods.py
GET  /api/openapi.json      what REST offers               api/rest/openapi.py
POST /v1/check              may this be used?              api/rest/limits.py
POST /v1/reservations…      hold, extend, settle, release  api/rest/limits.py
GET  /v1/invoices/{id}/pdf  an invoice as a file          api/rest/files.py
GET  /v1/credit-notes/{id}/pdf  a credit note as a file   api/rest/files.py
GET  /documents/{id}        the same, by a signed link     api/rest/files.py
POST /gateway/{provider}/…  calls to LLM providers         api/gateway
POST /api/webhooks/stripe   what Stripe tells              api/stripe_webhook.py
POST /hooks/mail            what the mail provider tells   api/mail_hook.py
GET, POST /unsubscribe/{id} the link in mails              api/unsubscribing.py
GET  /healthz               the process answers
GET  /readyz                so does Postgres, at a revision that this version knows
GET  /metrics               what waits, for monitoring     api/metrics.py
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from api.at_once import AtOnce
from api.auth import Authenticator
from api.context import Serving
from api.gateway.door import GatewayDoor
from api.graphql.schema import schema
from api.graphql.view import HttpEndpoint, SocketView
from api.hosts import HostCheck, Hosts
from api.mail_hook import post_mail_reports
from api.metrics import METRICS
from api.problems import PASSING_FAULTS, on_crash, on_passing_fault, on_refusal
from api.rest.billing import BILLING
from api.rest.events import post_events
from api.rest.exports import EXPORTS
from api.rest.feed import FEED
from api.rest.files import FILES
from api.rest.limits import post_check, post_extend, post_release, post_reservation, post_settle
from api.rest.methods import METHODS
from api.rest.openapi import get_openapi
from api.rest.subscription import READS
from api.stripe_webhook import post_stripe_event
from api.unrouted import UNROUTED
from api.unsubscribing import UNSUBSCRIBE
from domain.access.roles import system_principal
from domain.config import Settings
from domain.db import DATABASE_ERRORS
from domain.kernel.errors import DomainError
from domain.limits.reserving.service import Reserver
from domain.runtime import Runtime, open_runtime
from domain.usage.recording.service import Recorder
from migrations.expecting import DatabaseOlder, check_revision

READY_WITHIN_S = 5.0
LIMITS = (
    Route("/v1/check", post_check, methods=["POST"]),
    Route("/v1/reservations", post_reservation, methods=["POST"]),
    Route("/v1/reservations/{id}/extend", post_extend, methods=["POST"]),
    Route("/v1/reservations/{id}/settle", post_settle, methods=["POST"]),
    Route("/v1/reservations/{id}/release", post_release, methods=["POST"]),
)
# Those of them that memory can answer.
REMEMBERED = {"/v1/check": post_check, "/v1/reservations": post_reservation}
# What Stripe, the mail provider and mail programs call: a signature stands in for a credential.
SIGNED = (
    Route("/api/webhooks/stripe", post_stripe_event, methods=["POST"]),
    Route("/hooks/mail", post_mail_reports, methods=["POST"]),
    *UNSUBSCRIBE,
)


async def healthz(_: Request) -> Response:
    """Answer that the process runs."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> Response:
    """Answer whether requests can be served: 200, or 503 while Postgres is out of reach or at an older revision."""
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            await check_revision(request.app.state.runtime.db)
    except DATABASE_ERRORS:
        return JSONResponse({"status": "unavailable", "reason": "Postgres does not answer"}, 503)
    except DatabaseOlder as error:
        return JSONResponse({"status": "unavailable", "reason": error.message}, 503)
    return JSONResponse({"status": "ok"})


HEALTH = (Route("/healthz", healthz), Route("/readyz", readyz), *METRICS)


def serving_of(runtime: Runtime) -> Serving:
    """Make what one API process holds beside its runtime."""
    present, *before = (each.encode() for each in (runtime.settings.key_pepper, *runtime.settings.key_peppers_before))
    authenticator = Authenticator(runtime.db, present, runtime.verifier, before=before)
    recorder = Recorder(runtime.db, runtime.wakeups)
    holder = runtime.call(system_principal("limits")).id
    reserver = Reserver(runtime.db, recorder, runtime.catalogue, holder=holder, now=runtime.now)
    return Serving(runtime, authenticator, recorder, reserver)


def create_app(settings: Settings, opened: Callable[[Settings], Awaitable[Runtime]] = open_runtime) -> Starlette:
    """Build the application; nothing is opened before the server starts its lifespan, and then by `opened`."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        runtime = await opened(settings)
        serving = serving_of(runtime)
        app.state.runtime, app.state.serving = runtime, serving
        endpoint.serve(serving)
        sockets.serve(serving)
        at_once.serve(serving)
        serving.recorder.start()
        serving.limits.start()
        try:
            yield
        finally:
            await gateway.close()
            await serving.limits.stop()
            await serving.recorder.stop()
            await runtime.close()

    endpoint, sockets, gateway = HttpEndpoint(schema), SocketView(schema), GatewayDoor(settings)
    hosts = Hosts(settings)
    at_once = AtOnce(hosts, REMEMBERED)
    gateway.app = app = Starlette(
        lifespan=lifespan,
        # Looked through in this order: first what is asked before each of a product's calls.
        routes=[
            Route("/graphql", endpoint, methods=["POST"]),
            *LIMITS,
            WebSocketRoute("/graphql", sockets),
            Route("/v1/events", post_events, methods=["POST"]),
            *(each.route for each in (FEED, *READS, *BILLING, *METHODS)),
            Route("/api/openapi.json", get_openapi, methods=["GET"]),
            *FILES,
            *EXPORTS,
            *gateway.routes,
            *SIGNED,
            *HEALTH,
        ],
        middleware=[Middleware(HostCheck, hosts=hosts)],
        exception_handlers={
            DomainError: on_refusal,
            **dict.fromkeys(PASSING_FAULTS, on_passing_fault),
            **UNROUTED,
            Exception: on_crash,
        },
    )
    app.state.gateway, app.state.at_once = gateway, at_once
    return app
