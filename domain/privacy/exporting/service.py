"""Ask for an export, make it part by part, and hand it out."""

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.erasing import service as erasing
from domain.db import Database, Tx
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call, Forbidden
from domain.kernel.ids import CustomerId, encode
from domain.privacy import export as rules
from domain.privacy import link as links
from domain.privacy.export import Export, ExportNotFound, ExportState, Place
from domain.privacy.exporting import store
from domain.privacy.inventory import inventory
from domain.privacy.reading.store import read_page
from domain.privacy.record import json_line, line_of

FORGET_BATCH = 100


async def request(tx: Tx, call: Call, customer_id: CustomerId) -> Export:
    """Have everything of a customer written to a file by a job. While one is made, that one is returned.

    Only for staff; audited. Raises Forbidden, CustomerNotFound, CustomerErased.
    """
    _need(call)
    customer = await customers.load_customer(tx, call, customer_id)
    await erasing.hold_present(tx, customer_id)
    new = Export(
        customer_id=customer.id,
        id=call.new_id(),
        state=ExportState.RUNNING,
        requested_at=call.at,
        requested_by=call.principal.id,
        place=rules.first_place(inventory()),
    )
    if await store.insert_export(tx, new):
        about, facts = encode("customer", customer.id), {"export_id": encode("export", new.id)}
        await journal.audit(tx, call, "export_customer", about, customer_id=customer.id, facts=facts)
    else:
        # Its job may have failed since: another one goes on where it stopped.
        found = await store.list_exports(tx, customer_id, limit=rules.LISTED_MAX)
        new = next(each for each in found if each.state is ExportState.RUNNING)
    await journal.stage(tx, call, jobs.ExportCustomer(customer.id, new.id), customer_id=customer.id)
    return new


async def list_exports(tx: Tx, call: Call, customer_id: CustomerId) -> Sequence[Export]:
    """Return a customer's newest exports, at most LISTED_MAX. Raises Forbidden, CustomerNotFound."""
    _need(call)
    await customers.load_customer(tx, call, customer_id)
    return await store.list_exports(tx, customer_id, limit=rules.LISTED_MAX)


async def carry_on(
    db: Database,
    call: Call,
    customer_id: CustomerId,
    export_id: UUID,
    *,
    parts_max: int = rules.PARTS_PER_RUN,
    rows_max: int = rules.PAGE_ROWS,
) -> bool:
    """Make some more parts of an export; return whether it has ended. Each part is a unit of work of its own."""
    for _ in range(parts_max):
        async with db.transaction() as tx:
            before = await store.lock_export(tx, customer_id, export_id)
            if before is None or before.state is not ExportState.RUNNING or before.place is None:
                return True
            first = before.parts == 0
            lines, place = await _part(tx, call, customer_id, before.place, is_first=first, rows_max=rows_max)
            key = await customers.data_key(tx, customer_id)
            text = b"".join(lines)
            after = rules.gone_on(before, place, lines=len(lines), size=len(text), at=call.at)
            await store.save_part(tx, key, before, after, text)
    return False


async def everything(db: Database, call: Call, customer_id: CustomerId) -> AsyncIterator[bytes]:
    """Give everything of a customer, some lines at a time; nothing is kept. Audited.

    Raises Forbidden, CustomerNotFound, CustomerErased.
    """
    _need(call)
    async with db.transaction() as tx:
        await customers.load_customer(tx, call, customer_id)
        await erasing.hold_present(tx, customer_id)
        await journal.audit(tx, call, "export_customer", encode("customer", customer_id), customer_id=customer_id)
    place: Place | None = rules.first_place(inventory())
    is_first = True
    while place is not None:
        async with db.transaction() as tx:
            lines, place = await _part(tx, call, customer_id, place, is_first=is_first)
        is_first = False
        yield b"".join(lines)


async def open_file(
    tx: Tx, keys: Sequence[bytes], call: Call, export_id: UUID, *, expires: str, signature: str, is_fetched: bool = True
) -> Export:
    """Return the export that a link was signed for. Nothing is looked up before the link is checked.

    That it is fetched is audited, each time: by whom, nobody knows but that they had a link. Raises ExportLinkRefused,
    ExportNotFound.
    """
    links.check(keys, export_id, expires, signature, call.at)
    found = await store.find_export(tx, export_id)
    if found is None or not rules.is_open(found, call.at):
        raise ExportNotFound
    if is_fetched:
        about, facts = encode("customer", found.customer_id), {"export_id": encode("export", found.id)}
        await journal.audit(tx, call, "download_export", about, customer_id=found.customer_id, facts=facts)
    return found


async def parts(db: Database, of: Export) -> AsyncIterator[bytes]:
    """Give the file of an export that was opened, part by part. It ends early where it is deleted meanwhile."""
    for number in range(of.parts):
        async with db.transaction() as tx:
            found = await store.find_part(tx, of, number)
        if found is None:
            return
        yield found


async def forget(tx: Tx, call: Call) -> int:
    """Delete exports whose time is over, at most FORGET_BATCH; return how many."""
    return await store.delete_old(tx, at=call.at, ended_before=call.at - rules.KEPT_FOR, limit=FORGET_BATCH)


async def _part(
    tx: Tx, call: Call, customer_id: CustomerId, place: Place, *, is_first: bool, rows_max: int = rules.PAGE_ROWS
) -> tuple[list[bytes], Place | None]:
    """Write the lines of a page, and say where the next one begins: tables without a row are passed over."""
    holdings = inventory()
    key = await customers.data_key(tx, customer_id)
    lines = [_head(call, customer_id)] if is_first else []
    reads: Place | None = place
    while reads is not None:
        holding = holdings[reads.table]
        limit = min(rows_max, rules.rows_of_page(holding))
        page = await read_page(tx, key, holding, customer_id, after=reads.after, limit=limit)
        lines += [line_of(holding, row) for row in page.rows]
        reads = rules.next_place(holdings, reads, page.after)
        if len(page.rows) >= limit or len(lines) >= rows_max:
            return lines, reads
    return [*lines, json_line({"record": "end"})], None


def _head(call: Call, customer_id: CustomerId) -> bytes:
    head = {"record": "export", "format": rules.FORMAT, "customer_id": encode("customer", customer_id)}
    return json_line({**head, "made_at": call.at.isoformat()})


def _need(call: Call) -> None:
    """Refuse whoever is bound to one customer: what was written about a customer is not only theirs to see."""
    call.need(Permission.PRIVACY_EXPORT)
    if call.scope is not None:
        raise Forbidden(Permission.PRIVACY_EXPORT)
