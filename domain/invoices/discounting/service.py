"""Take coupons off the lines of a draft, and write what is taken once it is opened."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from fractions import Fraction

from domain.credits.coupon import Right
from domain.credits.coupons import service as coupons
from domain.credits.discounting import ONE, DiscountableLine, discounted
from domain.db import Tx
from domain.invoices.credited import Credited, credited, is_credit, is_unused_fee
from domain.invoices.discounting import store
from domain.invoices.invoice import FEE_KINDS, Identity, Invoice, Line, LineKind
from domain.invoices.standing import store as standing_store
from domain.kernel.call import Call
from domain.kernel.ids import LineId, PlanId, ProductId
from domain.kernel.money import Money
from domain.kernel.values import dataclass

_Sold = tuple[ProductId, PlanId]


@dataclass(frozen=True, slots=True)
class Reduced:
    """A draft's lines with their discounts, and what each coupon takes if it is opened now."""

    lines: list[Line]
    taken: tuple[tuple[Right, Money], ...] = ()


async def reduce(tx: Tx, now: datetime, draft: Invoice, lines: Sequence[Line]) -> Reduced:
    """Work out what coupons take off the lines of an invoice at business time `now`. Writes nothing."""
    rights = await coupons.rights_of(tx, draft.customer_id, now, draft.currency)
    given_back = await _credited(tx, draft, lines)
    if not rights and not any(each.before for each in given_back.values()):
        return Reduced([replace(line, discounts=()) if line.discounts else line for line in lines])
    sold = await _sold(tx, rights, lines)
    plain = [_discountable(line, sold, given_back.get(line.id, Credited())) for line in lines]
    found = discounted(plain, rights, draft.currency)
    reduced = [replace(line, discounts=own) for line, own in zip(lines, found.by_line, strict=True)]
    taken = [
        (right, Money(found.taken_minor[right.applied.id], draft.currency))
        for right in rights
        if right.applied.id in found.taken_minor
    ]
    return Reduced(reduced, tuple(taken))


async def apply(tx: Tx, now: datetime, draft: Invoice, lines: Sequence[Line]) -> Reduced:
    """Put the discounts of this moment on the lines of a draft. Run twice, nothing is written."""
    found = await reduce(tx, now, draft, lines)
    changed = [after for before, after in zip(lines, found.lines, strict=True) if after.discounts != before.discounts]
    await store.save_discounts(tx, draft, changed)
    return found


async def use(tx: Tx, call: Call, now: datetime, draft: Invoice, reduced: Reduced) -> None:
    """Write what an invoice takes of coupons, in the transaction that opens it."""
    await coupons.use(tx, call, now, reduced.taken, customer_id=draft.customer_id, invoice_id=draft.id)


async def give_back(tx: Tx, now: datetime, void: Invoice) -> None:
    """Return what a voided invoice took of coupons. Safe to repeat."""
    await coupons.give_back(tx, now, void.customer_id, void.id)


async def _credited(tx: Tx, draft: Invoice, lines: Sequence[Line]) -> dict[LineId, Credited]:
    """Return what the credits of a draft give back of; empty where none of it had been reduced."""
    given_back = [line for line in lines if is_credit(line) and (line.revision or is_unused_fee(line))]
    if not given_back:
        return {}
    standing = await standing_store.list_standing_lines(
        tx,
        customer_id=draft.customer_id,
        segment_ids={line.identity.segment_id for line in given_back if line.identity.segment_id is not None},
        subscription_ids={each for line in given_back if (each := line.identity.subscription_id) is not None},
        fees_since=min(
            (_fee_period_start(line) for line in given_back if line.identity.kind in FEE_KINDS), default=None
        ),
    )
    return {line.id: credited(line, standing, draft) for line in given_back}


def _fee_period_start(line: Line) -> datetime:
    """Return when the whole fee period began of which a line charges or credits a part."""
    return datetime.fromisoformat(line.derivation["period"]["start"])


async def _sold(tx: Tx, rights: Sequence[Right], lines: Sequence[Line]) -> Mapping[Identity, _Sold]:
    """Return the product and plan of lines, where a coupon asks for them. A cap is of the plan of its usage."""
    if not any(right.applied.coupon.product_ids or right.applied.coupon.plan_ids for right in rights):
        return {}
    identities = [line.identity for line in lines]
    prices = await store.plans_by_price(tx, {each.price_id for each in identities if each.price_id is not None})
    found = {each: prices[each.price_id] for each in identities if each.price_id in prices}
    by_segment = {each.segment_id: sold for each, sold in found.items() if each.segment_id is not None}
    caps = {each: by_segment[each.segment_id] for each in identities if each.segment_id in by_segment}
    return caps | found


def _discountable(line: Line, sold: Mapping[Identity, _Sold], credit: Credited) -> DiscountableLine:
    product_id, plan_id = sold.get(line.identity, (None, None))
    is_fee = line.identity.kind in FEE_KINDS
    return DiscountableLine(
        amount_minor=line.amount.minor,
        subscription_id=line.identity.subscription_id,
        product_id=product_id,
        plan_id=plan_id,
        lowers=line.identity.kind is LineKind.CAP or credit.lowers,
        follows=credit.before,
        exempt=not line.derivation.get("discountable", True),
        share=Fraction(line.derivation["share_of_time"]) if is_fee else ONE,
        during=line.period if is_fee else None,
    )
