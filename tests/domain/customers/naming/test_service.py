"""Who a customer is can be changed; what is personal of it stays sealed, and no other customer is touched."""

import pytest

from domain.access.roles import Permission, system_principal
from domain.customers import service as customers
from domain.customers.customer import Customer, CustomerErased, EmailMalformed, NameMalformed
from domain.customers.erasing import service as erasing
from domain.customers.naming import service
from domain.customers.service import CustomerNotFound, ExternalIdTaken
from domain.db import Database, Tx
from domain.journal import store as journal_store
from domain.kernel.call import Environment, Forbidden
from tests import make

_CALL = make.call(by=system_principal("test"))


async def _create(tx: Tx, name: str, external_id: str | None = None) -> Customer:
    email = f"{name.lower()}@example.com"
    made = {"environment": Environment.TEST, "name": name, "email": email, "external_id": external_id}
    return await customers.create_customer(tx, _CALL, **made)  # type: ignore[arg-type]


async def test_what_is_given_changes_and_the_rest_stays(db: Database) -> None:
    async with db.transaction() as tx:
        ada = await _create(tx, "Ada", "crm-1")
        changed = await service.change_customer(tx, _CALL, ada.id, email=" New@Example.com ")
        assert (changed.name, changed.email, changed.external_id) == ("Ada", "New@Example.com", "crm-1")
        again = await service.change_customer(tx, _CALL, ada.id, email="New@Example.com")
        assert again == changed
        await service.change_customer(tx, _CALL, ada.id, name="Ada Ltd", external_id="crm-2")
        found = await customers.list_customers(tx, _CALL, email="new@example.com")
        assert [(each.name, each.external_id) for each in found] == [("Ada Ltd", "crm-2")]
        assert await customers.list_customers(tx, _CALL, email="ada@example.com") == []
        entries = await journal_store.list_audit_entries(tx, scope=ada.id, before=None, limit=9)
    # Newest first, and nothing personal in them.
    assert [entry.facts for entry in entries[:2]] == [{"changed": ["name", "external_id"]}, {"changed": ["email"]}]


async def test_what_cannot_be_is_refused_and_nothing_is_written(db: Database) -> None:
    async with db.transaction() as tx:
        ada, bob = await _create(tx, "Ada", "crm-1"), await _create(tx, "Bob")
        with pytest.raises(ExternalIdTaken):
            await service.change_customer(tx, _CALL, bob.id, name="Bobby", external_id="crm-1")
        with pytest.raises(EmailMalformed):
            await service.change_customer(tx, _CALL, bob.id, email="nobody")
        with pytest.raises(NameMalformed):
            await service.change_customer(tx, _CALL, bob.id, name=" ")
        assert await customers.get_customer(tx, _CALL, bob.id) == bob
        member = make.call(
            by=make.principal(Permission.PROFILE_WRITE, customer_id=ada.id, environment=Environment.TEST)
        )
        with pytest.raises(Forbidden):
            await service.change_customer(tx, member, ada.id, external_id="mine")
        with pytest.raises(CustomerNotFound):
            await service.change_customer(tx, member, bob.id, name="Mine")
        assert (await service.change_customer(tx, member, ada.id, name="Ada Ltd")).name == "Ada Ltd"
        reader = make.call(by=make.principal(Permission.CUSTOMER_READ))
        with pytest.raises(Forbidden):
            await service.change_customer(tx, reader, bob.id, name="Bobby")
        await erasing.erase(tx, _CALL, bob, is_retained=False)
        with pytest.raises(CustomerErased):
            await service.change_customer(tx, _CALL, bob.id, name="Bob")
