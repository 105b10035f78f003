"""Compare one page of one stage: read both sides, and name what differs. Nothing is written here."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from domain.customers.store import Sight
from domain.db import Database, Tx
from domain.invoices.invoice import Invoice
from domain.invoices.store import invoices_by_id
from domain.kernel.ids import CustomerId
from domain.kernel.values import dataclass
from domain.payments import store as payments
from domain.payments.attempt import Attempt
from domain.payments.copies.store import past_of
from domain.payments.disputing import store as disputes
from domain.payments.listed import GatewayDispute, GatewayRefund
from domain.payments.methods.service import METHODS_MAX
from domain.payments.port import GatewayInvoice, GatewayMethod, GatewayRefused, PaymentGateway
from domain.payments.push import Push
from domain.payments.reconciling import finding, store
from domain.payments.reconciling.finding import Difference, Finding, Found
from domain.payments.reconciling.run import Run, Stage
from domain.payments.refund import Refund
from domain.payments.refunding import store as refunds
from domain.payments.transferring import store as transfers

ROWS_MAX = 50
METHOD_PAGES_MAX = 5
# These name an invoice of the gateway by its id: one can be looked at again.
OF_INVOICES = frozenset(each for each in Difference if each.value.startswith(("invoice_", "payment_")))
# Likewise a refund.
OF_REFUNDS = frozenset(each for each in Difference if each.value.startswith("refund_"))
# These name a dispute of the gateway, likewise.
OF_DISPUTES = frozenset(each for each in Difference if each.value.startswith("dispute_"))
# A run compares all of these: what it has not seen is no more.
OF_WHOLE = frozenset(each for each in Difference if each.value.startswith(("customer_", "method_", "cash_")))


@dataclass(frozen=True, slots=True)
class Compared:
    """One page: how many things were compared, what differs, which findings are no more, and where the next begins."""

    count: int
    found: Sequence[Found] = ()
    gone: Sequence[UUID] = ()
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """Our side of an invoice: its copy's record and its attempts, the newest first.

    A copy that was paid before its invoice was asked for again has no record any more.
    """

    invoice: Invoice
    push: Push | None
    attempts: Sequence[Attempt]

    @property
    def last(self) -> Attempt | None:
        """The newest attempt."""
        return self.attempts[0] if self.attempts else None

    def differences(self, seen: GatewayInvoice | None) -> list[Found]:
        """Compare it with the copy as the gateway has it."""
        if self.push is None:
            return finding.about_past(self.invoice, seen) if seen is not None else []
        return finding.about_invoice(self.invoice, self.push, self.last, seen)


async def compare(db: Database, gateway: PaymentGateway, run: Run) -> Compared:
    """Compare the next page of a run's stage. Raises GatewayUnavailable, GatewayRefused."""
    return await _STAGES[run.stage](db, gateway, run)


async def look_at_copy(db: Database, gateway: PaymentGateway, gateway_invoice_id: str) -> Sequence[Found]:
    """Compare one invoice of the gateway with ours once more, whatever its age."""
    seen = await gateway.fetch_invoice(gateway_invoice_id)
    async with db.transaction() as tx:
        side = (await _sides(tx, [gateway_invoice_id])).get(gateway_invoice_id)
        if side is not None:
            payment = finding.payment_of(seen) if seen is not None else None
            paid = finding.about_payment(payment, side.invoice, side.attempts) if payment is not None else []
            return [*side.differences(seen), *paid]
        return finding.about_unknown_invoice(seen, await _push_named(tx, seen)) if seen is not None else []


async def _customers(db: Database, gateway: PaymentGateway, run: Run) -> Compared:
    """Compare every customer of the gateway: whose it is, and that it holds no balance."""
    page = await gateway.listing.list_customers(run.ever, after=run.after)
    named = [each.customer_id for each in page.items if each.customer_id is not None]
    async with db.transaction() as tx:
        known = await store.gateway_customers_of(tx, named)
        owners = {gateway_id: owner for owner, gateway_id in known.items()}
    mine = [each for each in page.items if each.customer_id is not None or each.id in owners]
    found = [
        difference
        for each in mine
        for difference in finding.about_holder(each, known.get(each.customer_id) if each.customer_id else each.id)
    ]
    return Compared(len(mine), found, after=page.last_id)


