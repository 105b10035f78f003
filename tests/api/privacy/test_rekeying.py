"""The master key is changed: everything is put under the new one, and nothing needs the old one any more."""

import base64
from contextlib import aclosing

import pytest
from cryptography.exceptions import InvalidTag

from api.verify import verify
from domain.access.roles import system_principal
from domain.adapters.memory_webhooks import MemoryWebhooks
from domain.alerts.mail_state import ReportKind
from domain.alerts.mailing.store import find_stop, insert_stop
from domain.config import Settings
from domain.customers import service as customers
from domain.customers.erasing import service as erasing
from domain.db import Database, Tx
from domain.kernel.call import Environment
from domain.kernel.ids import NOBODY, EndpointId
from domain.payments.port import GatewayEvent
from domain.privacy.inventory import inventory
from domain.privacy.rekeying.service import rekey
from domain.privacy.rekeying.store import HANGING
from domain.usage import service as usage
from domain.usage.sealed import seal
from domain.usage.store import quarantined_event
from domain.vault import Vault
from domain.webhooks.clearing.store import read_payloads
from domain.webhooks.delivering.store import Delivery, insert_delivery, list_deliveries
from domain.webhooks.endpoints import service as endpoints
from domain.webhooks.endpoints.store import list_secrets
from domain.webhooks.port import Outcome
from domain.webhooks.store import insert_event
from tests import make
from tests.api.command import run
from tests.databases import opened

_OLD, _NEW = b"\x01" * 32, b"\x02" * 32
_OLD_TEXT, _NEW_TEXT = (base64.b64encode(key).decode() for key in (_OLD, _NEW))
_BOTH = {"TOLLGATE_MASTER_KEY": _NEW_TEXT, "TOLLGATE_OTHER_MASTER_KEYS": _OLD_TEXT}
_ADA, _BOB = "Ada@example.com", "bob@example.com"
_CALL = make.call(by=system_principal("test"))


async def _filled(db: Database) -> EndpointId:
    """Store one of everything that hangs on the master key: Ada, Bob who is erased, and what is nobody's."""
    endpoint, secret = await endpoints.create_endpoint(
        db, MemoryWebhooks(), _CALL, environment=Environment.TEST, name="CRM", url="https://crm.example/", events=["*"]
    )
    assert secret.startswith("whsec_")
    async with db.transaction() as tx:
        ada, bob = [
            await customers.create_customer(tx, _CALL, environment=Environment.TEST, name=email, email=email)
            for email in (_ADA, _BOB)
        ]
        assert await insert_stop(tx, ada.id, _ADA, ReportKind.HARD_BOUNCED, at=_CALL.at)
        assert await insert_stop(tx, ada.id, "before@example.com", ReportKind.HARD_BOUNCED, at=_CALL.at)
        assert await erasing.hold(tx, bob.id)
        await erasing.erase(tx, _CALL, bob, is_retained=True)
        news = GatewayEvent("evt_1", "x", None, _CALL.at, Environment.TEST, "charge", "ch_1", b"what it sent")
        assert await insert_event(tx, "stripe", news, key=make.new_id(), at=_CALL.at)
        made = (NOBODY, make.new_id(), endpoint.id, make.new_id(), NOBODY, "x", None, 1, _CALL.at)
        await insert_delivery(tx, Delivery(*made, Outcome.REFUSED, 500, 5, b"what it answered"))
        event_id = make.new_id()
        sealed = seal(tx.vault, {}, NOBODY, event_id, b'{"who": "Ada"}')
        ids = {"customer_id": NOBODY, "id": event_id, "source": "s", "event_id": "e", "customer": "c"}
        kinds = {"environment": "test", "product": "llm", "type": "llm.call", "reason": "unknown_customer"}
        instants = {"received_at": _CALL.at, "occurred_at": _CALL.at}
        await tx.execute(quarantined_event.insert().values(**ids, **kinds, **instants, sealed=sealed))
    return endpoint.id


async def _opens(db: Database, endpoint_id: EndpointId) -> None:
    """Open all of it, and find what is found by a hash. Raises InvalidTag."""
    async with db.transaction() as tx:
        [secret] = await list_secrets(tx, endpoint_id, _CALL.at)
        assert secret.text.startswith("whsec_")
        assert [each.payload for each in await read_payloads(tx, after=None, limit=10)] == [b"what it sent"]
        [delivery] = await list_deliveries(tx, endpoint_id, customer_id=None, failed_only=False, before=None, limit=10)
        assert delivery.excerpt == b"what it answered"
        [held] = await usage.list_quarantined(tx, _CALL)
        assert held.properties == {"who": "Ada"}
        await _opens_customers(tx)


