"""Alerts over GraphQL: listed, read and unread, live, and what a customer wants to be told."""

from typing import Any

import pytest

from domain.customers.customer import Customer
from domain.kernel.ids import encode
from tests import make
from tests.api.graphql.site import Site
from tests.api.graphql.socket_client import open_socket
from tests.world import llm_call

ALERTS = """query($id: ID!, $first: Int!, $after: String, $unread: Boolean!) { customer(id: $id) {
    alerts(first: $first, after: $after, unreadOnly: $unread) {
        nodes { id kind step severity limitKey policy used limit percent unit upgrade raisedAt readAt delivery }
        pageInfo { hasNextPage endCursor } } } }"""
RAISED = "subscription($id: ID!) { alertRaised(customerId: $id) { sequence alert { id step readAt } } }"
PREFERENCE = "query($id: ID!) { customer(id: $id) { alertPreference { thresholds unsubscribed weeklyDigest } } }"
MARKED = "... on AlertMarked { alert { id readAt } }"
CHANGED = "... on AlertPreferenceChanged { preference { thresholds unsubscribed weeklyDigest } }"


@pytest.fixture
async def ada(server: Site) -> Customer:
    """Make a customer of the Free plan, which has 100 calls to Gemini a month."""
    made = await server.world.customer(on="2026-01-31")
    await server.world.subscribe(made, "free")
    return made


async def use(server: Site, customer: Customer, calls: int) -> None:
    """Report calls, and let the workers look."""
    await server.world.use("llm", *(llm_call(customer, make.at("2026-01-31"), input_tokens=1) for _ in range(calls)))
    await server.world.drain()


async def listed(
    server: Site, customer: Customer, *, first: int = 10, after: str | None = None, unread: bool = False
) -> Any:
    """Return a page of a customer's alerts."""
    name, token = encode("customer", customer.id), server.member(customer.id, "viewer")
    data = await server.read(ALERTS, token, id=name, first=first, after=after, unread=unread)
    return data["customer"]["alerts"]


async def test_alerts_are_listed_newest_first_and_marked_read_and_unread(server: Site, ada: Customer) -> None:
    await use(server, ada, 80)
    await use(server, ada, 10)
    page = await listed(server, ada, first=1)
    [newest] = page["nodes"]
    assert newest | {"id": ""} == {
        "id": "",
        "kind": "THRESHOLD",
        "step": 90,
        "severity": "WARNING",
        "limitKey": "gemini_calls",
        "policy": "HARD",
        "used": "90",
        "limit": "100",
        "percent": "90",
        "unit": "call",
        "upgrade": "basic",
        "raisedAt": "2026-01-31T00:00:00Z",
        "readAt": None,
        "delivery": "SENT",
    }
    assert page["pageInfo"]["hasNextPage"]
    [older] = (await listed(server, ada, after=page["pageInfo"]["endCursor"]))["nodes"]
    assert older["step"] == 80
    owner = server.member(ada.id)
    marked = await server.change("markAlertRead", MARKED, owner, id=older["id"])
    assert marked["alert"]["readAt"] is not None
    again = await server.change("markAlertRead", MARKED, owner, id=older["id"])
    assert again == marked
    assert [each["step"] for each in (await listed(server, ada, unread=True))["nodes"]] == [90]
    back = await server.change("markAlertRead", MARKED, owner, id=older["id"], isRead=False)
    assert back["alert"]["readAt"] is None
    assert [each["step"] for each in (await listed(server, ada, unread=True))["nodes"]] == [90, 80]


async def test_an_alert_is_seen_live_when_it_is_raised_and_the_newest_at_the_start(server: Site, ada: Customer) -> None:
    await use(server, ada, 80)
    async with open_socket(server.host, server.member(ada.id, "viewer")) as socket:
        name = await socket.start(RAISED, id=encode("customer", ada.id))
        first = await socket.frame(name)
        assert (first["sequence"], first["alert"]["step"]) == (1, 80)
        await use(server, ada, 20)
        seen = [await socket.frame(name) for _ in range(2)]
        assert [(frame["sequence"], frame["alert"]["step"]) for frame in seen] == [(2, 90), (3, 100)]
    await server.change("markAlertRead", MARKED, server.member(ada.id), id=first["alert"]["id"])
    async with open_socket(server.host, server.member(ada.id, "viewer")) as socket:
        name = await socket.start(RAISED, id=encode("customer", ada.id))
        newest = [(await socket.frame(name))["alert"] for _ in range(3)]
        assert [(each["step"], each["readAt"] is None) for each in newest] == [(80, False), (90, True), (100, True)]


