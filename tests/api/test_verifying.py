"""`tollgate verify invoice`: one line for each line of the invoice, and where it differs below it."""

import base64
from datetime import timedelta

import pytest
import sqlalchemy as sa

from api.verifying import report, verify_invoice
from domain.config import Settings
from domain.db import Database
from domain.invoices.invoice import InvoiceNotFound
from domain.invoices.verification import Outcome
from domain.kernel.ids import IdMalformed, encode
from tests import make
from tests.world import World, llm_call, runtime_of


@pytest.fixture
def origin(seeded: str) -> str:
    """Begin with both catalogues published."""
    return seeded


def settings(database_url: str) -> Settings:
    """Name a database and the key of the tests."""
    return Settings(database_url=database_url, master_key=base64.b64encode(b"\x01" * 32).decode())


async def test_each_line_is_printed_with_what_differs(db: Database, database_url: str) -> None:
    world, given = World(runtime_of(db)), settings(database_url)
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "pro")
    # 800,000 input tokens at 1.25 per million: 1.00 USD. The model's name is the sender's, and may hold anything.
    call = llm_call(ada, make.at("2026-01-31") + timedelta(minutes=1), input_tokens=800_000)
    odd = llm_call(ada, make.at("2026-01-31"), provider="tavily", model="\x1b[2Jx", requests=1_000)
    assert {verdict.status for verdict in await world.use("llm", call, odd)} == {"counted"}
    await world.advance(to="2026-03-01")
    *_, invoice = await world.invoices(ada)
    found = await verify_invoice(given, "TEST-2026-000002")
    assert found == await verify_invoice(given, encode("invoice", invoice.id))
    lines = list(report(found))
    assert lines == [
        "equal      1.00 USD  LLM usage: gemini / gemini-2.5-pro, 31 Jan 2026 – 28 Feb 2026",  # noqa: RUF001 - as on the invoice
        "equal      1.00 USD  LLM usage: tavily / ?[2jx, 31 Jan 2026 – 28 Feb 2026",  # noqa: RUF001 - the same
        "equal      79.00 USD  LLM Pro, monthly fee, 28 Feb 2026 – 31 Mar 2026",  # noqa: RUF001 - the same
        "TEST-2026-000002: equal, 3 lines, 2 events recounted",
    ]
    slot = await world.slot_of("calls")
    async with db.transaction() as tx:
        await tx.execute(sa.text("SET LOCAL session_replication_role = replica"))
        await tx.execute(sa.text("UPDATE invoice_line SET amount_minor = 7800 WHERE kind = 'fee'"))
        await tx.execute(sa.text(f"UPDATE counter_total SET h{slot} = 3"))  # noqa: S608 -- of the test
    found = await verify_invoice(given, "TEST-2026-000002")
    assert found.outcome is Outcome.DIFFERENT
    assert list(report(found))[2:] == [
        "different  78.00 USD  LLM Pro, monthly fee, 28 Feb 2026 – 31 Mar 2026",  # noqa: RUF001 - the same
        "           amount_minor: stored 7800, recomputed 7900",
        "different  total of calls (model ?[2jx, provider tavily)",
        "           hours.quantity: stored 3, recomputed 1",
        "different  total of calls (model gemini-2.5-pro, provider gemini)",
        "           hours.quantity: stored 3, recomputed 1",
        "different  sums of the invoice",
        # 1.00 + 1.00 + 79.00 on the invoice, 1.00 + 1.00 + 78.00 on its lines.
        "           subtotal_minor: stored 8100, recomputed 8000",
        "TEST-2026-000002: different, 3 lines, 2 events recounted",
    ]
    with pytest.raises(InvoiceNotFound):
        await verify_invoice(given, "TEST-2026-000003")
    with pytest.raises(IdMalformed):
        await verify_invoice(given, "inv_1")
    await world.close()
