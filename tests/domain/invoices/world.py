"""A customer on the LLM catalogue in a real database, whose usage is written as the recorder would have left it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from importlib.resources import files
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.customer import Customer
from domain.db import Database, Tx
from domain.invoices import service
from domain.invoices.invoice import Invoice, LineKind
from domain.journal.store import audit_entry, billing_event, outbox_job
from domain.kernel.call import Call, Environment
from domain.kernel.ids import ClockId
from domain.ledger.store import ledger_entry
from domain.plans import service as plans
from domain.plans.definition import ProductDefinition, read_product
from domain.plans.plan import Catalogue
from domain.plans.provider_price import PriceSet
from domain.subscriptions import service as subscriptions
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Segment, Subscription
from domain.usage.combination import combination_of
from domain.usage.store import dimension_set, usage_hour
from tests import make

STARTED = make.at("2026-01-01")


def system_call(when: datetime = STARTED) -> Call:
    """Make a call of the system, which may do everything."""
    return make.call(when.strftime("%Y-%m-%dT%H:%M"), by=make.principal(*Permission))


def catalogue_file(name: str) -> ProductDefinition:
    """Read one of the default catalogues."""
    return read_product((files("domain.plans.catalogue") / name).read_bytes())


@dataclass(frozen=True, slots=True)
class World:
    """One customer with one subscription."""

    db: Database
    catalogue: Catalogue
    customer: Customer
    subscription: Subscription

    async def draft(self, now: datetime, *, grace_s: int = 0) -> Invoice | None:
        """Derive what is due by an instant, in a transaction of its own."""
        async with self.db.transaction() as tx:
            return await self.draft_in(tx, now, grace_s=grace_s)

    async def draft_in(self, tx: Tx, now: datetime, *, grace_s: int = 0) -> Invoice | None:
        """Derive what is due by an instant."""
        call = system_call(now)
        await subscriptions.ensure_segment(tx, call, self.subscription, now)
        return await service.draft_due(
            tx,
            call,
            now,
            customer=self.customer,
            subscriptions=[self.subscription],
            catalogue=self.catalogue,
            grace_s=grace_s,
        )

    async def open(self, invoice: Invoice | None, now: datetime) -> Invoice:
        """Open a draft in a transaction of its own."""
        assert invoice is not None, "there is a draft"
        async with self.db.transaction() as tx:
            return await service.open_invoice(
                tx, system_call(now), now, customer_id=self.customer.id, invoice_id=invoice.id
            )

    async def open_first(self) -> Invoice:
        """Derive and open what is due at the start: the first fee."""
        return await self.open(await self.draft(STARTED), STARTED)

    async def lines(self, invoice: Invoice) -> list[tuple[LineKind, int, int]]:
        """Return kind, revision and amount of an invoice's lines, in the order in which they are shown."""
        async with self.db.transaction() as tx:
            found = await service.lines_by_invoice_ids(tx, [invoice.id], scope=self.customer.id)
        return [(line.identity.kind, line.revision, line.amount.minor) for line in found[invoice.id]]

    async def count(self, meter_key: str, quantity: str, *, at: datetime, model: str = "gemini-2.5-pro") -> None:
        """Add usage of a Gemini model to its hour."""
        [meter] = [each for each in self.catalogue.meters.values() if each.key == meter_key]
        combination = combination_of(meter.id.bytes, meter.dimensions, ("gemini", model))
        async with self.db.transaction() as tx:
            segment = await self._segment(tx, at)
            values = dict(zip(meter.dimensions, ("gemini", model), strict=True))
            own = {"customer_id": self.customer.id, "id": UUID(bytes=combination.id), "values": values}
            await tx.execute(pg.insert(dimension_set).values(own).on_conflict_do_nothing())
            hour = {
                "customer_id": self.customer.id,
                "segment_id": segment.id,
                "meter_id": meter.id,
                "dimensions": UUID(bytes=combination.id),
                "hour_at": at,
                "quantity": Decimal(quantity),
                "events": 1,
                "digest": 7,
            }
            await tx.execute(sa.insert(usage_hour).values(hour))

    async def price(self, pool: str, amount: str) -> None:
        """Put a row for Gemini 2.5 Pro on the provider price list, in USD per million, from before the start."""
        prices = ((pool, Decimal(amount), Decimal(1_000_000)),)
        new = PriceSet("gemini", "gemini-2.5-pro", make.at("2025-01-01"), None, "requirements", prices)
        async with self.db.transaction() as tx:
            await tx.execute(
                sa.text("INSERT INTO provider VALUES ('gemini', 'Gemini', '{}')")  # the list refers to providers
            )
            await plans.import_provider_prices(tx, system_call(), [new])

    async def _segment(self, tx: Tx, at: datetime) -> Segment:
        found = await subscriptions.ensure_segment(tx, system_call(at), self.subscription, at)
        assert found is not None, "usage lies in the subscription's life"
        return found

    async def written(self) -> dict[str, int]:
        """Count what an opened or paid invoice leaves behind."""
        tables = {"jobs": outbox_job, "told": billing_event, "posted": ledger_entry, "audited": audit_entry}
        async with self.db.transaction() as tx:
            return {
                name: int(await tx.value(sa.select(sa.func.count()).select_from(table)))
                for name, table in tables.items()
            }


async def found_world(
    db: Database,
    *,
    plan: str = "pro",
    environment: Environment = Environment.TEST,
    interval: Interval = Interval.MONTH,
    clock_id: ClockId | None = None,
) -> World:
    """Publish the LLM catalogue and subscribe a new customer to a plan on 1 January 2026."""
    call = system_call()
    async with db.transaction() as tx:
        await plans.publish(tx, call, catalogue_file("llm.json"))
        catalogue = await plans.load_catalogue(tx)
        customer = await customers.create_customer(
            tx, call, environment=environment, name="Ada", email="ada@example.com", clock_id=clock_id
        )
        subscription = await subscriptions.open_subscription(
            tx,
            call,
            STARTED,
            customer=customer,
            product_id=catalogue.product("llm").id,
            plan_version_id=catalogue.current_version("llm", plan).id,
            interval=interval,
            currency="USD",
        )
    return World(db, catalogue, customer, subscription)
