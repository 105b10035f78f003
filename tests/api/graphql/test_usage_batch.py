"""recordUsageBatch: the same answers as POST /v1/events gives, in one JSON value."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

import pytest
from strawberry import Schema

from api.auth import Authenticator
from api.context import Serving
from api.graphql.context import Context
from api.graphql.events import EventQuery
from api.graphql.scalars import CONFIG
from api.graphql.usage_batch import UsageBatchMutation
from domain.access.roles import Permission
from domain.access.service import Hs256Verifier
from domain.db import Database
from domain.kernel.call import Call, Environment, Principal, PrincipalKind
from domain.runtime import Runtime
from tests import make
from tests.domain.usage.world import World, name_of, open_world

_SCHEMA = Schema(query=EventQuery, mutation=UsageBatchMutation, config=CONFIG)
_DOCUMENT = """mutation($input: RecordUsageBatchInput!) { recordUsageBatch(input: $input) { __typename
    ... on UsageBatchRecorded { counted duplicate conflict quarantined rejected results }
    ... on UsageBatchRefused { code bad results }
    ... on Problem { code } } }"""


@dataclass(frozen=True, slots=True)
class Site:
    """A world and a caller with a key."""

    world: World
    context: Context
    customer: str

    async def record(self, events: Any, **given: Any) -> Any:
        """Send a batch and return the result."""
        variables = {"input": {"events": events, **given}}
        answer = await _SCHEMA.execute(_DOCUMENT, variables, context_value=self.context)
        assert answer.errors is None, answer.errors
        assert answer.data is not None
        return answer.data["recordUsageBatch"]

    def call(self, event_id: str, tokens: Any = 1000) -> dict[str, Any]:
        """Make an event."""
        properties = {"provider": "gemini", "model": "gemini-2.5-pro", "input_tokens": tokens}
        return {"id": event_id, "type": "llm.call", "customer": self.customer, "properties": properties}


class _Clock:
    """What a context needs of a runtime here."""

    def call(self, principal: Principal) -> Call:
        """Start a call at the test's instant."""
        return make.call("2026-01-15T12:00", principal)


@pytest.fixture
def origin(catalogued: str) -> str:
    """Begin with both products published."""
    return catalogued


@pytest.fixture
async def site(db: Database) -> AsyncIterator[Site]:
    """Open a world with one customer."""
    async with open_world(db) as world:
        ada, _ = await world.subscriber()
        key = Principal(
            PrincipalKind.KEY,
            "key_1",
            "key",
            frozenset({Permission.USAGE_WRITE}),
            Environment.LIVE,
            product="llm",
            source="gateway",
        )
        authenticator = Authenticator(db, b"p" * 32, Hs256Verifier("s" * 32, "tollgate"))
        serving = Serving(cast("Runtime", _Clock()), authenticator, world.recorder)
        yield Site(world, Context(serving, key), name_of(ada))


async def test_each_event_of_a_batch_has_its_answer_and_its_digits(site: Site) -> None:
    found = await site.record(
        [
            site.call("e1", Decimal("0.1")),
            site.call("e1", Decimal("0.1")),
            site.call("e1", 2),
            site.call("e2", -1),
            {**site.call("e3"), "type": "coffee.cup"},
            {"id": "e4"},
            7,
        ]
    )
    results = found.pop("results")
    counts = {"counted": 1, "duplicate": 1, "conflict": 1, "quarantined": 1, "rejected": 3}
    assert found == {"__typename": "UsageBatchRecorded", **counts}
    assert results[0] == {"id": "e1", "status": "counted"}
    assert [(each["id"], each["status"], each.get("reason")) for each in results[1:]] == [
        ("e1", "duplicate", None),
        ("e1", "conflict", None),
        ("e2", "rejected", "negative_value"),
        ("e3", "quarantined", "unknown_meter"),
        ("e4", "rejected", "malformed"),
        (None, "rejected", "malformed"),
    ]
    assert await site.world.count("usage_event") == 1


async def test_a_thousand_events_are_recorded_and_one_more_is_too_many(site: Site) -> None:
    events = [site.call(f"e{number}") for number in range(1_001)]
    refused = await site.record(events)
    assert refused == {"__typename": "TooLarge", "code": "batch_too_large"}
    assert await site.world.count("event_identity") == 0
    assert (await site.record(events[:1_000]))["counted"] == 1_000


async def test_an_atomic_batch_with_a_bad_event_names_every_one_and_stores_nothing(site: Site) -> None:
    batch = [site.call("e1"), {"id": "e2"}, site.call("e3", -1)]
    found = await site.record(batch, mode="ATOMIC")
    assert (found["__typename"], found["code"], found["bad"]) == ("UsageBatchRefused", "batch_refused", [1, 2])
    assert [each["status"] for each in found["results"]] == ["counted", "rejected", "rejected"]
    assert await site.world.count("event_identity") == 0
    assert (await site.record(batch[:1], mode="ATOMIC"))["counted"] == 1


async def test_what_is_no_batch_or_comes_without_the_scope_is_refused(site: Site) -> None:
    assert (await site.record({"id": "e1"}))["code"] == "events_malformed"
    assert (await site.record([]))["code"] == "batch_empty"
    staff = Context(site.context.serving, make.principal(Permission.USAGE_READ))
    found = await Site(site.world, staff, site.customer).record([site.call("e1")])
    assert found == {"__typename": "NotPermitted", "code": "forbidden"}
    assert await site.world.count("event_identity") == 0