async def _methods(db: Database, gateway: PaymentGateway, run: Run) -> Compared:
    """Compare what each of our customers has attached, on both sides."""
    async with db.transaction() as tx:
        rows = await store.page_gateway_customers(tx, run.environment, after=_uuid(run.after), limit=ROWS_MAX)
        owners = [owner for owner, _ in rows]
        ours = await payments.methods_of_customers(tx, owners, scope=None, limit=METHODS_MAX)
        transferring = await transfers.holders_of(tx, owners)
    found: list[Found] = []
    for owner, gateway_customer_id in rows:
        theirs = await _attached(gateway, gateway_customer_id)
        if theirs is None:
            found.append(finding.about_missing_customer(gateway_customer_id, owner))
        else:
            found += finding.about_methods(owner, ours[owner], theirs)
            found += await _cash(db, gateway, owner, gateway_customer_id) if owner in transferring else []
    return Compared(len(rows), found, after=str(owners[-1]) if len(rows) == ROWS_MAX else None)


async def _cash(db: Database, gateway: PaymentGateway, owner: CustomerId, gateway_customer_id: str) -> list[Found]:
    """Compare the newest movements of what a customer has transferred."""
    page = await gateway.transfers.list_cash(gateway_customer_id, after=None)
    async with db.transaction() as tx:
        known = await transfers.known_of(tx, owner, [each.id for each in page.items])
    return finding.about_cash(owner, gateway_customer_id, page.items, known)


async def _attached(gateway: PaymentGateway, gateway_customer_id: str) -> list[GatewayMethod] | None:
    """Return what is attached to a customer of the gateway, or None where it is not known there."""
    found: list[GatewayMethod] = []
    after = None
    for _ in range(METHOD_PAGES_MAX):
        try:
            page = await gateway.listing.list_methods(gateway_customer_id, after=after)
        except GatewayRefused as refused:
            if refused.reason == "resource_missing" and after is None:
                return None
            raise
        found += page.items
        after = page.last_id
        if after is None:
            break
    return found


async def _invoices_there(db: Database, gateway: PaymentGateway, run: Run) -> Compared:
    """Compare the gateway's invoices of late: each is the copy of ours that it names, in its state, with its sums."""
    page = await gateway.listing.list_invoices(run.window, after=run.after)
    found: list[Found] = []
    compared = 0
    async with db.transaction() as tx:
        sides = await _sides(tx, [each.id for each in page.items])
        for seen in page.items:
            side = sides.get(seen.id)
            if side is not None:
                found += side.differences(seen)
            elif seen.invoice_id is not None:
                found += finding.about_unknown_invoice(seen, await _push_named(tx, seen))
            compared += side is not None or seen.invoice_id is not None
    return Compared(compared, found, after=page.last_id)


async def _invoices_here(db: Database, gateway: PaymentGateway, run: Run) -> Compared:
    """Compare our invoices that are open or were pushed of late: each has its copy, in its state, with its sums."""
    async with db.transaction() as tx:
        pushes = await store.page_pushes(tx, run.environment, run.window, after=_uuid(run.after), limit=ROWS_MAX)
        sides = await _sides(tx, [each.gateway_invoice_id for each in pushes if each.gateway_invoice_id])
    found: list[Found] = []
    for gateway_invoice_id, side in sides.items():
        seen = await gateway.fetch_invoice(gateway_invoice_id)
        found += side.differences(seen)
    return Compared(len(pushes), found, after=str(pushes[-1].invoice_id) if len(pushes) == ROWS_MAX else None)


