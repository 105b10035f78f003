"""A customer with an open invoice over 29.00 USD, on real Postgres, and what was written about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import sqlalchemy as sa

from domain.access.roles import system_principal
from domain.contracts import service as contracts
from domain.customers import service as customers
from domain.customers.collecting import service as collecting
from domain.customers.customer import CollectionMethod, Customer
from domain.customers.store import Sight
from domain.db import Database, Tx
from domain.invoices import store as invoice_store
from domain.invoices.invoice import Invoice
from domain.journal.store import audit_entry, billing_event, outbox_job
from domain.kernel.call import Call, Environment
from domain.kernel.ids import ClockId
from domain.ledger.store import ledger_entry
from domain.payments import service, store
from domain.payments.attempt import Attempt
from domain.payments.method import PaymentMethod
from domain.payments.port import PaymentGateway
from domain.plans import service as plans
from domain.plans.definition import read_product
from domain.subscriptions.schedule import Interval
from tests import make

# Edge Starter, a month in advance: 29.00 USD.
PRICE_MINOR = 2_900
VISA = "pm_card_visa"
NO_FUNDS = "pm_card_chargeDeclinedInsufficientFunds"
CONFIRMED = "pm_card_authenticationRequired"
DEBIT = "pm_usBankAccount_success"
NOON = "2026-01-15T12:00"


def system(when: str = NOON) -> Call:
    """Make a call of a worker at a real instant."""
    return make.call(when, by=system_principal("test"))


@dataclass(frozen=True, slots=True)
class Till:
    """One customer and their open invoice."""

    db: Database
    customer: Customer
    invoice: Invoice

    async def attach(self, gateway: PaymentGateway, token: str = VISA, when: str = NOON) -> PaymentMethod:
        """Attach a payment method by a test token."""
        return await service.attach_method(
            self.db, gateway, system(when), customer_id=self.customer.id, gateway_method_id=token
        )

    async def collect(self, gateway: PaymentGateway, when: str = NOON) -> Attempt | None:
        """Carry out the collection job once."""
        return await service.collect(
            self.db, gateway, system(when), customer_id=self.customer.id, invoice_id=self.invoice.id
        )

    async def state(self) -> str:
        """Return the state of our invoice."""
        async with self.db.transaction() as tx:
            return str((await store.lock_invoice(tx, self.customer.id, self.invoice.id)).state)

    async def attempts(self) -> list[str]:
        """Return the states of the invoice's attempts, the oldest first."""
        return [str(attempt.state) for attempt in reversed(await self.attempt_rows())]

    async def attempt_rows(self) -> Sequence[Attempt]:
        """Return the invoice's attempts, the newest first."""
        async with self.db.transaction() as tx:
            return (await store.list_attempts_of(tx, [(self.customer.id, self.invoice.id)]))[self.invoice.id]

    async def gateway_invoice_id(self) -> str:
        """Return the id of the gateway's copy."""
        async with self.db.transaction() as tx:
            push = await store.find_push(tx, self.customer.id, self.invoice.id)
        assert push is not None
        assert push.gateway_invoice_id is not None
        return push.gateway_invoice_id

    async def told(self) -> list[str]:
        """Return the types of the billing events about payments, in order."""
        statement = (
            sa.select(billing_event.c.type).where(billing_event.c.type.like("payment%")).order_by(billing_event.c.id)
        )
        return [row.type for row in await self._rows(statement)]

    async def staged(self, kind: str) -> int:
        """Count the pending jobs of a kind."""
        statement = sa.select(outbox_job.c.id).where(outbox_job.c.kind == kind, outbox_job.c.state == "pending")
        return len(await self._rows(statement))

    async def audited(self, action: str) -> int:
        """Count the audit entries of an action."""
        return len(await self._rows(sa.select(audit_entry.c.id).where(audit_entry.c.action == action)))

    async def posted(self, reason: str) -> int:
        """Count the ledger entries with a reason."""
        return len(await self._rows(sa.select(ledger_entry.c.id).where(ledger_entry.c.reason == reason)))

    async def _rows(self, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        async with self.db.transaction() as tx:
            return await tx.rows(statement)


async def open_till(
    db: Database,
    *,
    environment: Environment = Environment.TEST,
    clock_id: ClockId | None = None,
    collection: CollectionMethod = CollectionMethod.CHARGE,
) -> Till:
    """Make a customer who has just subscribed to Edge Starter by the month."""
    call = system("2026-01-15T11:00")
    async with db.transaction() as tx:
        definition = files("domain.plans.catalogue").joinpath("edge.json").read_bytes()
        await plans.publish(tx, call, read_product(definition))
        customer = await customers.create_customer(
            tx,
            call,
            environment=environment,
            name="Ada <b>Lovelace</b>",
            email="ada@example.com",
            zone="Europe/London",
            clock_id=clock_id,
        )
        await collecting.set_collection(tx, call, customer.id, collection)
        await contracts.subscribe(
            tx, call, customer_id=customer.id, product_key="edge", plan_key="starter", interval=Interval.MONTH
        )
        return Till(db, customer, await _only_invoice(tx, customer))


async def _only_invoice(tx: Tx, customer: Customer) -> Invoice:
    found = await invoice_store.invoices_by_customer_ids(
        tx, [customer.id], sight=Sight(customer.id), before=None, limit=10
    )
    [invoice] = found[customer.id]
    assert invoice.total.minor == PRICE_MINOR
    return invoice
