"""A customer is erased: who it is at once, the rest by a job, and what the law wants kept at its time."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from api.local.throwaway import TemporaryServers
from domain.access.roles import system_principal
from domain.contracts import service as contracts
from domain.customers import service as customers
from domain.customers.customer import Customer
from domain.customers.profiles import service as profiles
from domain.customers.profiles.profile import Address
from domain.db import Database, Personal, Tx
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, encode
from domain.payments.port import GatewayEvent
from domain.privacy.clearing.store import clear_rows
from domain.privacy.erasing import service as erasing
from domain.privacy.erasing.store import count_blockers
from domain.privacy.erasure import Blocker
from domain.privacy.inventory import Fate, inventory
from domain.privacy.tables.store import table_of
from domain.subscriptions.lifecycle import CancelReason
from domain.subscriptions.schedule import Interval
from domain.webhooks import service as inbox
from tests import make
from tests.api.command import run
from tests.api.graphql.scene import CORE, open_scene
from tests.api.graphql.selecting import selection
from tests.api.graphql.site import Site
from tests.databases import fresh_database
from tests.world import key_of, llm_call

# Every text about the customer that must be nowhere afterwards.
NAME, EMAIL, EXTERNAL = "Ada Lovelace", "ada@lovelace.example", "crm-lovelace-7"
STREET, CITY, VAT, FEEDBACK = "12 St James's Square", "Lovelacetown", "DE136695976", "moving house to Lovelaceland"
MEMO, KEY_NAME, ODD = "for Lady Lovelace", "Lovelace's laptop", "odd-lovelace-property"
AT_ONCE = (NAME, EMAIL, EXTERNAL, STREET, CITY, VAT, FEEDBACK, KEY_NAME)
CLEARED = {Fate.DELETED, Fate.BLANKED, Fate.KEPT, Fate.KEPT_ROWS}
ERASED = "... on CustomerErasureStarted { erasure { state reason keepUntil clearedAt endedAt } }"
TOLD = "query($c: ID!) { customerErasure(customerId: $c) { state reason keepUntil clearedAt endedAt } }"


async def furnished(site: Site) -> tuple[Customer, Any]:
    """Make a customer with what is personal of everything, whose subscription has ended and who owes nothing."""
    world, db = site.world, site.runtime.db
    async with db.transaction() as tx:
        clock = await customers.create_clock(tx, world.call, name="w", now_at=make.at("2026-01-31"))
        world.clock_id = clock.id
        ada = await customers.create_customer(
            tx,
            world.call,
            environment=Environment.TEST,
            name=NAME,
            email=EMAIL,
            external_id=EXTERNAL,
            country="DE",
            clock_id=clock.id,
        )
        address = Address(STREET, "", CITY, "12345", None, "DE")
        await profiles.change_profile(tx, world.call, ada.id, address=address, vat_number=VAT)
    await world.attach(ada.id, "pm_card_visa")
    about = encode("customer", ada.id)
    await site.change(
        "setInvoiceHeading", "... on InvoiceHeadingSet { heading { memo } }", site.staff(), customerId=about, memo=MEMO
    )
    await site.change(
        "createApiKey",
        "... on ApiKeyCreated { key { id } }",
        site.staff(),
        name=KEY_NAME,
        environment="TEST",
        scopes=["usage:read"],
        customerId=about,
    )
    async with db.transaction() as tx:
        started = await contracts.subscribe(
            tx, world.call, customer_id=ada.id, product_key="llm", plan_key="pro", interval=Interval.MONTH
        )
    await world.drain()
    call = llm_call(ada, started.started_at, input_tokens=1_000)
    odd = llm_call(ada, started.started_at, input_tokens=1_000, provider="none", note=ODD)
    counted = await site.app.state.serving.recorder.record(site.runtime.call(key_of("llm")), [call, odd])
    assert [verdict.status for verdict in counted] == ["counted", "counted"]
    await told_by_stripe(site, ada.id)
    return ada, started


async def told_by_stripe(site: Site, customer_id: CustomerId) -> None:
    """Receive an event of the payment provider with billing details in it."""
    async with site.runtime.db.transaction() as tx:
        gateway_id = await tx.value(
            sa.text("SELECT gateway_customer_id FROM gateway_customer WHERE customer_id = :c").bindparams(c=customer_id)
        )
        news = GatewayEvent(
            id=f"evt_{make.new_id().hex}",
            type="payment_method.attached",
            api_version="2026-09-30.clover",
            created_at=site.runtime.now(),
            environment=Environment.TEST,
            object_kind="payment_method",
            object_id="pm_of_nobody",
            payload=json.dumps({"customer": gateway_id, "billing_details": {"name": NAME, "email": EMAIL}}).encode(),
        )
        await inbox.receive(tx, site.world.call, news)


async def ended(site: Site, started: Any) -> None:
    """Cancel the subscription now, and have everything that follows done."""
    async with site.runtime.db.transaction() as tx:
        await contracts.cancel(
            tx,
            site.world.call,
            subscription_id=started.id,
            at_period_end=False,
            reason=CancelReason.OTHER,
            feedback=FEEDBACK,
        )
    await site.world.drain()
    await site.world.advance(to="2026-03-15")


async def written(db: Database, customer_id: CustomerId) -> str:
    """Read every row of every table as text, and all that any key that is left opens of what is sealed."""
    texts = []
    async with db.transaction() as tx:
        row = await tx.row(
            sa.text("SELECT wrapped, retained FROM data_key WHERE customer_id = :c").bindparams(c=customer_id)
        )
        assert row is not None
        keys = [tx.vault.unwrap(str(customer_id), row.wrapped), tx.vault.system]
        for name, holding in inventory().items():
            table = table_of(name)
            for found in await tx.rows(sa.select(table)):
                values = dict(found._mapping)
                texts.append(f"{name} {values!r}")
                for each in holding.personal:
                    if each.sealed and values[each.column] is not None:
                        texts += opened(tx.vault, keys, each.sealed.format(**values), values[each.column])
    return "\n".join(texts)


def opened(vault: Any, keys: list[Any], place: str, sealed: bytes) -> list[str]:
    """Open a value with whichever key opens it."""
    found = []
    for key in keys:
        try:
            found.append(vault.open(key, place, sealed).decode(errors="replace"))
        except Exception:  # noqa: BLE001, S112 -- another key's
            continue
    return found


def left(text: str, *wanted: str) -> list[str]:
    """Return which texts are still somewhere; JSON writes some letters otherwise."""
    return [each for each in wanted if each in text or json.dumps(each)[1:-1] in text]


@pytest.fixture
async def erased(site: Site) -> tuple[Site, Customer]:
    """Erase a customer, and have everything cleared that need not be kept."""
    ada, started = await furnished(site)
    await ended(site, started)
    asked = await site.change(
        "eraseCustomer", ERASED, site.staff(), customerId=encode("customer", ada.id), reason="REQUESTED"
    )
    assert asked["__typename"] == "CustomerErasureStarted", asked
    return site, ada


async def test_nothing_that_tells_who_a_customer_was_is_found_anywhere_after_its_erasure(site: Site) -> None:
    ada, started = await furnished(site)
    db, about = site.runtime.db, encode("customer", ada.id)
    await ended(site, started)
    before = await written(db, ada.id)
    assert set(left(before, *AT_ONCE, ODD, MEMO)) == {*AT_ONCE, ODD, MEMO}, "all of it is found before"
    gateway = site.world.gateway
    assert ada.id in gateway.customers.values()

    asked = await site.change("eraseCustomer", ERASED, site.staff(), customerId=about, reason="REQUESTED")
    assert asked["__typename"] == "CustomerErasureStarted", asked
    # The books end in this year: they are kept ten years from its end.
    year = site.runtime.now().year + 11
    assert (asked["erasure"]["state"], asked["erasure"]["reason"]) == ("CLEARING", "REQUESTED")
    assert asked["erasure"]["keepUntil"].startswith(f"{year}-01-01T00:00:00")
    # What Stripe sent is looked through by the job; all else that tells who it was is gone with the answer.
    text = await written(db, ada.id)
    assert set(left(text, *AT_ONCE)) <= {NAME, EMAIL}

    await site.world.drain()
    told = (await site.read(TOLD, site.staff(), c=about))["customerErasure"]
    assert (told["state"], told["endedAt"]) == ("RESTRICTED", None)
    assert left(await written(db, ada.id), *AT_ONCE, ODD) == []
    assert ada.id not in gateway.customers.values()
    shown = (
        await site.read(
            f'{{ customer(id: "{about}") {{ name email externalId erasedAt paymentMethods {{ id }} }} }}', site.staff()
        )
    )["customer"]
    assert (shown["name"], shown["email"], shown["externalId"], shown["paymentMethods"]) == (
        "Erased customer",
        "erased@customer.invalid",
        None,
        [],
    )
    assert shown["erasedAt"] is not None


async def test_what_was_kept_goes_at_its_time_and_with_it_the_key_that_opened_it(erased: tuple[Site, Customer]) -> None:
    site, ada = erased
    db, about = site.runtime.db, encode("customer", ada.id)
    await site.world.drain()
    assert left(await written(db, ada.id), MEMO) == [MEMO]
    await check_readable(site, about)
    year = site.runtime.now().year + 11
    later = site.runtime.call(system_principal("test"), make.at(f"{year}-01-01"))
    async with db.transaction() as tx:
        early = site.runtime.call(system_principal("test"), later.at - timedelta(seconds=1))
        assert await erasing.end_due(tx, early) == 0
        assert await erasing.end_due(tx, later) == 1
    assert await erasing.carry_on(db, site.runtime.gateway, later, ada.id)
    told = (await site.read(TOLD, site.staff(), c=about))["customerErasure"]
    assert told["state"] == "DONE"
    await check_readable(site, about)
    assert left(await written(db, ada.id), *AT_ONCE, ODD, MEMO) == []
    async with db.transaction() as tx:
        kept = sa.text("SELECT retained FROM data_key WHERE customer_id = :c").bindparams(c=ada.id)
        assert await tx.value(kept) is None
        for table in ("document", "usage_event"):
            count = sa.text(f"SELECT count(*) FROM {table} WHERE customer_id = :c").bindparams(c=ada.id)  # noqa: S608
            assert await tx.value(count) == 0
        sums = "SELECT sum(amount_minor) FROM ledger_line WHERE customer_id = :c AND account = 'revenue'"
        assert await tx.value(sa.text(sums).bindparams(c=ada.id)) < Decimal(0), "the books stay"


async def check_readable(site: Site, about: str) -> None:
    """Read all there is to a customer, and add up what was counted: an erasure leaves nothing that cannot be read."""
    assert CORE.query_type is not None
    everything = selection(CORE.query_type.fields["customer"].type, 4)
    shown = await site.read(f"query($c: ID!) {{ customer(id: $c) {everything} }}", site.staff(), c=about)
    assert shown["customer"]["invoices"]["nodes"]
    url = site.runtime.db._engine.url.render_as_string(hide_password=False)
    status, printed = await run(url, "verify", "conservation", about)
    assert status == 0, printed


async def test_a_customer_that_still_has_something_is_not_erased_and_is_told_what_to_do(site: Site) -> None:
    ada, _ = await furnished(site)
    about = encode("customer", ada.id)
    before = await written(site.runtime.db, ada.id)
    answer = await site.change("eraseCustomer", ERASED, site.staff(), customerId=about, reason="REQUESTED")
    assert answer["code"] == "customer_not_erasable"
    assert "live subscriptions (1): cancel them now" in answer["message"]
    assert await written(site.runtime.db, ada.id) == before
    for role in ("finance", "support", "viewer"):
        refused = await site.change("eraseCustomer", ERASED, site.staff(role), customerId=about, reason="REQUESTED")
        assert refused["code"] == "forbidden"
    assert await written(site.runtime.db, ada.id) == before
    assert (await site.read(TOLD, site.staff(), c=about))["customerErasure"] is None


async def test_the_payment_provider_is_asked_again_after_a_reply_that_was_lost(erased: tuple[Site, Customer]) -> None:
    site, ada = erased
    site.world.gateway.lose("delete_customer", "after")
    await site.world.drain()
    told = (await site.read(TOLD, site.staff(), c=encode("customer", ada.id)))["customerErasure"]
    assert told["state"] == "RESTRICTED"
    assert ada.id not in site.world.gateway.customers.values()


async def test_nothing_is_added_to_an_erased_customer_nor_told_of_it(erased: tuple[Site, Customer]) -> None:
    site, ada = erased
    about = encode("customer", ada.id)
    again = await site.change("eraseCustomer", ERASED, site.staff(), customerId=about, reason="MISTAKE")
    assert again["erasure"]["reason"] == "REQUESTED", "the first one is returned"
    await site.world.drain()
    sent, posted = len(site.runtime.mailer.sent), len(site.runtime.sender.posted)  # type: ignore[attr-defined]
    for field, success, given in (
        ("subscribe", "__typename", {"product": "llm", "plan": "pro", "interval": "MONTH", "idempotencyKey": "a"}),
        ("changeBillingProfile", "__typename", {"line1": STREET, "country": "DE"}),
        ("setInvoiceHeading", "__typename", {"memo": MEMO}),
        ("exportCustomer", "__typename", {}),
    ):
        answer = await site.change(field, success, site.staff(), customerId=about, **given)
        assert answer["code"] == "customer_erased", field
    await told_by_stripe(site, ada.id)
    assert left(await written(site.runtime.db, ada.id), EMAIL) == [EMAIL]
    await erasing.follow(site.runtime.db, site.world.call)
    await site.world.drain()
    assert left(await written(site.runtime.db, ada.id), *AT_ONCE, ODD) == []
    assert (len(site.runtime.mailer.sent), len(site.runtime.sender.posted)) == (sent, posted)  # type: ignore[attr-defined]


async def test_documents_are_restricted_and_the_operator_reads_them(erased: tuple[Site, Customer]) -> None:
    site, ada = erased
    await site.world.drain()
    [paid, *_] = [each for each in await site.world.invoices(ada) if each.number]
    invoice = encode("invoice", paid.id)
    answer = await site.client.get(f"/v1/invoices/{invoice}/pdf", headers={"Authorization": f"Bearer {site.staff()}"})
    assert answer.status_code == 404
    url = site.runtime.db._engine.url.render_as_string(hide_password=False)
    status, printed = await run(url, "privacy", "document", invoice)
    assert status == 0
    assert NAME in printed


async def test_how_amounts_came_about_cannot_be_changed_of_an_erased_customer_either(
    erased: tuple[Site, Customer],
) -> None:
    site, ada = erased
    statement = sa.text("UPDATE invoice_line SET derivation = '{}' WHERE customer_id = :id").bindparams(id=ada.id)
    with pytest.raises(DBAPIError, match="immutable"):
        async with site.runtime.db.transaction() as tx:
            await tx.execute(statement)


async def test_the_terminal_erases_too(site: Site) -> None:
    async with site.runtime.db.transaction() as tx:
        new = await customers.create_customer(tx, site.world.call, environment=Environment.TEST, name=NAME, email=EMAIL)
    about = encode("customer", new.id)
    url = site.runtime.db._engine.url.render_as_string(hide_password=False)
    assert (await run(url, "privacy", "erase", about, "--reason", "boredom", "--yes"))[0] == 2
    status, printed = await run(url, "privacy", "erase", about, "--reason", "unused", "--yes")
    assert (status, printed) == (0, f"{about} is erased (clearing); nothing has to be kept\n")
    await site.world.drain()
    told = (await site.read(TOLD, site.staff(), c=about))["customerErasure"]
    assert (told["state"], told["reason"], told["keepUntil"]) == ("DONE", "UNUSED", None)
    assert left(await written(site.runtime.db, new.id), NAME, EMAIL) == []


async def test_clearing_leaves_nothing_of_an_erased_customer_and_touches_nobody_else(
    servers: TemporaryServers, template: str
) -> None:
    async with fresh_database(servers, "clearing", template) as database, open_scene(database) as scene:
        ada, db = scene.targets["Ada"].customer_id, scene.server.runtime.db
        holdings = [each for each in inventory().values() if each.fate in CLEARED]
        async with db.transaction() as tx:
            owned = [each for each in holdings if await count(tx, each.table, ada)]
            others = await digests(tx, ada)
            found = await count_blockers(tx, ada)
            assert (found[Blocker.SUBSCRIPTIONS], found[Blocker.STARTS], found[Blocker.CHARGES]) == (1, 1, 1)
            assert (found[Blocker.BALANCES], found[Blocker.JOBS], found[Blocker.DISPUTES]) == (2, 1, 0)
            assert len(owned) > 15
            for holding in holdings:
                assert await clear_rows(tx, holding, ada, limit=1_000) == 0, "only an erased customer is cleared"
            await tx.execute(sa.text("UPDATE data_key SET erased_at = created_at FROM customer"))
            await tx.execute(sa.text("UPDATE data_key SET erased_at = NULL WHERE customer_id <> :c").bindparams(c=ada))
            cleared = [each.table for each in holdings if await clear_rows(tx, each, ada, limit=1_000)]
            assert {"usage_event", "quarantined_event", "invoice_line", "alert", "limit_decision", "mail"} <= set(
                cleared
            )
            for holding in holdings:
                assert await clear_rows(tx, holding, ada, limit=1_000) == 0, f"{holding.table} is cleared once"
                is_gone = holding.fate in {Fate.DELETED, Fate.KEPT_ROWS}
                assert not is_gone or await count(tx, holding.table, ada) == 0, holding.table
            assert await digests(tx, ada) == others


async def count(tx: Tx, table: str, customer_id: CustomerId) -> int:
    """Count a customer's rows of a table."""
    asked = sa.text(f"SELECT count(*) FROM {table} WHERE customer_id = :c")  # noqa: S608 -- a table of ours
    return int(await tx.value(asked.bindparams(c=customer_id)))


async def digests(tx: Tx, but: CustomerId) -> dict[str, str]:
    """Digest what everybody but one customer has in the tables that are cleared."""
    found = {}
    for holding in inventory().values():
        if holding.fate in CLEARED:
            asked = f"""SELECT count(*) || md5(string_agg(t::text, '' ORDER BY t::text)) FROM {holding.table} t
                WHERE customer_id IS DISTINCT FROM :c"""  # noqa: S608 -- a table of ours
            found[holding.table] = str(await tx.value(sa.text(asked).bindparams(c=but)))
    return found


def test_every_table_that_is_sealed_under_a_customers_key_is_cleared_with_the_key() -> None:
    for name, holding in inventory().items():
        sealed = [each for each in holding.personal if each.sealed and not each.is_system]
        if sealed and holding.fate in {"deleted", "blanked"}:
            assert holding.is_cleared_at_once, name
            assert all(isinstance(table_of(name).c[each.column].type, Personal | sa.LargeBinary) for each in sealed)
