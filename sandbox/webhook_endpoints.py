"""Webhook endpoints: where events are delivered. Only loopback addresses, so that nothing leaves the machine."""

from typing import Any
from urllib.parse import urlsplit

from sandbox import ids
from sandbox.call import Call, operation
from sandbox.contract_index import api_version
from sandbox.errors import invalid
from sandbox.events import ENDPOINTS_MAX
from sandbox.listing import PAGING, page
from sandbox.metadata import merged
from sandbox.store import Document, Query

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
SECRET_LENGTH = 32


@operation("post", "/v1/webhook_endpoints", takes="url enabled_events api_version description metadata")
def create(call: Call) -> Document:
    """Register an endpoint; the signing secret is answered here and never again."""
    if call.store.count(Query("webhook_endpoint")) >= ENDPOINTS_MAX:
        raise invalid(f"You have reached the maximum of {ENDPOINTS_MAX} test webhook endpoints.")
    secret = f"whsec_{ids.letters(SECRET_LENGTH)}"
    endpoint: Document = {
        "id": ids.new("we"),
        "object": "webhook_endpoint",
        "api_version": _version(call.params.get("api_version")),
        "application": None,
        "created": call.now,
        "description": call.params.get("description") or None,
        "enabled_events": _events(call.params["enabled_events"]),
        "livemode": False,
        "metadata": merged({}, call.params.get("metadata")),
        "status": "enabled",
        "url": _loopback(call.params["url"]),
        "_secret": secret,
    }
    call.store.put(endpoint)
    return endpoint | {"secret": secret}


def _version(given: str | None) -> str | None:
    if given not in {None, api_version()}:
        raise invalid(f"The sandbox renders events in the API version {api_version()} only.", param="api_version")
    return given


def _events(given: Any) -> list[str]:
    if not given:
        raise invalid("enabled_events must name at least one event.", param="enabled_events")
    return list(given)


def _loopback(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if host not in LOOPBACK or parts.scheme not in {"http", "https"}:
        raise invalid(
            "Invalid URL: the sandbox delivers to http://127.0.0.1, localhost or [::1] only.",
            code="url_invalid",
            param="url",
        )
    return url


@operation("get", "/v1/webhook_endpoints/{webhook_endpoint}")
def retrieve(call: Call) -> Document:
    """Read an endpoint, without its secret."""
    return call.target("webhook_endpoint")


@operation("post", "/v1/webhook_endpoints/{webhook_endpoint}", takes="url enabled_events description metadata disabled")
def update(call: Call) -> Document:
    """Change an endpoint; deliveries to a disabled one are dropped."""
    given = call.params
    endpoint = call.target("webhook_endpoint")
    endpoint["metadata"] = merged(endpoint["metadata"], given.get("metadata"))
    if "url" in given:
        endpoint["url"] = _loopback(given["url"])
    if "enabled_events" in given:
        endpoint["enabled_events"] = _events(given["enabled_events"])
    if "description" in given:
        endpoint["description"] = given["description"] or None
    if "disabled" in given:
        endpoint["status"] = "disabled" if given["disabled"] else "enabled"
    return call.store.put(endpoint)


@operation("delete", "/v1/webhook_endpoints/{webhook_endpoint}")
def delete(call: Call) -> Document:
    """Remove an endpoint; deliveries that wait for it are dropped."""
    endpoint = call.target("webhook_endpoint")
    return call.store.put({"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True})


@operation("get", "/v1/webhook_endpoints", takes=PAGING)
def list_endpoints(call: Call) -> Document:
    """List endpoints, without their secrets."""
    return page(call, "webhook_endpoint", "/v1/webhook_endpoints")
