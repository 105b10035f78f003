"""A merchant whose customers have things happen to them, with endpoints in memory, on a clock of the test's own."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.adapters.memory_webhooks import MemoryWebhooks
from domain.customers import service as customers
from domain.db import Database
from domain.journal import service as journal
from domain.kernel.call import Call, Environment
from domain.kernel.ids import CustomerId, EndpointId
from domain.kernel.money import Money
from domain.webhooks.delivering import service as delivering
from domain.webhooks.endpoint import Endpoint
from domain.webhooks.endpoints import service as endpoints
from domain.webhooks.lane import Lane
from tests import make

URL = "https://hooks.example.com/in"
ROUNDS_MAX = 200
# No jitter: 900 + 100 parts of a thousand are the whole delay.
STEADY = 100
_BEGIN = make.at("2026-03-01T12:00")


@dataclass
class Merchant:
    """The merchant's side of the world. `now` moves by hand."""

    db: Database
    sender: MemoryWebhooks = field(default_factory=MemoryWebhooks)
    now: datetime = _BEGIN

    @property
    def call(self) -> Call:
        """A call by the system, now."""
        return Call(make.new_id(), self.now, make.call().principal, make.new_id)

    async def customer(self, *, environment: Environment = Environment.TEST) -> CustomerId:
        """Make a customer."""
        async with self.db.transaction() as tx:
            made = await customers.create_customer(
                tx, self.call, environment=environment, name="Ada", email="ada@example.com"
            )
        return made.id

    async def endpoint(self, *events: str, url: str = URL) -> Endpoint:
        """Make an endpoint of the test environment."""
        return (await self.secret_endpoint(*events, url=url))[0]

    async def secret_endpoint(self, *events: str, url: str = URL) -> tuple[Endpoint, str]:
        """Make an endpoint, and return its secret too."""
        return await endpoints.create_endpoint(
            self.db,
            self.sender,
            self.call,
            environment=Environment.TEST,
            name="CRM",
            url=url,
            events=events or ("*",),
        )

    async def happens(self, customer_id: CustomerId, *types: str) -> None:
        """Let things happen to a customer, in one transaction."""
        async with self.db.transaction() as tx:
            for each in types:
                await journal.tell(
                    tx,
                    self.call,
                    self.now,
                    customer_id,
                    each,
                    description="It happened",
                    amount=Money(7900, "USD"),
                    metadata={"invoice_id": "inv_1"},
                )

    async def publish(self) -> int:
        """Give numbers to what was committed."""
        async with self.db.transaction() as tx:
            return await delivering.publish(tx, self.call)

    async def claim(self, endpoint_id: EndpointId, *, limit: int = 10) -> tuple[UUID, list[Lane]]:
        """Take lanes that are due."""
        call = self.call
        async with self.db.transaction() as tx:
            return call.id, list(await delivering.claim(tx, call, endpoint_id, limit=limit))

    async def deliver(self) -> None:
        """Publish, and send all that is due now."""
        await self.publish()
        async with self.db.transaction() as tx:
            enabled = await delivering.list_enabled(tx)
        for endpoint_id in enabled:
            lease, lanes = await self.claim(endpoint_id)
            for claimed in lanes:
                await self.follow(claimed, lease)

    async def follow(self, claimed: Lane, lease: UUID) -> None:
        """Send what a claimed lane has, until it fails or is empty."""
        lane: Lane | None = claimed
        for _ in range(ROUNDS_MAX):
            if lane is None:
                return
            lane = await delivering.deliver_next(self.db, self.sender, self.call, lane, lease=lease, jitter=STEADY)

    async def wait(self, **time: int) -> None:
        """Let real time pass, and send what is due then."""
        self.now += timedelta(**time)
        await self.deliver()

    def heard(self) -> list[Any]:
        """Return what was posted, read, in order."""
        return [json.loads(each.body) for each in self.sender.posted]

    def types(self, url: str = URL) -> list[str]:
        """Return the types posted to a URL, in order."""
        return [json.loads(each.body)["type"] for each in self.sender.posted if each.url == url]
