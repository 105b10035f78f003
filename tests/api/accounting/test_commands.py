"""`tollgate export`: invoices and credit notes of a stretch of time, by their numbers."""

import asyncio
import csv
import io
from pathlib import Path

import pytest

from domain.customers.customer import Customer
from domain.db import Database
from domain.invoices.credit_note import CreditKind, CreditPart, CreditReason
from domain.invoices.crediting import service as crediting
from domain.invoices.invoice import Invoice
from domain.kernel.ids import encode
from tests import make
from tests.api import command
from tests.world import World, runtime_of

_TEST = ("--environment", "test")


@pytest.fixture
def origin(seeded: str) -> str:
    """Begin with both catalogues published."""
    return seeded


async def _unpaid(world: World) -> tuple[Customer, Invoice]:
    """Issue two invoices of 79.00 that nobody pays, on 31 January and 28 February."""
    ada = await world.customer(on="2026-01-31", card=None)
    await world.subscribe(ada, "pro")
    await world.advance(to="2026-03-01")
    return ada, (await world.invoices(ada))[0]


async def _credit(world: World, invoice: Invoice, minor: int) -> str:
    [line] = await world.lines(invoice)
    async with world.runtime.db.transaction() as tx:
        note = await crediting.credit_lines(
            tx,
            world.call,
            make.at("2026-02-10"),
            customer_id=invoice.customer_id,
            invoice_id=invoice.id,
            parts=[CreditPart(line.id, minor)],
            reason=CreditReason.GOODWILL,
            kind=CreditKind.OFFSET,
        )
    return encode("credit_note", note.id)


async def _export(database_url: str, to: Path, *arguments: str) -> list[dict[str, str]]:
    assert await command.run(database_url, "export", arguments[0], str(to), *arguments[1:]) == (0, "")
    return list(csv.DictReader(io.StringIO(await asyncio.to_thread(to.read_text))))


async def test_invoices_are_written_by_their_numbers(db: Database, database_url: str, tmp_path: Path) -> None:
    world, file = World(runtime_of(db)), tmp_path / "invoices.csv"
    ada, first = await _unpaid(world)
    await _credit(world, first, 900)
    written = await _export(database_url, file, "invoices", *_TEST)
    assert [each["number"] for each in written] == ["TEST-2026-000001", "TEST-2026-000002"]
    assert written[0] == {
        "number": "TEST-2026-000001",
        "invoice_id": encode("invoice", first.id),
        "customer_id": encode("customer", ada.id),
        "issued_at": "2026-01-31T00:00:00+00:00",
        "due_at": "2026-01-31T00:00:00+00:00",
        "state": "open",
        "currency": "USD",
        "net": "79.00",
        "tax": "0.00",
        "total": "79.00",
        "credit_applied": "0.00",
        "credited": "9.00",
        "amount_paid": "0.00",
        # 79.00 - 9.00.
        "amount_due": "70.00",
        "paid_at": "",
        "voided_at": "",
        "written_off_at": "",
        "purchase_order": "",
    }
    later = await _export(database_url, file, "invoices", *_TEST, "--from", "2026-02-28T00:00:00Z")
    assert [each["number"] for each in later] == ["TEST-2026-000002"]
    earlier = await _export(database_url, file, "invoices", *_TEST, "--to", "2026-02-28T00:00:00Z")
    assert [each["number"] for each in earlier] == ["TEST-2026-000001"]
    assert await _export(database_url, file, "invoices") == []


async def test_credit_notes_are_written_by_their_numbers(db: Database, database_url: str, tmp_path: Path) -> None:
    world, file = World(runtime_of(db)), tmp_path / "notes.csv"
    ada, first = await _unpaid(world)
    note_id = await _credit(world, first, 900)
    await _credit(world, first, 100)
    written = await _export(database_url, file, "credit-notes", *_TEST)
    assert [each["number"] for each in written] == ["TEST-CN-2026-000001", "TEST-CN-2026-000002"]
    assert written[0] == {
        "number": "TEST-CN-2026-000001",
        "credit_note_id": note_id,
        "invoice_id": encode("invoice", first.id),
        "customer_id": encode("customer", ada.id),
        "issued_at": "2026-02-10T00:00:00+00:00",
        "kind": "offset",
        "reason": "goodwill",
        "currency": "USD",
        "net": "9.00",
        "tax": "0.00",
        "total": "9.00",
        "offset": "9.00",
        "credited": "0.00",
        "refund": "0.00",
        "to_wallets": "0.00",
    }
    assert await _export(database_url, file, "credit-notes", *_TEST, "--to", "2026-02-10T00:00:00Z") == []
    assert await _export(database_url, file, "credit-notes") == []


@pytest.mark.parametrize("kind", ["invoices", "credit-notes"])
async def test_a_stretch_of_time_that_ends_before_it_begins_is_refused_and_writes_no_file(
    database_url: str, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "none.csv"
    stretch = ("--from", "2026-03-01T00:00:00Z", "--to", "2026-03-01T00:00:00Z")
    for command_line in (("export", kind, str(file)), ("export-ledger", str(file))):
        status, told = await command.run(database_url, *command_line, *stretch)
        assert (status, "ends before it begins" in told) == (2, True)
        assert not await asyncio.to_thread(file.exists)
