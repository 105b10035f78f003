"""Documents on real Postgres: written once, sealed whole, read by right or by link."""

import hashlib
import json

import pytest
import sqlalchemy as sa

from domain.access.roles import Permission
from domain.adapters.memory_pdf import MemoryRenderer
from domain.customers.profiles import service as profiles
from domain.customers.profiles.profile import Address
from domain.invoices.credit_note import CreditKind, CreditReason
from domain.invoices.crediting import service as crediting
from domain.invoices.documents import link as links
from domain.invoices.documents import service, store
from domain.invoices.documents.rendering.service import render_credit_note, render_invoice
from domain.invoices.documents.service import DocumentNotFound
from domain.invoices.invoice import Invoice, InvoiceNotFound
from domain.kernel.call import Environment, Forbidden
from domain.kernel.ids import CustomerId
from tests import make
from tests.domain.invoices.world import STARTED, World, system_call

_KEY = links.signing_key(b"\x01" * 32)


async def _render(world: World, renderer: MemoryRenderer, invoice: Invoice) -> bool:
    return await render_invoice(
        world.db,
        renderer,
        system_call(),
        customer_id=world.customer.id,
        invoice_id=invoice.id,
        merchant="Example",
        address=("Main Street 1",),
    )


async def test_a_document_is_written_once_and_stays_as_it_was(world: World) -> None:
    opened, renderer = await world.open_first(), MemoryRenderer()
    assert await _render(world, renderer, opened)
    async with world.db.transaction() as tx:
        document, file = await service.file_of_invoice(tx, system_call(), opened.id)
        # What is known of the customer changes; the document does not.
        await profiles.change_profile(
            tx, system_call(), world.customer.id, address=Address(city="Wien", country="AT"), vat_number=None
        )
    assert not await _render(world, renderer, opened)
    assert len(renderer.rendered) == 1
    said = json.loads(file)
    assert (said["number"], said["seller"]["name"], said["buyer"]["name"]) == ("TEST-2026-000001", "Example", "Ada")
    assert said["created_at"] == STARTED.isoformat()
    assert (document.name, document.digest) == ("TEST-2026-000001", hashlib.sha256(file).digest())
    async with world.db.transaction() as tx:
        sealed = await tx.value(sa.select(store.document.c.sealed))
    assert b"Ada" not in sealed


async def test_drafts_have_no_document(world: World) -> None:
    draft, renderer = await world.draft(STARTED), MemoryRenderer()
    assert draft is not None
    assert not await _render(world, renderer, draft)
    assert renderer.rendered == []
    async with world.db.transaction() as tx:
        with pytest.raises(DocumentNotFound):
            await service.file_of_invoice(tx, system_call(), draft.id)


async def test_a_document_is_read_by_who_may_read_its_invoice_only(world: World) -> None:
    opened = await world.open_first()
    await _render(world, MemoryRenderer(), opened)
    other = make.principal(Permission.INVOICE_READ, customer_id=CustomerId(make.new_id()))
    live = make.principal(Permission.INVOICE_READ, environment=Environment.LIVE)
    own = make.principal(Permission.INVOICE_READ, customer_id=world.customer.id)
    async with world.db.transaction() as tx:
        for stranger in (other, live):
            with pytest.raises(InvoiceNotFound):
                await service.file_of_invoice(tx, make.call(by=stranger), opened.id)
        with pytest.raises(Forbidden):
            await service.file_of_invoice(tx, make.call(by=make.principal()), opened.id)
        assert await service.documents_of_invoices(tx, [opened.id], scope=other.customer_id) == {}
        document, _ = await service.file_of_invoice(tx, make.call(by=own), opened.id)
    assert document.about == opened.id


async def test_a_link_opens_its_document_until_it_expires(world: World) -> None:
    opened = await world.open_first()
    await _render(world, MemoryRenderer(), opened)
    async with world.db.transaction() as tx:
        found = (await service.documents_of_invoices(tx, [opened.id], scope=None))[opened.id]
        link = links.sign(_KEY, found.id, STARTED)
        expires = str(int(link.expires_at.timestamp()))
        document, file = await service.file_by_link(
            tx, [_KEY], STARTED, found.id, expires=expires, signature=link.signature
        )
        assert (document, hashlib.sha256(file).digest()) == (found, found.digest)
        with pytest.raises(links.LinkRefused):
            await service.file_by_link(tx, [_KEY], link.expires_at, found.id, expires=expires, signature=link.signature)


async def test_a_credit_note_has_a_document_of_its_own(world: World) -> None:
    opened, renderer = await world.open_first(), MemoryRenderer()
    async with world.db.transaction() as tx:
        note = await crediting.credit_lines(
            tx,
            system_call(),
            STARTED,
            customer_id=world.customer.id,
            invoice_id=opened.id,
            parts=[],
            reason=CreditReason.GOODWILL,
            kind=CreditKind.OFFSET,
        )
        jobs = await tx.value(sa.text("SELECT count(*) FROM outbox_job WHERE kind = 'render_credit_note'"))
    assert jobs == 1
    written = [
        await render_credit_note(
            world.db,
            renderer,
            system_call(),
            customer_id=world.customer.id,
            credit_note_id=note.id,
            merchant="Example",
        )
        for _ in range(2)
    ]
    assert written == [True, False]
    other = make.principal(Permission.INVOICE_READ, customer_id=CustomerId(make.new_id()))
    async with world.db.transaction() as tx:
        document, file = await service.file_of_credit_note(tx, system_call(), note.id)
        with pytest.raises(DocumentNotFound):
            await service.file_of_credit_note(tx, make.call(by=other), note.id)
    said = json.loads(file)
    assert (document.name, said["title"], said["facts"][2]) == (
        "TEST-CN-2026-000001",
        "Credit note",
        ["Invoice number", "TEST-2026-000001"],
    )
