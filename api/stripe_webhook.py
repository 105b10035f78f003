"""POST /api/webhooks/stripe: verify, store once, answer 200 after the commit. A worker does the rest."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.bodies import read_body
from api.problems import problem_response
from domain.access.roles import system_principal
from domain.adapters.stripe_events import SignatureRejected, verify
from domain.webhooks import service as webhooks

BODY_BYTES_MAX = 1_048_576
# Stripe's documentation and its tools expect 400 for a bad signature.
STATUS_REJECTED = 400


async def post_stripe_event(request: Request) -> Response:
    """Receive one event. A repeated one and one of no interest are answered with 200 too."""
    runtime = request.app.state.runtime
    body = await read_body(request, BODY_BYTES_MAX)
    try:
        event = verify(body, request.headers.get("stripe-signature"), runtime.webhook_secrets, runtime.now())
    except SignatureRejected as rejected:
        return problem_response(rejected, status=STATUS_REJECTED)
    call = runtime.call(system_principal("stripe_webhook"))
    async with runtime.db.transaction() as tx:
        await webhooks.receive(tx, call, event)
    return JSONResponse({"received": True})
