"""Endpoints are made, changed and deleted by staff; their secrets sign and are never shown again."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from domain.access.roles import Permission
from domain.db import Database
from domain.kernel.call import Environment, Forbidden
from domain.webhooks.endpoint import ENDPOINTS_MAX, EndpointNotFound, EndpointsTooMany
from domain.webhooks.endpoints import service
from domain.webhooks.endpoints.service import Change
from domain.webhooks.event_kind import EventPatternUnknown
from domain.webhooks.payload import SchemaVersionUnknown
from domain.webhooks.signature import MessageRejected, verify
from domain.webhooks.target import TargetRefused
from tests import make
from tests.domain.webhooks.merchant import URL, Merchant


async def _rows(db: Database, table: str) -> int:
    async with db.transaction() as tx:
        return int(await tx.value(sa.select(sa.func.count()).select_from(sa.table(table))) or 0)


async def test_a_secret_is_stored_sealed_and_no_url_or_secret_is_audited(db: Database) -> None:
    merchant = Merchant(db)
    _, secret = await merchant.secret_endpoint("invoice.*")
    async with db.transaction() as tx:
        [kept] = await tx.rows(sa.text("SELECT sealed FROM webhook_secret"))
        [entry] = await tx.rows(
            sa.text("SELECT action, facts::text AS facts FROM audit_entry WHERE action LIKE '%webhook%'")
        )
    assert secret.removeprefix("whsec_").encode() not in kept.sealed
    assert entry.action == "create_webhook_endpoint"
    assert ("whsec" in entry.facts, "hooks.example.com" in entry.facts) == (False, False)


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"url": "https://10.0.0.1/"}, TargetRefused),
        ({"events": ["nothing.at_all"]}, EventPatternUnknown),
        ({"schema_version": "2020-01-01"}, SchemaVersionUnknown),
    ],
)
async def test_what_cannot_be_an_endpoint_is_refused_and_leaves_nothing(
    db: Database, given: dict[str, object], refusal: type[Exception]
) -> None:
    merchant = Merchant(db)
    wanted = {"environment": Environment.TEST, "name": "CRM", "url": URL, "events": ["*"], **given}
    with pytest.raises(refusal):
        await service.create_endpoint(db, merchant.sender, merchant.call, **wanted)  # type: ignore[arg-type]
    assert (await _rows(db, "webhook_endpoint"), await _rows(db, "audit_entry")) == (0, 0)


async def test_their_number_is_bounded_in_each_environment(db: Database) -> None:
    merchant = Merchant(db)
    made = [await merchant.endpoint() for _ in range(ENDPOINTS_MAX)]
    with pytest.raises(EndpointsTooMany):
        await merchant.endpoint()
    async with db.transaction() as tx:
        await service.delete_endpoint(tx, merchant.call, made[0].id)
    await merchant.endpoint()


async def test_a_rolled_secret_signs_beside_the_new_one_until_its_hours_are_over(db: Database) -> None:
    merchant = Merchant(db)
    ada = await merchant.customer()
    endpoint, old = await merchant.secret_endpoint()
    async with db.transaction() as tx:
        _, new = await service.rotate_secret(tx, merchant.call, endpoint.id, overlap_hours=24)
    await merchant.happens(ada, "invoice_opened")
    await merchant.deliver()
    await merchant.happens(ada, "invoice_paid")
    await merchant.wait(hours=24)
    both, one = merchant.sender.posted
    for secret in (old, new):
        verify([secret], both.headers, both.body, make.at("2026-03-01T12:00"))
    verify([new], one.headers, one.body, merchant.now)
    with pytest.raises(MessageRejected):
        verify([old], one.headers, one.body, merchant.now)


async def test_a_secret_that_leaked_ends_at_once_without_an_overlap(db: Database) -> None:
    merchant = Merchant(db)
    endpoint, _ = await merchant.secret_endpoint()
    async with db.transaction() as tx:
        await service.rotate_secret(tx, merchant.call, endpoint.id, overlap_hours=24)
    async with db.transaction() as tx:
        await service.rotate_secret(tx, merchant.call, endpoint.id, overlap_hours=0)
    assert await _rows(db, "webhook_secret") == 1


async def test_a_changed_endpoint_keeps_what_waits_and_its_version_unless_told(db: Database) -> None:
    merchant = Merchant(db)
    endpoint = await merchant.endpoint("invoice.*")
    change = Change(name="ERP", url="https://new.example.com/", events=["payment.*"])
    changed = await service.update_endpoint(db, merchant.sender, merchant.call, endpoint.id, change)
    assert changed == replace(endpoint, name="ERP", url="https://new.example.com/", events=("payment.*",))
    again = await service.update_endpoint(db, merchant.sender, merchant.call, endpoint.id, change)
    assert (again.events, await _rows(db, "audit_entry")) == (("payment.*",), 2)
    with pytest.raises(TargetRefused):
        await service.update_endpoint(db, merchant.sender, merchant.call, endpoint.id, Change(url="ftp://x"))


async def test_a_disabled_endpoint_goes_on_where_it_stopped_or_from_now(db: Database) -> None:
    merchant = Merchant(db)
    ada = await merchant.customer()
    endpoint = await merchant.endpoint()
    for from_now in (False, True):
        async with db.transaction() as tx:
            await service.disable_endpoint(tx, merchant.call, endpoint.id)
        await merchant.happens(ada, "invoice_opened")
        await merchant.deliver()
        before = len(merchant.sender.posted)
        async with db.transaction() as tx:
            await service.enable_endpoint(tx, merchant.call, endpoint.id, from_now=from_now)
            await service.enable_endpoint(tx, merchant.call, endpoint.id)
        await merchant.deliver()
        assert len(merchant.sender.posted) - before == (0 if from_now else 1)
    await merchant.happens(ada, "invoice_paid")
    await merchant.deliver()
    assert merchant.types() == ["invoice.opened", "invoice.paid"]


async def test_a_deleted_endpoint_is_gone_with_its_secrets_and_what_waited(db: Database) -> None:
    merchant = Merchant(db)
    ada = await merchant.customer()
    endpoint = await merchant.endpoint()
    await merchant.happens(ada, "invoice_opened")
    await merchant.publish()
    async with db.transaction() as tx:
        await service.delete_endpoint(tx, merchant.call, endpoint.id)
    await merchant.deliver()
    assert merchant.sender.posted == []
    assert (await _rows(db, "webhook_secret"), await _rows(db, "webhook_lane")) == (0, 0)
    async with db.transaction() as tx:
        with pytest.raises(EndpointNotFound):
            await service.get_endpoint(tx, merchant.call, endpoint.id)


async def test_only_staff_and_keys_of_that_environment_make_them(db: Database) -> None:
    merchant = Merchant(db)
    reader = make.call(by=make.principal(Permission.WEBHOOK_READ))
    live = make.call(by=make.principal(Permission.WEBHOOK_WRITE, environment=Environment.LIVE))
    for call in (reader, live):
        with pytest.raises(Forbidden):
            await service.create_endpoint(
                db, merchant.sender, call, environment=Environment.TEST, name="CRM", url=URL, events=["*"]
            )
    endpoint = await merchant.endpoint()
    async with db.transaction() as tx:
        with pytest.raises(EndpointNotFound):
            await service.disable_endpoint(tx, live, endpoint.id)