async def _payments(db: Database, gateway: PaymentGateway, run: Run) -> Compared:
    """Compare money that came in there for invoices of ours."""
    page = await gateway.listing.list_payments(run.window, after=run.after)
    async with db.transaction() as tx:
        sides = await _sides(tx, [each.gateway_invoice_id for each in page.items])
    pairs = [(each, sides[each.gateway_invoice_id]) for each in page.items if each.gateway_invoice_id in sides]
    found = [
        difference
        for payment, side in pairs
        for difference in finding.about_payment(payment, side.invoice, side.attempts)
    ]
    return Compared(len(pairs), found, after=page.last_id)


async def _refunds(db: Database, gateway: PaymentGateway, run: Run) -> Compared:
    """Compare money that went back there: of payments of ours, or in the name of a refund of ours."""
    page = await gateway.listing.list_refunds(run.window, after=run.after)
    async with db.transaction() as tx:
        mine = await _refund_sides(tx, page.items)
    found = [difference for seen, ours, payer in mine for difference in finding.about_refund(seen, ours, payer)]
    return Compared(len(mine), found, after=page.last_id)


async def _refunds_here(db: Database, gateway: PaymentGateway, run: Run) -> Compared:
    """Compare our refunds that are on their way or were sent of late."""
    async with db.transaction() as tx:
        ours = await refunds.page_refunds(tx, run.environment, run.window, after=_uuid(run.after), limit=ROWS_MAX)
    found: list[Found] = []
    for each in ours:
        assert each.gateway_refund_id is not None, "the gateway has answered it"
        seen = await gateway.refunds.fetch_refund(each.gateway_refund_id)
        found += [finding.about_missing_refund(each)] if seen is None else finding.about_refund(seen, each, None)
    return Compared(len(ours), found, after=str(ours[-1].id) if len(ours) == ROWS_MAX else None)


async def look_at_refund(db: Database, gateway: PaymentGateway, gateway_refund_id: str) -> Sequence[Found]:
    """Compare one refund of the gateway with ours once more, whatever its age."""
    seen = await gateway.refunds.fetch_refund(gateway_refund_id)
    async with db.transaction() as tx:
        if seen is None:
            known, _ = await refunds.refunds_there(tx, [gateway_refund_id], [])
            return [finding.about_missing_refund(each) for each in known.values()]
        mine = await _refund_sides(tx, [seen])
    return [difference for there, ours, payer in mine for difference in finding.about_refund(there, ours, payer)]


async def _refund_sides(
    tx: Tx, seen: Sequence[GatewayRefund]
) -> list[tuple[GatewayRefund, Refund | None, CustomerId | None]]:
    """Return those refunds that concern us, each with ours and with whose payment it gives back: two statements."""
    payers = await store.payers_of(tx, [each.gateway_payment_id for each in seen if each.gateway_payment_id])
    named = [each.refund_id for each in seen if each.refund_id is not None]
    answered, known = await refunds.refunds_there(tx, [each.id for each in seen], named)
    sides = [
        (
            each,
            answered.get(each.id) or (known.get(each.refund_id) if each.refund_id is not None else None),
            payers.get(each.gateway_payment_id or ""),
        )
        for each in seen
    ]
    return [side for side in sides if side[1] is not None or side[2] is not None]


async def look_at_dispute(db: Database, gateway: PaymentGateway, gateway_dispute_id: str) -> Sequence[Found]:
    """Compare one dispute of the gateway with ours once more."""
    seen = await gateway.fetch_dispute(gateway_dispute_id)
    return await _of_disputes(db, [seen]) if seen is not None else []


async def _disputes_there(db: Database, gateway: PaymentGateway, run: Run) -> Compared:
    """Compare disputes of payments of ours that were opened lately."""
    page = await gateway.listing.list_disputes(run.window, after=run.after)
    return Compared(len(page.items), await _of_disputes(db, page.items), after=page.last_id)


async def _disputes_here(db: Database, gateway: PaymentGateway, run: Run) -> Compared:
    """Compare our disputes that are not over: a verdict may come after months."""
    async with db.transaction() as tx:
        ours = await disputes.page_open(tx, run.environment, after=_uuid(run.after), limit=ROWS_MAX)
    theirs = [await gateway.fetch_dispute(each.gateway_dispute_id) for each in ours]
    found = await _of_disputes(db, [each for each in theirs if each is not None])
    return Compared(len(ours), found, after=str(ours[-1].id) if len(ours) == ROWS_MAX else None)


