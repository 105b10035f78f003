"""Tell the sandbox where to deliver events, once per home, and keep the secret that it shows only then."""

import json
from dataclasses import field
from typing import Any

import httpx

from api.local.errors import LocalStackError
from api.local.home import Home, write_private
from domain.kernel.values import dataclass
from domain.webhooks.inbox import API_VERSION, KINDS

PATH = "/api/webhooks/stripe"
TIMEOUT_S = 10.0
# Every type of event that is followed, or kept so that it can be.
EVENTS = tuple(sorted(KINDS))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The registered endpoint and the secret that its events are signed with."""

    id: str
    secret: str = field(repr=False)


def register(home: Home, sandbox_url: str, key: str, api_url: str) -> str:
    """Register our endpoint, or bring the one of an earlier start to the present address; returns its secret.

    Safe to repeat, also after it was interrupted: an endpoint whose secret was not kept is removed. Raises
    LocalStackError.
    """
    url = f"{api_url}{PATH}"
    headers = {"Authorization": f"Bearer {key}", "Stripe-Version": API_VERSION}
    try:
        with httpx.Client(base_url=sandbox_url, headers=headers, timeout=TIMEOUT_S, trust_env=False) as client:
            return _ensure(client, home, url).secret
    except httpx.HTTPError as error:
        raise LocalStackError(
            f"the sandbox does not take our webhook endpoint ({error}); its log is {home.logs / 'sandbox.log'}"
        ) from error


def _ensure(client: httpx.Client, home: Home, url: str) -> Endpoint:
    kept = _read(home)
    found: dict[str, Any] = {each["id"]: each for each in _ask(client, "GET", "/v1/webhook_endpoints")["data"]}
    for unknown in found.keys() - {kept.id if kept else ""}:
        _ask(client, "DELETE", f"/v1/webhook_endpoints/{unknown}")
    if kept is None or kept.id not in found:
        return _create(client, home, url)
    present = found[kept.id]
    if (present["url"], sorted(present["enabled_events"])) != (url, sorted(EVENTS)):
        _ask(client, "POST", f"/v1/webhook_endpoints/{kept.id}", {"url": url, "enabled_events[]": list(EVENTS)})
    return kept


def _create(client: httpx.Client, home: Home, url: str) -> Endpoint:
    given = {"url": url, "api_version": API_VERSION, "enabled_events[]": list(EVENTS)}
    answer = _ask(client, "POST", "/v1/webhook_endpoints", given)
    endpoint = Endpoint(answer["id"], answer["secret"])
    write_private(home.secrets / "webhook_endpoint", json.dumps({"id": endpoint.id, "secret": endpoint.secret}) + "\n")
    return endpoint


def _ask(client: httpx.Client, verb: str, path: str, form: dict[str, Any] | None = None) -> Any:
    response = client.request(verb, path, data=form)
    response.raise_for_status()
    return response.json()


def _read(home: Home) -> Endpoint | None:
    file = home.secrets / "webhook_endpoint"
    if not file.exists():
        return None
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return Endpoint(str(kept["id"]), str(kept["secret"]))
    except (ValueError, KeyError, TypeError):
        return None
