"""`tollgate webhooks`, with the settings of an environment."""

import pytest

from domain.db import Database
from domain.kernel.ids import encode
from domain.webhooks.replaying.service import ReplayRefused
from tests.api.command import run
from tests.domain.webhooks.merchant import Merchant


async def test_an_operator_lists_endpoints_and_has_events_sent_once_more(db: Database, database_url: str) -> None:
    assert await run(database_url, "webhooks", "list") == (0, "there are no webhook endpoints\n")
    merchant = Merchant(db)
    ada = await merchant.customer()
    endpoint = await merchant.endpoint("invoice.*", "payment.failed")
    await merchant.happens(ada, "invoice_opened")
    await merchant.deliver()
    name = encode("webhook_endpoint", endpoint.id)
    line = f"{name}  test  enabled  waiting 0, held 0  CRM  invoice.* payment.failed\n"
    assert await run(database_url, "webhooks", "list") == (0, line)

    done = (0, "events 1 to 1 of 1 customers will be sent once more\n")
    assert await run(database_url, "webhooks", "replay", name, "--from-number", "1", "--to-number", "1") == done
    days = ("--from", "2026-03-01T00:00:00Z", "--to", "2026-03-02T00:00:00Z")
    assert await run(database_url, "webhooks", "replay", name, *days, "--customer", encode("customer", ada)) == done
    with pytest.raises(ReplayRefused):
        await run(database_url, "webhooks", "replay", name, "--from-number", "9", "--to-number", "9")


@pytest.mark.parametrize(
    "arguments", [(), ("--from-number", "1"), ("--from", "2026-03-01", "--to", "2026-03-02T00:00:00Z")]
)
async def test_a_replay_without_a_whole_range_is_refused(database_url: str, arguments: tuple[str, ...]) -> None:
    status, _ = await run(database_url, "webhooks", "replay", "whe_1", *arguments)
    assert status == 2


async def test_the_types_of_events_are_printed(database_url: str) -> None:
    status, told = await run(database_url, "webhooks", "types")
    assert status == 0
    assert "invoice.paid                    Nothing is due on an invoice any more.\n" in told