async def _of_disputes(db: Database, seen: Sequence[GatewayDispute]) -> list[Found]:
    """Compare disputes of the gateway with our rows: two statements."""
    async with db.transaction() as tx:
        known = await disputes.known_of(tx, [each.id for each in seen])
        payers = await store.payers_of(tx, [each.gateway_payment_id for each in seen if each.gateway_payment_id])
    return [
        difference
        for each in seen
        for difference in finding.about_dispute(each, known.get(each.id), payers.get(each.gateway_payment_id or ""))
    ]


async def _report(db: Database, gateway: PaymentGateway, run: Run) -> Compared:
    """Look at what earlier runs have found and this one has not: it is no more, or lies outside of the window."""
    async with db.transaction() as tx:
        unseen = await store.list_unseen(tx, run, after=_uuid(run.after), limit=ROWS_MAX)
    found: list[Found] = []
    gone: list[UUID] = []
    for each in unseen:
        still = await _is_still(db, gateway, each)
        found += still
        if not still and each.kind in OF_INVOICES | OF_REFUNDS | OF_DISPUTES | OF_WHOLE:
            gone.append(each.id)
    return Compared(len(unseen), found, gone, str(unseen[-1].id) if len(unseen) == ROWS_MAX else None)


async def _is_still(db: Database, gateway: PaymentGateway, before: Finding) -> list[Found]:
    """Look once more at what a finding is about, where it names an invoice, a refund or a dispute."""
    if before.kind in OF_REFUNDS:
        seen = await look_at_refund(db, gateway, before.about)
    elif before.kind in OF_DISPUTES:
        seen = await look_at_dispute(db, gateway, before.about)
    elif before.kind in OF_INVOICES:
        seen = await look_at_copy(db, gateway, before.about)
    else:
        seen = []
    return [each for each in seen if each.kind is before.kind]


async def _sides(tx: Tx, gateway_invoice_ids: Sequence[str]) -> dict[str, Side]:
    """Return our side of those of the gateway's invoices that are, or were, copies of ours: four statements."""
    pushes = await store.pushes_of(tx, gateway_invoice_ids)
    owners = {key: (push.customer_id, push.invoice_id) for key, push in pushes.items()}
    owners |= await past_of(tx, gateway_invoice_ids)
    ids = {invoice_id for _, invoice_id in owners.values()}
    invoices = await invoices_by_id(tx, ids, sight=Sight(None)) if ids else {}
    attempts = await payments.list_attempts_of(tx, list(owners.values())) if owners else {}
    return {
        key: Side(invoices[invoice_id], pushes.get(key), attempts[invoice_id])
        for key, (_, invoice_id) in owners.items()
        if invoice_id in invoices
    }


async def _push_named(tx: Tx, seen: GatewayInvoice) -> Push | None:
    """Return the record of the invoice of ours that one of the gateway names."""
    if seen.invoice_id is None:
        return None
    return (await store.pushes_of_invoices(tx, [seen.invoice_id])).get(seen.invoice_id)


def _uuid(text: str | None) -> UUID | None:
    return UUID(text) if text is not None else None


_Compare = Callable[[Database, PaymentGateway, Run], Awaitable[Compared]]
_STAGES: dict[Stage, _Compare] = {
    Stage.CUSTOMERS: _customers,
    Stage.METHODS: _methods,
    Stage.INVOICES_THERE: _invoices_there,
    Stage.INVOICES_HERE: _invoices_here,
    Stage.PAYMENTS: _payments,
    Stage.REFUNDS: _refunds,
    Stage.REFUNDS_HERE: _refunds_here,
    Stage.DISPUTES_THERE: _disputes_there,
    Stage.DISPUTES_HERE: _disputes_here,
    Stage.REPORT: _report,
}
