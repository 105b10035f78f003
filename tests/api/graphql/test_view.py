"""GraphQL over HTTP: what the endpoint refuses, and what an answer looks like."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import structlog
from graphql import get_introspection_query

from api.graphql.view import BODY_BYTES_MAX
from domain.db import Database
from domain.kernel.ids import encode
from domain.payments.port import GatewayUnavailable
from domain.vault import Vault
from tests.api.graphql.site import Site
from tests.api.graphql.test_tour import start

VIEWER = "{ viewer { kind role } }"


async def _codes(site: Site, document: str, **variables: Any) -> list[str]:
    """Execute a document that must be refused before it begins, and return the codes."""
    answer = await site.run(document, site.staff(), **variables)
    assert "data" not in answer
    return [error["extensions"]["code"] for error in answer["errors"]]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'[{"query": "{ viewer { kind } }"}]',
        b'"{ viewer { kind } }"',
        b"{}",
        b'{"query": 1}',
        b'{"query": null}',
        b'{"query": "{ viewer { kind } }", "variables": []}',
        b'{"query": "{ viewer { kind } }", "operationName": 1}',
        b'{"query": "\xff"}',
        b'{"query": "{ viewer { kind } }", "variables": {"a": "\\ud800"}}',
        b'{"query": "{ viewer { kind } }", "variables": {"a": ["\\u0000"]}}',
        b'{"query": "{ viewer { kind } }", "variables": {"\\u0000": 1}}',
        b'{"query": "{ viewer { kind } }", "variables": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b'{"query": "{ viewer { kind } }", "variables": {"a": ' + b"[" * 900_000,
    ],
    ids=lambda body: str(body[:40]),
)
async def test_a_body_that_asks_for_nothing_is_answered_with_400(shared: Site, body: bytes) -> None:
    answer = await shared.post(body, shared.staff())
    assert (answer.status_code, answer.json()["code"]) == (400, "request_malformed")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_that_is_too_large_is_not_read_to_its_end(shared: Site) -> None:
    answer = await shared.post(b" " * (BODY_BYTES_MAX + 1), shared.staff())
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_another_content_type_is_refused(shared: Site, media_type: str) -> None:
    answer = await shared.post({"query": VIEWER}, shared.staff(), headers={"Content-Type": media_type})
    assert (answer.status_code, answer.json()["code"]) == (415, "content_type_wrong")


async def test_a_charset_beside_the_content_type_is_fine(shared: Site) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert (await shared.post({"query": VIEWER}, shared.staff(), headers=headers)).status_code == 200


async def test_get_is_not_served(shared: Site) -> None:
    answer = await shared.client.get("/graphql", params={"query": VIEWER})
    assert answer.status_code == 405


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("", "graphql_invalid"),
        ("{", "graphql_invalid"),
        ("{ viewer { shoeSize } }", "graphql_invalid"),
        ("query A { viewer { kind } } query B { viewer { kind } }", "graphql_invalid"),
        ("fragment F on Viewer { kind }", "graphql_invalid"),
        ("subscription { usageChanged(customerId: 1) { sequence } }", "graphql_invalid"),
        ('{ customers(externalId: "a\\u0000b") { nodes { id } } }', "graphql_invalid"),
        ('{ customers(externalId: "a\\u{0}b") { nodes { id } } }', "graphql_invalid"),
        ('{ customers(externalId: "\\ud800") { nodes { id } } }', "graphql_invalid"),
        ("query($f: Int!) { customers(first: $f) { nodes { id } } }", "graphql_invalid"),
        ("{ " + " ".join(f"a{n}: viewer {{ kind }}" for n in range(51)) + " }", "query_too_large"),
        ("{ " + "viewer { kind } " * 21 + "}", "query_too_large"),
        ("{ viewer { " + "kind " * 500 + "} }", "query_too_large"),
        ("{ viewer { kind } }" + " " * 50_000, "query_too_large"),
        (
            "{ __schema { types { fields { type " + "{ ofType " * 12 + "{ name }" + " }" * 12 + " } } } }",
            "query_too_large",
        ),
        (
            "{ ...F0 } "
            + " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(40))
            + " fragment F40 on Query { viewer { kind } }",
            "query_too_large",
        ),
        ("{" * 2_000, "graphql_invalid"),
        ("{ customers(first: " + "[" * 2_000, "graphql_invalid"),
    ],
    ids=lambda value: value[:30],
)
async def test_a_document_that_cannot_be_served_is_refused_before_it_begins(
    shared: Site, document: str, code: str
) -> None:
    assert set(await _codes(shared, document)) == {code}


async def test_the_whole_schema_can_be_asked_for(shared: Site) -> None:
    data = await shared.read(get_introspection_query(), shared.staff())
    assert data["__schema"]["queryType"]["name"] == "Query"


async def test_an_operation_is_chosen_by_its_name(shared: Site) -> None:
    document = "query A { viewer { kind } } query B { viewer { role } }"
    for name, data in (("A", {"kind": "STAFF"}), ("B", {"role": "admin"})):
        answer = await shared.post({"query": document, "operationName": name}, shared.staff())
        assert answer.json() == {"data": {"viewer": data}}
    answer = await shared.post({"query": document, "operationName": "C"}, shared.staff())
    assert answer.json()["errors"][0]["extensions"]["code"] == "graphql_invalid"


async def test_an_enum_that_does_not_exist_is_the_callers_fault(shared: Site) -> None:
    document = "query($e: Environment) { customers(environment: $e) { nodes { id } } }"
    assert await _codes(shared, document, e="MOON") == ["graphql_invalid"]


@pytest.mark.parametrize("first", [-1, 101])
async def test_a_page_out_of_bounds_is_refused_with_its_code(shared: Site, first: int) -> None:
    answer = await shared.run("query($f: Int!) { customers(first: $f) { nodes { id } } }", shared.staff(), f=first)
    assert answer["data"] is None
    assert answer["errors"][0]["extensions"] == {"code": "page_malformed"}


@pytest.mark.parametrize("cursor", ["", "x", "é" * 22, "A" * 23])
async def test_a_cursor_that_no_page_returned_is_refused(shared: Site, cursor: str) -> None:
    answer = await shared.run("query($a: String) { customers(after: $a) { nodes { id } } }", shared.staff(), a=cursor)
    assert answer["errors"][0]["extensions"] == {"code": "page_malformed"}


async def test_a_page_tells_whether_another_follows(site: Site) -> None:
    for _ in range(3):
        await site.world.customer(on="2026-01-31", card=None)
    document = """query($f: Int!, $a: String) {
        customers(first: $f, after: $a) { edges { cursor node { name } } pageInfo { hasNextPage endCursor } } }"""
    page = (await site.read(document, site.staff(), f=2))["customers"]
    assert [edge["node"]["name"] for edge in page["edges"]] == ["Customer 3", "Customer 2"]
    assert page["pageInfo"] == {"hasNextPage": True, "endCursor": page["edges"][-1]["cursor"]}
    page = (await site.read(document, site.staff(), f=2, a=page["pageInfo"]["endCursor"]))["customers"]
    assert [edge["node"]["name"] for edge in page["edges"]] == ["Customer 1"]
    assert page["pageInfo"]["hasNextPage"] is False
    page = (await site.read(document, site.staff(), f=0))["customers"]
    assert page == {"edges": [], "pageInfo": {"hasNextPage": True, "endCursor": None}}


async def test_a_full_page_of_a_hundred_tells_of_the_row_behind_it(site: Site) -> None:
    document = "{ providerPrices(first: 100) { nodes { id } pageInfo { hasNextPage } } testClocks { nodes { id } } }"
    prices = (await site.read(document, site.staff()))["providerPrices"]
    assert (len(prices["nodes"]), prices["pageInfo"]["hasNextPage"]) == (100, True)
    async with site.runtime.db.transaction() as tx:
        driver = await tx.raw()
        # 101 clocks, so that the services' own bound is what counts.
        await driver.execute(
            """INSERT INTO test_clock SELECT gen_random_uuid(), 'c', now(), NULL, 'ready', NULL, now(), 1
            FROM generate_series(1, 101)"""
        )
    clocks = (await site.read("{ testClocks(first: 100) { nodes { id } pageInfo { hasNextPage } } }", site.staff()))[
        "testClocks"
    ]
    assert (len(clocks["nodes"]), clocks["pageInfo"]["hasNextPage"]) == (100, True)


async def test_an_answer_has_the_media_type_that_was_asked_for(shared: Site) -> None:
    modern = {"Accept": "application/graphql-response+json"}
    good = await shared.post({"query": VIEWER}, shared.staff(), headers=modern)
    assert (good.status_code, good.headers["content-type"]) == (200, "application/graphql-response+json")
    bad = await shared.post({"query": "{"}, shared.staff(), headers=modern)
    assert (bad.status_code, bad.headers["content-type"]) == (400, "application/graphql-response+json")
    # urql and browsers accept event streams too; they get JSON.
    plain = await shared.post({"query": "{"}, shared.staff(), headers={"Accept": "text/event-stream, application/json"})
    assert (plain.status_code, plain.headers["content-type"]) == (200, "application/json")


async def test_nobody_comes_in_without_a_credential_that_is_good(shared: Site) -> None:
    other = "x" * 32
    for token, code in (
        (None, "credentials_missing"),
        ("", "credentials_missing"),
        ("nonsense", "credentials_rejected"),
        ("tg_test_" + "a" * 43, "credentials_rejected"),
        (shared.token(kind="staff", role="admin", lives=-timedelta(seconds=1)), "credentials_rejected"),
        (shared.token(kind="staff", role="emperor"), "credentials_rejected"),
        (shared.staff().rpartition(".")[0] + "." + other, "credentials_rejected"),
    ):
        answer = await shared.post({"query": VIEWER}, token)
        assert (answer.status_code, answer.json()["code"]) == (401, code)
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_revoked_key_is_refused(site: Site) -> None:
    key = await site.key("customer:read")
    [made] = (await site.read("{ apiKeys { nodes { id } } }", site.staff()))["apiKeys"]["nodes"]
    await site.change("revokeApiKey", "... on ApiKeyRevoked { key { id } }", site.staff(), id=made["id"])
    answer = await site.post({"query": VIEWER}, key)
    assert (answer.status_code, answer.json()["code"]) == (401, "credentials_rejected")


async def test_malformed_ids_have_a_code_and_unknown_ones_are_null(shared: Site) -> None:
    answer = await shared.run('{ customer(id: "cus_x") { id } }', shared.staff())
    assert answer == {"data": {"customer": None}, "errors": answer["errors"]}
    assert answer["errors"][0]["extensions"] == {"code": "id_malformed"}
    letters = "0" * 26
    data = await shared.read(
        f"""{{ customer(id: "cus_{letters}") {{ id }} subscription(id: "sub_{letters}") {{ id }}
        invoice(id: "inv_{letters}") {{ id }} testClock(id: "clk_{letters}") {{ id }}
        usage(customerId: "cus_{letters}") {{ version }} plan(product: "llm", key: "none") {{ id }} }}""",
        shared.staff(),
    )
    assert set(data.values()) == {None}


async def test_numbers_in_json_are_exact_whether_a_literal_or_a_variable(shared: Site) -> None:
    _, customer, _ = await start(shared)
    key = await shared.key("usage:write", product="llm")
    # 0.1 + 0.2 tokens cannot be told apart from 0.3 as floating-point numbers; as decimals they are exact.
    document = """mutation($id: ID!, $p: JSON!, $n: JSON!) { recordUsage(input: { events: [
        { id: "a", type: "llm.call", customerId: $id, occurredAt: "2026-01-31T00:00:00Z", properties: $p }
        { id: "b", type: "llm.call", customerId: $id, occurredAt: "2026-01-31T00:00:00Z",
          properties: { provider: "gemini", model: "gemini-2.5-pro", input_tokens: 0.200000000000000001,
                        a: true, b: null, output_tokens: 12345678901234567890, c: $n } }
        { id: "c", type: "llm.call", customerId: $id, occurredAt: "2026-01-31T00:00:00Z", properties: [1] }
    ] }) { ... on UsageRecorded { results { status reason message } } } }"""
    given = b'{"provider": "gemini", "model": "gemini-2.5-pro", "input_tokens": 0.1}'
    variables = {"id": customer, "p": json.loads(given, parse_float=str), "n": "text"}
    body = json.dumps({"query": document, "variables": variables}).replace('"0.1"', "0.1").encode()
    answer = (await shared.post(body, key)).json()
    first, second, third = answer["data"]["recordUsage"]["results"]
    assert (first["status"], second["status"]) == ("COUNTED", "COUNTED")
    assert (third["status"], third["reason"]) == ("REJECTED", "malformed")
    document = "query($id: ID!) { usage(customerId: $id) { subscriptions { meters { key quantity } } } }"
    [used] = (await shared.read(document, shared.staff(), id=customer))["usage"]["subscriptions"]
    counted = {each["key"]: each["quantity"] for each in used["meters"]}
    assert counted["input_tokens"] == "0.300000000000000001"
    assert counted["output_tokens"] == "12345678901234567890"


async def test_a_bare_name_is_no_json(shared: Site) -> None:
    document = """mutation { recordUsage(input: { events: [
        { id: "a", type: "llm.call", customerId: "x", properties: { a: BARE } } ] }) { __typename } }"""
    assert await _codes(shared, document) == ["graphql_invalid"]


@contextmanager
def _breaking(vault: Vault) -> Iterator[None]:
    """Make every name unreadable, as a programmer's error would."""
    kept = vault._masters
    vault._masters = (b"\x02" * 32,)
    try:
        yield
    finally:
        vault._masters = kept


