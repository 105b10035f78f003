"""The OpenAPI document says what the routes are."""

from decimal import Decimal
from typing import Any

import msgspec
from starlette.routing import Route

from api.app import create_app
from api.rest.billing import BILLING
from api.rest.methods import METHODS
from api.rest.operations import OPERATIONS
from api.rest.subscription import READS
from domain.access.roles import Permission
from domain.config import Settings
from tests.api.graphql.site import Site

_exact = msgspec.json.Decoder(float_hook=Decimal)
# GraphQL describes itself, and what the gateway passes on is described by its provider.
ELSEWHERE = {"/graphql", "/gateway/{provider}/{path:path}"}


def routes() -> set[tuple[str, str]]:
    """Give each method and path that the application answers, but for those described elsewhere."""
    app = create_app(Settings(key_pepper="p" * 32, hs256_secret="s" * 32, dev=True))
    found = [route for route in app.routes if isinstance(route, Route) and route.path not in ELSEWHERE]
    return {(method, route.path) for route in found for method in (route.methods or {"GET"}) - {"HEAD"}}


async def described(site: Site) -> dict[str, Any]:
    """Read the document, without a credential."""
    answer = await site.client.get("/api/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    found: dict[str, Any] = _exact.decode(answer.content)
    return found


async def test_every_route_is_described_and_nothing_else_is(shared: Site) -> None:
    document = await described(shared)
    assert document["openapi"] == "3.1.0"
    found = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert found == routes()


async def test_every_operation_has_an_example_a_name_of_its_own_and_its_parameters(shared: Site) -> None:
    document = await described(shared)
    operations = [each for methods in document["paths"].values() for each in methods.values()]
    names = [each["operationId"] for each in operations]
    assert len(set(names)) == len(names)
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["summary"]
            [answered] = operation["responses"]["200"]["content"].values()
            assert answered["example"]
            in_path = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert {f"{{{name}}}" for name in in_path} == {part for part in path.split("/") if part.startswith("{")}
            for parameter in operation["parameters"]:
                assert parameter["required"] is (parameter["in"] == "path")
                assert parameter["example"] not in (None, "")
                assert parameter["schema"]
            for body in operation.get("requestBody", {"content": {}})["content"].values():
                assert body["example"]


def test_the_permission_that_is_described_is_the_one_that_is_asked_for() -> None:
    described_ones: dict[tuple[str, str], Permission | None] = {
        (each.method, each.path): each.permission for each in OPERATIONS
    }
    asked_for = {
        (method, each.path): each.permission
        for each in (*READS, *BILLING, *METHODS)
        for method in (each.route.methods or set()) - {"HEAD"}
    }
    assert {which: described_ones[which] for which in asked_for} == asked_for
    assert (len(READS), len(BILLING), len(METHODS), len(asked_for)) == (6, 7, 5, 18)


async def test_every_route_names_its_permission_but_for_those_that_anyone_may_ask(shared: Site) -> None:
    document = await described(shared)
    open_to_anyone = {
        path for path, methods in document["paths"].items() for each in methods.values() if "x-permission" not in each
    }
    # Stripe and the mail provider sign what they send, and we sign links to documents and those that stop mails.
    signed = {"/api/webhooks/stripe", "/documents/{id}", "/hooks/mail", "/unsubscribe/{id}"}
    assert open_to_anyone == {"/healthz", "/readyz", "/api/openapi.json", *signed}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if "x-permission" in operation:
                assert operation["x-permission"] in set(Permission)
                answer = await shared.client.request(method, path.replace("{user_id}", "cus_x"), content=b"[]")
                assert answer.status_code == 401, path


async def test_numbers_of_examples_are_written_as_they_were_answered(shared: Site) -> None:
    text = (await shared.client.get("/api/openapi.json")).text
    assert '"usage_percentages":{' in text.replace(" ", "").replace("\n", "")
    assert "16.0" in text
    assert "79.00" in text
