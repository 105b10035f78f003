"""A preview shows what the thing itself then does, and leaves nothing behind, on real Postgres."""

from decimal import Decimal
from typing import Any

import pytest

from domain.contracts import service as contracts
from domain.contracts.changing.fitting import PlanTooSmall
from domain.contracts.changing.wish import Wish
from domain.contracts.previewing import service as previewing
from domain.contracts.previewing.service import ChangePreview, NothingUpcoming, Preview
from domain.credits.coupon import Duration
from domain.credits.coupons import service as coupons
from domain.credits.coupons.service import Offer
from domain.db import Tx
from domain.invoices import service as invoices
from domain.invoices.invoice import Invoice, InvoiceKind, Line, State
from domain.kernel.money import Money
from domain.subscriptions.change import ChangeAt
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Subscription
from tests import make
from tests.domain.contracts.changing.office import Office, amounts
from tests.statements import counted

_CHANGE_MAX, _UPCOMING_MAX = 65, 40


async def _preview(office: Office, own: Subscription, **wish: Any) -> ChangePreview:
    async with office.db.transaction() as tx:
        return await previewing.preview_change(tx, office.call, subscription_id=own.id, wish=Wish(**wish))


async def _upcoming(office: Office, own: Subscription) -> Preview:
    async with office.db.transaction() as tx:
        return await previewing.preview_invoice(tx, office.call, subscription_id=own.id)


async def _lines(office: Office, invoice: Invoice | None) -> list[Line]:
    assert invoice is not None, "there is an invoice"
    async with office.db.transaction() as tx:
        return (await invoices.lines_by_invoice_ids(tx, [invoice.id], scope=None))[invoice.id]


def _same(one: Line, other: Line) -> bool:
    """Whether two lines say the same; their ids and their invoices' are their own."""
    parts = ("identity", "revision", "description", "quantity", "unit", "amount", "tax", "discounts", "derivation")
    return all(getattr(one, part) == getattr(other, part) for part in parts)


@pytest.mark.parametrize(
    ("wish", "later"),
    [
        ({"plan_key": "large"}, "07:40:11"),
        ({"plan_key": "large", "quantity": 3}, "07:45:11"),
        ({"quantity": 7}, "07:40:11"),
        # The usage period ends with this change, and what is counted until then is billed.
        ({"interval": Interval.YEAR}, "07:30:11"),
        ({"plan_key": "large", "interval": Interval.YEAR, "pays_at_once": True}, "07:40:11"),
        ({"plan_key": "large", "pays_at_once": True}, "07:40:11"),
    ],
)
async def test_a_change_makes_the_lines_that_its_preview_has_shown(
    office: Office, wish: dict[str, Any], later: str
) -> None:
    own = await office.start()
    assert await office.use("pages", "2026-04-01", count=450) == "counted"
    await office.move("2026-04-11T07:30:11")
    before = await office.rows()
    shown = await _preview(office, own, **wish)
    assert await office.rows() == before
    assert shown.decision.charged_from == make.at("2026-04-11T07:30:11")
    # Up to fifteen minutes later the change is still charged as it was shown.
    await office.move(f"2026-04-11T{later}")
    done = await office.change(own, **wish, prorate_at=shown.decision.charged_from)
    lines = await _lines(office, done.invoice)
    assert len(lines) == len(shown.preview.lines) > 0
    assert all(_same(one, other) for one, other in zip(lines, shown.preview.lines, strict=True))
    assert shown.preview.invoice is not None
    assert done.invoice is not None
    assert shown.preview.invoice.total == done.invoice.total


async def test_a_change_at_the_periods_end_previews_the_invoice_of_the_renewal(office: Office) -> None:
    own = await office.start("large")
    assert await office.use("pages", "2026-04-01", count=450) == "counted"
    await office.move("2026-04-16")
    shown = await _preview(office, own, plan_key="small")
    assert (shown.decision.at, shown.preview.at) == (ChangeAt.PERIOD_END, make.at("2026-05-01"))
    # 150 pages above the 300 free ones are two packages; then small's fee.
    assert amounts(shown.preview.lines) == [("usage", "", 200), ("fee", "", 1_000)]
    await office.change(own, plan_key="small")
    await office.move_and_close("2026-05-01T02:00", own)
    lines = await _lines(office, (await office.invoices())[-1])
    assert all(_same(one, other) for one, other in zip(lines, shown.preview.lines, strict=True))


async def test_the_next_invoice_holds_the_usage_counted_so_far(office: Office) -> None:
    own = await office.start()
    assert await office.use("pages", "2026-04-01", count=450) == "counted"
    before = await office.rows()
    assert amounts((await _upcoming(office, own)).lines) == [("usage", "", 200), ("fee", "", 1_000)]
    assert await office.rows() == before
    await office.move("2026-04-02")
    assert await office.use("pages", "2026-04-02", count=50) == "counted"
    shown = await _upcoming(office, own)
    assert amounts(shown.lines) == [("usage", "", 200), ("fee", "", 1_000)]
    assert shown.lines[0].quantity == 500
    await office.move_and_close("2026-05-01T02:00", own)
    lines = await _lines(office, (await office.invoices())[-1])
    assert all(_same(one, other) for one, other in zip(lines, shown.lines, strict=True))