async def test_an_error_that_nobody_expected_is_covered_and_logged_without_the_document(site: Site) -> None:
    ada = await site.world.customer(on="2026-01-31", card=None)
    document = "{ customers(externalId: null) { nodes { name } } viewer { kind } } # ada@example.com"
    asked_for = "query($id: ID!) { customer(id: $id) { name } }"
    with _breaking(site.runtime.db.vault), structlog.testing.capture_logs() as logs:
        answer = await site.run(document, site.staff())
        await site.run(asked_for, site.member(ada.id, "owner"), id=encode("customer", ada.id))
    [error] = answer["errors"]
    assert error["extensions"] == {"code": "internal_error"}
    assert "InvalidTag" not in json.dumps(answer)
    entry, of_member = [each for each in logs if each["event"] == "resolver_crashed"]
    assert (entry["path"], "ada" in str(entry)) == (["customers"], False)
    assert (entry["caller"], entry["customer"]) == ("staff", None)
    assert (of_member["caller"], of_member["customer"]) == ("member", encode("customer", ada.id))


async def test_a_database_that_is_away_is_said_to_be_and_not_called_a_crash(shared: Site) -> None:
    token = shared.staff()
    away = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none", shared.runtime.db.vault, wait_s=1)
    kept, shared.runtime.db = shared.runtime.db, away
    try:
        query = await shared.run("{ customers { nodes { id } } }", token)
        change = await shared.change(
            "createTestClock", "... on TestClockCreated { clock { id } }", token, name="c", nowAt="2026-01-31T00:00:00Z"
        )
        ready = await shared.client.get("/readyz")
        healthy = await shared.client.get("/healthz")
    finally:
        shared.runtime.db = kept
    assert query["errors"][0]["extensions"] == {"code": "database_unreachable"}
    assert (change["__typename"], change["code"]) == ("Unavailable", "database_unreachable")
    assert (ready.status_code, ready.json()["status"], healthy.status_code) == (503, "unavailable", 200)


async def test_a_passing_fault_of_the_gateway_is_a_problem_and_not_remembered(shared: Site) -> None:
    customer = await shared.world.customer(on="2026-01-31", card=None)
    shared.world.gateway.lose("attach_method", "after")
    given = {
        "customerId": encode("customer", customer.id),
        "gatewayMethodId": "pm_card_visa",
        "idempotencyKey": "k",
    }
    success = "... on PaymentMethodAttached { method { last4 } }"
    lost = await shared.change("attachPaymentMethod", success, shared.staff(), **given)
    assert (lost["__typename"], lost["code"]) == ("Unavailable", GatewayUnavailable.code)
    again = await shared.change("attachPaymentMethod", success, shared.staff(), **given)
    assert again["method"]["last4"] == "4242"
