"""Hold a customer's subscriptions, draft and open what is due for them, and note what was changed."""

from collections.abc import Collection, Sequence
from datetime import datetime

from domain.customers import service as customers
from domain.customers.customer import Customer
from domain.db import Tx
from domain.invoices import service as invoices
from domain.invoices import store as invoice_store
from domain.invoices.invoice import Invoice
from domain.invoices.offsetting.service import Offsets
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, InvoiceId, SubscriptionId, encode
from domain.kernel.values import dataclass
from domain.plans import service as plans
from domain.plans.plan import Catalogue
from domain.subscriptions import service as subscriptions
from domain.subscriptions.subscription import Subscription


@dataclass(frozen=True, slots=True)
class Desk:
    """One customer at business time `now`. Subscriptions that can still bill something are held: `held` names them.

    Where nothing is to be opened, as for a preview, what would be stays a draft. `insists`: what falls due together is
    closed together or not at all, so that it is tried again as a whole; else whichever cannot be closed is left out.
    """

    customer: Customer
    now: datetime
    catalogue: Catalogue
    held: frozenset[SubscriptionId]
    opens: bool = True
    insists: bool = False


async def open_desk(tx: Tx, call: Call, customer_id: CustomerId) -> Desk:
    """Load a customer that the caller may see, and hold its subscriptions until the transaction ends.

    Nothing is counted for them meanwhile, and two use cases about one customer run one after the other. Raises
    CustomerNotFound.
    """
    return (await open_desk_over(tx, call, customer_id))[0]


async def open_desk_over(tx: Tx, call: Call, customer_id: CustomerId) -> tuple[Desk, Sequence[Subscription]]:
    """Open a desk, and return the subscriptions that it holds too, as they are now. Raises as `open_desk`."""
    customer = await customers.load_customer(tx, call, customer_id)
    held = await subscriptions.lock_unsettled(tx, customer_id)
    now = await customers.clock_now(tx, call, customer.clock_id)
    return Desk(customer, now, await plans.load_catalogue(tx), frozenset(each.id for each in held)), held


async def open_earlier(tx: Tx, call: Call, desk: Desk, *, currency: str, boundary: datetime) -> None:
    """Open a draft whose grace was over before a boundary, in the order of time, so that it stays an invoice apart.

    Where nothing is opened, what is shown of the boundary is without it.
    """
    earlier = await invoice_store.lock_draft(
        tx, customer_id=desk.customer.id, environment=desk.customer.environment, currency=currency
    )
    if earlier is not None and earlier.grace_ends_at <= boundary:
        await finalise_draft(tx, call, desk, earlier)
        if not desk.opens:
            await invoices.set_aside(tx, call, desk.now, customer=desk.customer, currency=currency, opened_by=boundary)


async def draft_at_boundary(
    tx: Tx, call: Call, desk: Desk, *, subscription: Subscription, boundary: datetime, grace_s: int
) -> Invoice | None:
    """Draft what fell due of a subscription at a boundary; `conclude_boundary` follows. None where nothing is due."""
    return await _draft(tx, call, desk, boundary, [subscription], grace_s=grace_s)


async def conclude_boundary(
    tx: Tx, call: Call, desk: Desk, draft: Invoice | None, *, due: Sequence[Subscription], boundary: datetime
) -> None:
    """Have what was drafted at a boundary opened after its grace, or open it where that is over too.

    So catching up late makes the same invoices as being in time. `due` are those that were drafted there.
    """
    if draft is None:
        await _make_final(tx, due, boundary)
    elif draft.grace_ends_at <= desk.now:
        derived = {each.id for each in due} if draft.grace_ends_at == boundary else set[SubscriptionId]()
        await finalise_draft(tx, call, desk, draft, derived=derived)
    else:
        await journal.stage(
            tx,
            call,
            jobs.FinaliseInvoice(desk.customer.id, draft.id),
            customer_id=desk.customer.id,
            clock_id=desk.customer.clock_id,
            run_at=draft.grace_ends_at,
        )


async def finalise_draft(
    tx: Tx,
    call: Call,
    desk: Desk,
    draft: Invoice,
    *,
    at: datetime | None = None,
    derived: Collection[SubscriptionId] = (),
) -> Invoice:
    """Derive a draft once more, up to the end of its grace or another instant, make that final and open it.

    `derived` names subscriptions that were just derived up to the same instant in this transaction.
    """
    on_it, until = await held_on(tx, desk, draft.id), at or draft.grace_ends_at
    left = [each for each in on_it if each.id not in derived]
    if left or not on_it:
        await _draft(tx, call, desk, until, left, currency=draft.currency)
    await _make_final(tx, on_it, until)
    return await _open(tx, call, desk, draft)


async def derive_anew(tx: Tx, call: Call, desk: Desk, due: Sequence[Subscription], currency: str) -> Invoice | None:
    """Bring the draft of a currency up to now for some subscriptions, and for one-off charges.

    None where nothing is due.
    """
    return await _draft(tx, call, desk, desk.now, due, currency=currency)