async def _opens_customers(tx: Tx) -> None:
    [ada] = await customers.list_customers(tx, _CALL, email=_ADA.upper())
    assert ada.email == _ADA
    assert await find_stop(tx, ada.id, _ADA) is ReportKind.HARD_BOUNCED
    assert not await insert_stop(tx, ada.id, _ADA, ReportKind.HARD_BOUNCED, at=_CALL.at)
    assert {each.name for each in await customers.list_customers(tx, _CALL)} == {_ADA, "Erased customer"}


async def _left(db: Database) -> dict[str, int]:
    found = [each async for each in rekey(db, is_looked_at=True)]
    return {each.name: each.left for each in found if each.left}


async def test_everything_opens_under_both_keys_and_under_the_new_one_alone_once_it_is_rekeyed(db: Database) -> None:
    endpoint_id = await _filled(db)
    url = db._engine.url.render_as_string(hide_password=False)
    both, new = await opened(url, Vault(_NEW, _OLD)), await opened(url, Vault(_NEW))
    await _opens(both, endpoint_id)
    with pytest.raises(InvalidTag):
        await _opens(new, endpoint_id)
    # Ada's and Bob's keys and hashes, and Bob's key that is retained; of the two stops the one that is known.
    assert await _left(both) == {**{each.name: 1 for each in HANGING}, "data_key.wrapped": 2, "customer.email_hash": 2}
    assert (await run(url, "privacy", "rekey", "--check", given=_BOTH))[0] == 1
    # Broken off after the first column, it goes on with the rest.
    async with aclosing(rekey(both)) as broken_off:
        first = await anext(broken_off)
    assert (first.name, first.seen, first.anew, first.left) == ("data_key.wrapped", 2, 2, 0)
    await _opens(both, endpoint_id)
    status, told = await run(url, "privacy", "rekey", given=_BOTH)
    assert status == 0
    assert told.splitlines()[0] == "data_key.wrapped          2 looked at, 0 sealed anew, 0 left"
    assert "inbox_event.payload       1 looked at, 1 sealed anew, 0 left" in told.splitlines()
    assert (await run(url, "privacy", "rekey", "--check", given=_BOTH))[0] == 0
    await _opens(new, endpoint_id)
    await both.close()
    await new.close()


async def test_a_process_that_still_seals_under_the_old_key_opens_what_the_new_one_seals(db: Database) -> None:
    url = db._engine.url.render_as_string(hide_password=False)
    before, after = await opened(url, Vault(_OLD, _NEW)), await opened(url, Vault(_NEW, _OLD))
    endpoint_id = await _filled(after)
    await _opens(before, endpoint_id)
    await _opens(after, endpoint_id)
    await before.close()
    await after.close()


async def test_what_no_key_opens_is_counted_and_left(db: Database) -> None:
    await _filled(db)
    url = db._engine.url.render_as_string(hide_password=False)
    status, told = await run(url, "privacy", "rekey", given={"TOLLGATE_MASTER_KEY": _NEW_TEXT})
    assert status == 1
    assert told.splitlines()[0] == "data_key.wrapped          2 looked at, 0 sealed anew, 0 left, 2 that no key opens"
    await _opens(db, (await _endpoint(db)))


async def _endpoint(db: Database) -> EndpointId:
    async with db.transaction() as tx:
        [found] = await endpoints.list_endpoints(tx, _CALL)
    return found.id


async def test_verify_says_whether_another_key_is_needed_still(db: Database) -> None:
    await _filled(db)
    url = db._engine.url.render_as_string(hide_password=False)
    given = Settings(database_url=url, redis_url="unix:///none", master_key=_NEW_TEXT, other_master_keys=(_OLD_TEXT,))

    async def told() -> str:
        [found] = [each for each in await verify(given) if each.name == "encryption key"]
        return found.detail

    assert await told() == "10 values are not sealed under TOLLGATE_MASTER_KEY; run: tollgate privacy rekey"
    await run(url, "privacy", "rekey", given=_BOTH)
    assert await told() == "opens everything; TOLLGATE_OTHER_MASTER_KEYS opens nothing more"


def test_every_column_that_hangs_on_the_master_key_is_rekeyed() -> None:
    declared = [(name, each) for name, holding in inventory().items() for each in holding.personal]
    found = {f"{name}.{each.column}" for name, each in declared if each.is_system or each.column.endswith("_hash")}
    # Nobody's own: the merchant's secrets, and what waits for a customer that there is not.
    found |= {"data_key.wrapped", "data_key.retained", "webhook_secret.sealed", "quarantined_event.sealed"}
    assert {each.name for each in HANGING} == found
