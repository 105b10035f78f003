"""The OpenAPI document says what the routes are."""

import re
from decimal import Decimal
from itertools import product
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.routing import Route

from api.app import create_app
from api.problems import HTTP_STATUS
from api.rest.billing import BILLING
from api.rest.limits import Endpoint
from api.rest.methods import METHODS
from api.rest.operations import OPERATIONS
from api.rest.subscription import READS
from api.rest.writes import Write
from domain.access.roles import Permission
from domain.config import Settings
from domain.customers.service import CustomerNotFound
from domain.limits.request import AccessSuspended, LimitsBusy, LimitsUnavailable, NothingSubscribed
from domain.limits.reservation import ReservationClosed, ReservationNotFound
from tests.api.graphql.site import Site

_exact = msgspec.json.Decoder(float_hook=Decimal)
# GraphQL describes itself, and what the gateway passes on is described by its provider.
ELSEWHERE = {"/graphql", "/gateway/{provider}/{path:path}"}


def app() -> Starlette:
    """Make the application, which has all routes."""
    return create_app(Settings(key_pepper="p" * 32, hs256_secret="s" * 32, dev=True))


def routes() -> set[tuple[str, str]]:
    """Give each method and path that the application answers, but for those described elsewhere."""
    found = [route for route in app().routes if isinstance(route, Route) and route.path not in ELSEWHERE]
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


async def test_a_body_is_described_by_what_it_is_decoded_as(shared: Site) -> None:
    taken: dict[tuple[str, str], type[msgspec.Struct]] = {
        (each.method, each.path): each.shape
        for each in (*BILLING, *METHODS)
        if isinstance(each, Write) and each.shape.__struct_fields__
    }
    endpoints = [(each.path, each.endpoint) for each in app().routes if isinstance(each, Route)]
    taken |= {
        ("POST", path): each.shape
        for path, each in endpoints
        if isinstance(each, Endpoint) and each.shape.__struct_fields__
    }
    assert {(each.method, each.path): each.shape for each in OPERATIONS if each.shape is not None} == taken
    document = await described(shared)
    schemas = document["components"]["schemas"]
    for (method, path), shape in taken.items():
        content = document["paths"][path][method.lower()]["requestBody"]["content"]["application/json"]
        assert content["schema"] == {"$ref": f"#/components/schemas/{shape.__name__}"}
        # The example is a body that is taken, and every member of it is described.
        msgspec.convert(content["example"], shape)
        assert set(schemas[shape.__name__]["properties"]) == set(shape.__struct_fields__)
    assert schemas["ReserveBody"]["required"] == ["customer", "type", "id"]
    assert schemas["ReserveBody"]["properties"]["expires_in_s"] == {
        "type": "integer",
        "description": "For how long to hold it from now on.",
        "minimum": 1,
        "maximum": 3600,
        "default": 600,
    }


async def test_what_limits_answer_is_described_with_its_headers(shared: Site) -> None:
    document = await described(shared)
    reserve = document["paths"]["/v1/reservations"]["post"]["responses"]
    assert [status for status in reserve if status < "400"] == ["200", "201"]
    assert reserve["429"]["content"]["application/json"]["example"]["allowed"] is False
    assert set(reserve["429"]["content"]) == {"application/json", "application/problem+json"}
    assert set(reserve["429"]["headers"]) == {"RateLimit", "RateLimit-Policy", "Retry-After"}
    assert set(reserve["201"]["headers"]) == {"RateLimit", "RateLimit-Policy"}
    refusals = (
        CustomerNotFound,
        NothingSubscribed,
        AccessSuspended,
        LimitsBusy,
        LimitsUnavailable,
        ReservationClosed,
        ReservationNotFound,
    )
    for path in ("/v1/check", "/v1/reservations", "/v1/reservations/{id}/extend"):
        described_ones = set(document["paths"][path]["post"]["responses"])
        assert {str(HTTP_STATUS[each.kind]) for each in refusals} <= described_ones


async def test_every_route_names_its_permission_but_for_those_that_anyone_may_ask(shared: Site) -> None:
    document = await described(shared)
    open_to_anyone = {
        path for path, methods in document["paths"].items() for each in methods.values() if "x-permission" not in each
    }
    # Stripe and the mail provider sign what they send, and we sign links to files and those that stop mails.
    signed = {"/api/webhooks/stripe", "/documents/{id}", "/exports/{id}", "/hooks/mail", "/unsubscribe/{id}"}
    # Monitoring has a token of its own.
    assert open_to_anyone == {"/healthz", "/readyz", "/metrics", "/api/openapi.json", *signed}
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


async def test_whatever_is_sent_the_answer_is_one_that_is_described(shared: Site) -> None:
    document = await described(shared)
    ada = await shared.world.customer(on="2026-04-01")
    tokens = (None, shared.member(ada.id), await shared.key("usage:write", "limit:check", product="llm"))
    wild = "?limit=zz&after=zz&before=zz&hours=q&by=q&product=%00&customer=zz&types=zz&notice=q&signature=q&mode=q"
    bodies = {"get": (None,), "delete": (None,)}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            url = re.sub(r"\{[a-z_]+\}", "x", path)
            for token, query, body in product(tokens, ("", wild), bodies.get(method, (b"{", b"{}", b"[{}]"))):
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                answer = await shared.client.request(method, url + query, content=body, headers=headers)
                assert str(answer.status_code) in operation["responses"], (method, url + query, body, answer.text)