async def test_a_customer_says_what_it_wants_to_be_told_and_that_is_audited_once(server: Site, ada: Customer) -> None:
    name, owner = encode("customer", ada.id), server.member(ada.id)
    assert (await server.read(PREFERENCE, owner, id=name))["customer"]["alertPreference"] == {
        "thresholds": None,
        "unsubscribed": [],
        "weeklyDigest": False,
    }
    given = {"customerId": name, "thresholds": [75, 50], "unsubscribed": ["LIMIT_FORECAST"], "weeklyDigest": True}
    expected = {"thresholds": [50, 75], "unsubscribed": ["LIMIT_FORECAST"], "weeklyDigest": True}
    for _ in range(2):
        changed = await server.change("changeAlertPreference", CHANGED, owner, **given)
        assert changed["preference"] == expected
    assert (await server.read(PREFERENCE, owner, id=name))["customer"]["alertPreference"] == expected
    entries = await server.read("{ auditEntries { nodes { action facts } } }", owner)
    actions = [each for each in entries["auditEntries"]["nodes"] if each["action"] == "change_alert_preference"]
    assert [each["facts"] for each in actions] == [
        {"thresholds": ["50", "75"], "unsubscribed": ["limit_forecast"], "weekly_digest": True}
    ]
    await use(server, ada, 50)
    assert [each["step"] for each in (await listed(server, ada))["nodes"]] == [50]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"thresholds": []}, "thresholds_malformed"),
        ({"thresholds": [0]}, "thresholds_malformed"),
        ({"thresholds": [-5, 80]}, "thresholds_malformed"),
        ({"thresholds": [1_001]}, "thresholds_malformed"),
        ({"thresholds": [80, 80]}, "thresholds_malformed"),
        ({"thresholds": list(range(1, 12))}, "thresholds_malformed"),
        ({"unsubscribed": ["PAYMENT_FAILED"]}, "notice_is_legal"),
        ({"unsubscribed": ["WEEKLY_DIGEST", "INVOICE_ISSUED"]}, "notice_is_legal"),
    ],
    ids=str,
)
async def test_a_wish_that_cannot_be_kept_is_refused_and_changes_nothing(
    server: Site, ada: Customer, given: dict[str, Any], code: str
) -> None:
    name, owner = encode("customer", ada.id), server.member(ada.id)
    refused = await server.change("changeAlertPreference", CHANGED, owner, customerId=name, **given)
    assert (refused["__typename"], refused["code"]) == ("InvalidInput", code)
    found = (await server.read(PREFERENCE, owner, id=name))["customer"]["alertPreference"]
    assert found == {"thresholds": None, "unsubscribed": [], "weeklyDigest": False}


async def test_nobody_reads_or_marks_the_alerts_of_another_customer(server: Site, ada: Customer) -> None:
    await use(server, ada, 80)
    [alert] = (await listed(server, ada))["nodes"]
    bob = await server.world.customer(on="2026-01-31")
    for token in (server.member(bob.id), await server.key("alert:write", customer_id=bob.id)):
        refused = await server.change("markAlertRead", MARKED, token, id=alert["id"])
        assert refused["code"] == "alert_not_found"
    viewer = await server.change("markAlertRead", MARKED, server.member(ada.id, "viewer"), id=alert["id"])
    assert viewer["code"] == "forbidden"
    missing = await server.change("markAlertRead", MARKED, server.staff(), id=encode("alert", make.new_id()))
    assert missing["code"] == "alert_not_found"
    assert (await listed(server, ada))["nodes"][0]["readAt"] is None
