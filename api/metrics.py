"""GET /metrics: what waits in the system, for monitoring, against a token of its own."""

import asyncio
import hmac

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.auth import bearer
from api.problems import problem_response
from api.unrouted import on_unknown_address
from domain.access.credentials import CredentialsMissing, CredentialsRejected
from domain.monitoring.gauge import Gauge, written
from domain.monitoring.store import list_gauges

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MEASURED_WITHIN_S = 10.0


async def get_metrics(request: Request) -> Response:
    """Answer with gauges: 404 without TOLLGATE_METRICS_TOKEN, 401 without that token, 503 while Postgres is away."""
    runtime, serving = request.app.state.runtime, request.app.state.serving
    wanted = runtime.settings.metrics_token
    if not wanted:
        return await on_unknown_address(request, Exception())
    given = bearer(request.headers.get("authorization"))
    if given is None:
        return problem_response(CredentialsMissing())
    if not hmac.compare_digest(given.encode(), wanted.encode()):
        return problem_response(CredentialsRejected())
    async with asyncio.timeout(MEASURED_WITHIN_S), runtime.db.transaction() as tx:
        gauges = await list_gauges(tx, runtime.now())
    return Response(written([*gauges, Gauge("tollgate_sockets", serving.sockets)]), media_type=MEDIA_TYPE)


METRICS = (Route("/metrics", get_metrics),)