async def derive_draft(tx: Tx, call: Call, desk: Desk, currency: str, *, only_present: bool = False) -> Invoice | None:
    """Bring the draft of a currency up to now for one-off charges alone; where asked, only where there is a draft."""
    own = desk.customer
    if only_present and not await invoice_store.lock_draft(
        tx, customer_id=own.id, environment=own.environment, currency=currency
    ):
        return None
    return await derive_anew(tx, call, desk, (), currency)


async def close_last(tx: Tx, call: Call, desk: Desk, settled: Subscription) -> None:
    """Open what is left on a draft of which no next one will come: nothing else of its currency can bill any more."""
    others = await subscriptions.subscriptions_by_id(tx, desk.held - {settled.id}, scope=desk.customer.id)
    if any(each.currency == settled.currency for each in others.values()):
        return
    draft = await invoice_store.lock_draft(
        tx, customer_id=desk.customer.id, environment=desk.customer.environment, currency=settled.currency
    )
    if draft is not None:
        await invoices.open_invoice(
            tx, call, desk.now, customer_id=draft.customer_id, invoice_id=draft.id, is_last=True
        )


async def invoice_at_once(
    tx: Tx,
    call: Call,
    desk: Desk,
    due: Sequence[Subscription],
    at: datetime,
    *,
    keep_credit: bool = False,
    lowers_unpaid: bool = True,
) -> Invoice | None:
    """Draft what is due by an instant and open it without grace; what is on the draft already goes with it.

    Returns what became of the draft; None where nothing was due. Where nothing is opened, nothing becomes final. With
    `keep_credit` one below zero becomes customer credit at once, instead of waiting for what falls due next. Without
    `lowers_unpaid` what is taken back of unpaid invoices is a line as any other credit.
    """
    draft = await _draft(tx, call, desk, at, due, lowers_unpaid=lowers_unpaid)
    if not desk.opens:
        return draft
    also = await held_on(tx, desk, draft.id) if draft else []
    await _make_final(tx, [*due, *also], at)
    if draft is None:
        return None
    return await _open(tx, call, desk, draft, is_last=keep_credit and draft.total.minor < 0)


async def held_on(tx: Tx, desk: Desk, invoice_id: InvoiceId, *, also_settled: bool = False) -> list[Subscription]:
    """Return the held subscriptions that have a line on an invoice, as they now are; where asked, all that have one."""
    lines = await invoices.lines_by_invoice_ids(tx, [invoice_id], scope=desk.customer.id)
    named = frozenset(each for line in lines[invoice_id] if (each := line.identity.subscription_id) is not None)
    on_it = named if also_settled else desk.held & named
    found = await subscriptions.subscriptions_by_id(tx, on_it, scope=desk.customer.id)
    return [found[each] for each in sorted(found)]


async def note(tx: Tx, call: Call, desk: Desk, about: Subscription, *, event_type: str, text: str) -> None:
    """Append the audit entry and the billing event of a change; `text` may name {plan} and {end}.

    Neither holds what the customer wrote.
    """
    plan = desk.catalogue.plan_of_version(about.plan_version_id)
    end = about.ends_at
    facts = {
        "subscription_id": encode("subscription", about.id),
        "plan": plan.key,
        "status": about.status,
        "end": end.isoformat() if end else None,
    }
    await journal.audit(
        tx, call, event_type, encode("subscription", about.id), customer_id=about.customer_id, facts=facts
    )
    description = text.format(plan=plan.name, end=f"{end:%Y-%m-%d %H:%M} UTC" if end else "")
    await journal.tell(tx, call, desk.now, about.customer_id, event_type, description=description, metadata=facts)


async def _draft(
    tx: Tx,
    call: Call,
    desk: Desk,
    at: datetime,
    due: Sequence[Subscription],
    *,
    currency: str | None = None,
    grace_s: int = 0,
    lowers_unpaid: bool = True,
) -> Invoice | None:
    offsets = Offsets.ISSUED if desk.opens else Offsets.PREVIEWED
    return await invoices.draft_due(
        tx,
        call,
        at,
        customer=desk.customer,
        subscriptions=due,
        currency=currency,
        catalogue=desk.catalogue,
        grace_s=grace_s,
        offsets=offsets if lowers_unpaid else Offsets.NONE,
    )


async def _make_final(tx: Tx, which: Collection[Subscription], at: datetime) -> None:
    for subscription in {each.id: each for each in which}.values():
        await subscriptions.make_final(tx, await subscriptions.segments_ending_by(tx, subscription, at))


async def _open(tx: Tx, call: Call, desk: Desk, draft: Invoice, *, is_last: bool = False) -> Invoice:
    if not desk.opens:
        return draft
    return await invoices.open_invoice(
        tx, call, desk.now, customer_id=draft.customer_id, invoice_id=draft.id, is_last=is_last
    )