async def test_a_start_is_previewed_with_its_first_invoice(office: Office) -> None:
    before = await office.rows()
    async with office.db.transaction() as tx:
        shown = await previewing.preview_subscribe(
            tx,
            office.call,
            customer_id=office.customer.id,
            product_key="desk",
            plan_key="large",
            interval=Interval.YEAR,
        )
    assert await office.rows() == before
    assert amounts(shown.lines) == [("fee", "", 32_400)]


async def test_a_change_that_would_be_refused_has_no_preview(office: Office) -> None:
    own = await office.start("large")
    assert await office.use("modules", "2026-04-01", delta=3) == "counted"
    before = await office.rows()
    with pytest.raises(PlanTooSmall):
        await _preview(office, own, plan_key="small", at=ChangeAt.NOW)
    shown = await _preview(office, own, plan_key="small")
    # At the period's end it would not be made, so the old plan renews.
    assert [each.key for each in shown.decision.violations] == ["modules"]
    assert amounts(shown.preview.lines) == [("fee", "", 3_000)]
    assert await office.rows() == before


async def test_what_has_ended_has_no_next_invoice(office: Office) -> None:
    own = await office.start()
    async with office.db.transaction() as tx:
        await contracts.cancel(tx, office.call, subscription_id=own.id, at_period_end=False)
    with pytest.raises(NothingUpcoming):
        await _upcoming(office, own)


async def test_a_preview_takes_few_statements(office: Office) -> None:
    own = await office.start()
    await office.move("2026-04-11T07:30:11")
    # The first reading of the catalogue is kept.
    await _upcoming(office, own)
    with counted(office.db) as statements:
        await _preview(office, own, plan_key="large")
    with counted(office.db) as more:
        await _upcoming(office, own)
    # Each takes a fraction of a millisecond, of the 20 that a preview may take. The change also lowers the period's
    # unpaid invoice by a credit note, which takes 20 of them.
    assert (len(statements) <= _CHANGE_MAX, len(more) <= _UPCOMING_MAX) == (True, True), (len(statements), len(more))


async def test_a_draft_that_coupons_have_come_to_cover_is_no_part_of_the_next_invoice(office: Office) -> None:
    async with office.db.transaction() as tx:
        # Of 10.00 there are 0.10 left, which is too little: April waits.
        await _reduce(tx, office, "most", percent_off=Decimal(99))
    own = await office.start()
    await office.move("2026-04-20")
    async with office.db.transaction() as tx:
        await _reduce(tx, office, "rest", amount_off=Money(10, "USD"))
    before = await office.rows()
    shown = await _upcoming(office, own)
    assert await office.rows() == before
    await office.move_and_close("2026-05-01T02:00", own)
    # Its coupon covers April, which is stated first, and May alone waits.
    statement, may = await office.invoices()
    assert (statement.kind, statement.discount.minor, may.state) == (InvoiceKind.STATEMENT, 1_000, State.DRAFT)
    lines = await _lines(office, may)
    assert amounts(lines) == amounts(shown.lines) == [("fee", "", 1_000)]
    assert [each.discount.minor for each in lines] == [each.discount.minor for each in shown.lines] == [990]


async def test_the_draft_of_an_earlier_boundary_is_no_part_of_the_next_invoice(office: Office) -> None:
    await office.offer(invoice_grace_s=20 * 86_400)
    own = await office.start()
    await office.move("2026-05-01")
    await office.close(own)
    # May waits on its draft until the 21st, and is opened before June falls due.
    assert [each.state for each in await office.invoices()] == [State.OPEN, State.DRAFT]
    before = await office.rows()
    shown = await _upcoming(office, own)
    assert await office.rows() == before
    assert [(each.period.start, each.amount.minor) for each in shown.lines] == [(make.at("2026-06-01"), 1_000)]
    await office.move_and_close("2026-05-21", own)
    await office.move_and_close("2026-06-21", own)
    june = (await office.invoices())[-1]
    assert [(each.period.start, each.amount.minor) for each in await _lines(office, june)] == [
        (make.at("2026-06-01"), 1_000)
    ]


async def test_an_earlier_draft_takes_of_a_coupon_in_the_month_in_which_it_is_opened(office: Office) -> None:
    own = await office.start()
    await office.move("2026-04-15")
    async with office.db.transaction() as tx:
        offer = Offer(key="five", name="Five", duration=Duration.FOREVER, amount_off=Money(500, "USD"))
        coupon = await coupons.create_coupon(tx, office.call, offer)
        await coupons.apply_coupon(tx, office.call, office.customer.id, coupon.id)
    await office.move("2026-05-01")
    await office.close(own)
    # May is opened after its grace, and takes 5.00 in the coupon's month up to 15 May; June has another 5.00.
    shown = await _upcoming(office, own)
    assert [each.discount.minor for each in shown.lines] == [500]
    await office.move_and_close("2026-05-01T01:00", own)
    await office.move_and_close("2026-06-01T01:00", own)
    assert [each.discount.minor for each in await office.invoices()] == [0, 500, 500]


async def _reduce(tx: Tx, office: Office, key: str, **off: Any) -> None:
    offer = Offer(key=key, name=key, duration=Duration.FOREVER if "percent_off" in off else Duration.ONCE, **off)
    coupon = await coupons.create_coupon(tx, office.call, offer)
    await coupons.apply_coupon(tx, office.call, office.customer.id, coupon.id)
