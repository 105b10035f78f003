"""Send a call to its provider under the merchant's key, metered by `tollgate_meter`, and relay the answer."""

import asyncio
from collections.abc import Mapping

import httpx2
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from api.context import Serving
from api.gateway import passing
from api.gateway.allowances import OutputLimits
from api.gateway.refusals import ProviderNotSetUp
from api.gateway.relay import Relay
from api.gateway.telling import KeyRefusals
from domain.config import Settings
from domain.kernel.call import Environment, Principal
from domain.kernel.ids import encode
from tollgate_meter import AsyncMeterTransport, TollsClient, gate
from tollgate_meter.operations import Found
from tollgate_meter.tolls import HOLD_S

# A provider thinks at most so long between two words, and the whole answer takes at most CALL_WITHIN_S. SDKs wait ten
# minutes for an answer without a stream, and a hold lives as long: whoever gives up before that pays for nothing.
TIMEOUT = httpx2.Timeout(connect=10.0, read=HOLD_S - 10.0, write=30.0, pool=5.0)
CALL_WITHIN_S = 1_800.0
LIMITS = httpx2.Limits(max_connections=1_000, max_keepalive_connections=100)
# What the provider says of the merchant's key is for the merchant.
KEY_REFUSED = frozenset((401, 403))
_REDIRECTS, _ERRORS = 300, 400
_CUSTOMER, _OUTPUT_LIMIT = "tollgate_customer", "tollgate_output_limit"
_log = structlog.get_logger()


class Proxy:
    """Holds the connections to providers, and for each environment the way to Tollgate's own routes."""

    def __init__(self, settings: Settings, app: ASGIApp, inner: httpx2.AsyncBaseTransport | None) -> None:
        """Open no connection yet. The product's keys come from `gateway_keys`: at most one for each environment."""
        self._keys: Mapping[str, str] = {
            "openai": settings.openai_key,
            "anthropic": settings.anthropic_key,
            "gemini": settings.gemini_key,
            "mistral": settings.mistral_key,
        }
        self._output_limits = OutputLimits()
        self._refusals = KeyRefusals()
        self._inner = inner or httpx2.AsyncHTTPTransport(limits=LIMITS)
        host = settings.allowed_hosts[0] if settings.allowed_hosts else f"127.0.0.1:{settings.port}"
        self._tolls = {
            environment: TollsClient(
                f"http://{host}", key, transport=httpx2.ASGITransport(app=app, raise_app_exceptions=False)
            )
            for environment in Environment
            for key in settings.gateway_keys
            if key.startswith(f"tg_{environment}_")
        }
        self._metered = {
            environment: AsyncMeterTransport(
                tolls, customer_of=_customer_of, output_limit_of=_output_limit_of, inner=self._inner
            )
            for environment, tolls in self._tolls.items()
        }

    async def send(
        self, serving: Serving, request: Request, principal: Principal, found: Found, body: bytes
    ) -> ASGIApp:
        """Send one call and return its answer. Raises ProviderNotSetUp.

        Redirects are not followed, and what a provider says about the merchant's key is not passed on.
        """
        provider = found.provider
        key = self._keys[provider.key]
        environment, customer_id = principal.environment, principal.customer_id
        assert environment is not None, "a gateway key has one"
        assert customer_id is not None, "and a customer"
        if not key or environment not in self._metered:
            raise ProviderNotSetUp(provider.key)
        sent = httpx2.Request(
            request.method,
            self._url(request, found),
            headers=passing.passed_headers(request.headers, provider, key, has_body=bool(body)),
            content=body,
            extensions={
                "timeout": TIMEOUT.as_dict(),
                _CUSTOMER: encode("customer", customer_id),
                _OUTPUT_LIMIT: await self._output_limits.of(serving, customer_id),
            },
        )
        return await self._answer(serving, self._metered[environment], sent, key, provider.key)

    def _url(self, request: Request, found: Found) -> str:
        """Make the address from the provider's fixed host and the path that was matched; `alt` is Gemini's."""
        query = "?alt=sse" if request.query_params.get("alt") == "sse" else ""
        return f"https://{found.provider.host}/{request.path_params['path']}{query}"

    async def _answer(
        self, serving: Serving, transport: AsyncMeterTransport, sent: httpx2.Request, key: str, provider: str
    ) -> ASGIApp:
        ends_at = asyncio.get_running_loop().time() + CALL_WITHIN_S
        try:
            async with asyncio.timeout_at(ends_at):
                answer = await transport.handle_async_request(sent)
        except (httpx2.TimeoutException, TimeoutError):
            return _fault(provider, 504, "provider_slow", "The provider did not answer in time.")
        except httpx2.TransportError:
            return _fault(provider, 502, "provider_unreachable", "The provider cannot be reached.")
        if answer.is_closed:
            # Whole from the start: the meter's own refusal, in the place of the provider's answer.
            return Response(answer.content, answer.status_code, dict(answer.headers))
        if _REDIRECTS <= answer.status_code < _ERRORS:
            await answer.aclose()
            return _fault(provider, 502, "provider_redirected", "The provider answered with another address.")
        if answer.status_code in KEY_REFUSED:
            await answer.aclose()
            await self._refusals.tell(serving, provider, answer.status_code)
            return _fault(provider, 502, "provider_refused", "The provider does not accept this service's key.")
        return Relay(answer, key, provider, ends_at)

    async def aclose(self) -> None:
        """Wait until every call is recorded, and close the connections."""
        for tolls in self._tolls.values():
            await tolls.aclose()
        await self._inner.aclose()


def _customer_of(request: httpx2.Request) -> str | None:
    found = request.extensions.get(_CUSTOMER)
    return found if isinstance(found, str) else None


def _output_limit_of(request: httpx2.Request) -> int | None:
    found = request.extensions.get(_OUTPUT_LIMIT)
    return found if isinstance(found, int) else None


def _fault(provider: str, status: int, code: str, message: str) -> Response:
    """Answer in the place of a provider. The log names it; the reply does not repeat what it said."""
    _log.warning("gateway_provider_failed", provider=provider, code=code)
    told = gate.refusal(status, gate.error_body(code, message), {})
    return Response(told.body, told.status, told.headers)
