"""The inbox and the report of comparisons in GraphQL: staff see what waits, and say what was done about it."""

from typing import Any

from domain.adapters.memory import MemoryGateway
from domain.webhooks import service as inbox
from tests.api.graphql.site import Site
from tests.domain.webhooks.examples import event, subscription

_EVENTS = "query($state: InboxState) { inboxEvents(state: $state) { nodes { id eventId state note } } }"
_STUCK = "{ inboxEvents(stuckOnly: true) { nodes { eventId } } }"
_STANDING = "{ inboxStanding { waiting quarantined sweptTo expectedVersion alarms { apiVersion } } }"
_FINDINGS = "{ driftFindings(outcome: OPEN) { nodes { id kind ours theirs needsPerson outcome note runId } } }"
_RUNS = "{ reconciliationRuns { nodes { id trigger stage compared endedAt } } }"


def _gateway(site: Site) -> MemoryGateway:
    assert isinstance(site.runtime.gateway, MemoryGateway)
    return site.runtime.gateway


async def _quarantined(site: Site, name: str) -> None:
    """Have an event about a subscription of nobody arrive and be processed."""
    _gateway(site).subscriptions["sub_1"] = subscription()
    async with site.runtime.db.transaction() as tx:
        await inbox.receive(tx, site.world.call, event("customer.subscription.created", "sub_1", name))
    await inbox.process(site.runtime.db, site.runtime.gateway, site.world.call, "stripe", name)


async def _events(site: Site, state: str | None = None) -> list[dict[str, Any]]:
    found = await site.read(_EVENTS, site.staff("support"), state=state)
    return list(found["inboxEvents"]["nodes"])


async def test_events_in_quarantine_are_listed_and_replayed_by_id_or_by_time(site: Site) -> None:
    for number in range(2):
        await _quarantined(site, f"evt_{number}")
    [second, first] = await _events(site, "QUARANTINED")
    assert (first["eventId"], first["note"]) == ("evt_0", "customer_unknown")
    stuck = await site.read(_STUCK, site.staff("support"))
    assert [each["eventId"] for each in stuck["inboxEvents"]["nodes"]] == ["evt_1", "evt_0"]
    done = "... on InboxEventsReplayed { count lastId }"
    replayed = await site.change("replayInboxEvents", done, site.staff(), ids=[first["id"]])
    assert replayed == {"__typename": "InboxEventsReplayed", "count": 1, "lastId": None}
    span = {"receivedFrom": "2020-01-01T00:00:00Z", "receivedTo": "2100-01-01T00:00:00Z"}
    replayed = await site.change("replayInboxEvents", done, site.staff(), state="QUARANTINED", **span)
    assert replayed["count"] == 1
    again = await site.change("replayInboxEvents", done, site.staff(), after=first["id"], **span)
    assert again["count"] == 1
    assert [each["state"] for each in await _events(site)] == ["RECEIVED", "RECEIVED"]
    assert (await site.read(_STUCK, site.staff("support")))["inboxEvents"]["nodes"] == []
    assert second["eventId"] == "evt_1"
    standing = (await site.read(_STANDING, site.staff("support")))["inboxStanding"]
    assert standing == {
        "waiting": 2,
        "quarantined": 0,
        "sweptTo": None,
        "expectedVersion": "2026-10-28.endive",
        "alarms": [],
    }
    refused = await site.change("replayInboxEvents", "... on Problem { code }", site.staff())
    assert refused["code"] == "replay_out_of_bounds"


async def test_a_comparison_is_begun_by_staff_and_its_finding_is_closed_with_a_note(site: Site) -> None:
    await site.world.customer(on="2026-01-31")
    [gateway_customer] = _gateway(site).customers
    _gateway(site).listing.balances[gateway_customer] = -500
    started = await site.change(
        "startReconciliation", "... on ReconciliationStarted { run { id trigger } }", site.staff(), environment="TEST"
    )
    assert started["run"]["trigger"] == "staff"
    await site.world.drain()
    [run] = (await site.read(_RUNS, site.staff("finance")))["reconciliationRuns"]["nodes"]
    assert (run["id"], run["stage"], run["endedAt"] is not None) == (started["run"]["id"], "report", True)
    [found] = (await site.read(_FINDINGS, site.staff("finance")))["driftFindings"]["nodes"]
    wanted = {"kind": "customer_balance", "ours": "0", "theirs": "-5.00 USD", "needsPerson": True, "outcome": "OPEN"}
    assert found == wanted | {"id": found["id"], "note": None, "runId": run["id"]}
    closing = "... on DriftFindingClosed { finding { outcome note needsPerson } } ... on Problem { code }"
    closed = await site.change("closeDriftFinding", closing, site.staff(), id=found["id"], note="paid out")
    assert closed["finding"] == {"outcome": "CLOSED", "note": "paid out", "needsPerson": False}
    again = await site.change("closeDriftFinding", closing, site.staff(), id=found["id"], note="paid out")
    assert again["code"] == "finding_not_found"
    other = await site.change("startReconciliation", "... on Problem { code }", site.staff(), environment="LIVE")
    assert other["code"] == "gateway_environment_differs"
