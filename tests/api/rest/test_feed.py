"""GET /v1/events: the feed of a key."""

from api.problems import HTTP_STATUS
from domain.kernel.call import Environment
from domain.kernel.errors import Kind
from tests.api.graphql.outgoing import publish
from tests.api.graphql.site import Site


async def test_a_key_reads_its_environments_events_in_order(site: Site) -> None:
    ada = await site.world.customer(on="2026-01-31")
    await site.world.subscribe(ada, "pro")
    await publish(site)
    key, live = await site.key("feed:read"), await site.key("feed:read", environment=Environment.LIVE)

    async def read(query: str, token: str = key) -> dict[str, object]:
        answer = await site.client.get(f"/v1/events{query}", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    every = await read("")
    types = [each["type"] for each in every["events"]]  # type: ignore[attr-defined]
    assert {"payment_method.attached", "subscription.started", "invoice.opened", "invoice.paid"} <= set(types)
    assert [each["number"] for each in every["events"]] == list(range(1, len(types) + 1))  # type: ignore[attr-defined]
    first = await read("?limit=1")
    assert (first["after"], first["has_more"]) == (1, True)
    rest = await read(f"?after={first['after']}")
    assert [*first["events"], *rest["events"]] == every["events"]  # type: ignore[misc]
    some = await read("?types=invoice.*")
    assert [each["type"] for each in some["events"]] == ["invoice.opened", "invoice.paid"]  # type: ignore[attr-defined]
    assert (await read("", live))["events"] == []


async def test_bad_parameters_and_a_key_without_the_scope_are_refused(site: Site) -> None:
    key, other = await site.key("feed:read"), await site.key("invoice:read")
    for query in (
        "?limit=0",
        "?limit=1001",
        "?after=-1",
        "?after=x",
        "?version=2020-01-01",
        "?types=" + "a," * 51,
        "?types=invoice.*,invoice.payed",
    ):
        answer = await site.client.get(f"/v1/events{query}", headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == HTTP_STATUS[Kind.INVALID], query
    answer = await site.client.get("/v1/events", headers={"Authorization": f"Bearer {other}"})
    assert answer.status_code == 403
    assert (await site.client.get("/v1/events")).status_code == 401
