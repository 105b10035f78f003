"""Credit for the paid time that an end now leaves unused."""

from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from domain.contracts import service as contracts
from domain.contracts.ending.wish import CancelCredit, Ending
from domain.contracts.previewing import service as previewing
from domain.contracts.previewing.service import Preview
from domain.db import Database
from domain.invoices import service as invoices
from domain.invoices.invoice import Invoice, PaymentUnderWay, State
from domain.invoices.verification import Outcome
from domain.invoices.verifying.service import verify_invoice
from domain.kernel.call import Call, Environment, Forbidden, PrincipalKind
from domain.ledger.account import Account
from domain.subscriptions.change import ChangeState
from domain.subscriptions.subscription import Status, Subscription
from domain.subscriptions.transitions import TransitionRefused
from tests import make
from tests.domain.contracts.changing.office import Office, amounts, open_office

_CREDITED = Ending(at_period_end=False, credit=CancelCredit.PRORATE)


@pytest.fixture
async def office(db: Database) -> AsyncIterator[Office]:
    """Open an office whose clock stands at 1 April 2026, 00:00."""
    async with open_office(db, on="2026-04-01") as opened:
        yield opened


async def _cancel(office: Office, of: Subscription, wish: Ending, call: Call | None = None) -> Subscription:
    async with office.db.transaction() as tx:
        return await contracts.cancel(
            tx,
            call or office.call,
            subscription_id=of.id,
            at_period_end=wish.at_period_end,
            at=wish.at,
            credit=wish.credit,
        )


def _member(office: Office) -> Call:
    by = make.principal(
        "subscription:write",
        kind=PrincipalKind.MEMBER,
        role="owner",
        customer_id=office.customer.id,
        environment=Environment.TEST,
    )
    return make.call(by=by)


async def _preview(office: Office, of: Subscription, wish: Ending) -> Preview:
    before = await office.rows()
    async with office.db.transaction() as tx:
        shown = await previewing.preview_cancel(tx, office.call, subscription_id=of.id, wish=wish)
    assert await office.rows() == before
    return shown


async def _last(office: Office) -> list[tuple[str, str, int]]:
    last = (await office.invoices())[-1]
    async with office.db.transaction() as tx:
        return amounts((await invoices.lines_by_invoice_ids(tx, [last.id], scope=None))[last.id])


async def _used_half(office: Office, *, paid: bool) -> Subscription:
    """Subscribe, use 250 pages, and let half of April pass."""
    own = await office.start("large")
    if paid:
        await office.pay((await office.invoices())[0])
    await office.move("2026-04-16")
    assert await office.use("pages", "2026-04-16", count=250) == "counted"
    return own


async def test_what_is_left_of_a_paid_fee_becomes_customer_credit_less_what_was_used(office: Office) -> None:
    own = await _used_half(office, paid=True)
    shown = await _preview(office, own, _CREDITED)
    ended = await _cancel(office, own, _CREDITED)
    assert (ended.status, ended.ended_at) == (Status.CANCELED, make.at("2026-04-16"))
    # Half of 30.00 back. Of 250 pages half of the 300 free ones, 150, are free: 100 more are one package of 1.00.
    expected = [("proration", "credit", -1_500), ("usage", "", 100)]
    assert sorted(await _last(office)) == sorted(amounts(shown.lines)) == expected
    assert (await office.book())[Account.CUSTOMER_CREDIT] == -1_400
    rows = await office.rows()
    await _cancel(office, own, _CREDITED)
    await office.close(own)
    assert await office.rows() == rows
    for invoice in await office.invoices():
        async with office.db.transaction() as tx:
            assert (await verify_invoice(tx, office.call, invoice.id)).outcome is Outcome.EQUAL


async def test_what_is_left_of_an_unpaid_fee_lowers_its_invoice(office: Office) -> None:
    own = await _used_half(office, paid=False)
    await _cancel(office, own, _CREDITED)
    assert [each.amount_due.minor for each in await office.invoices()] == [1_500, 100]
    assert (await office.book())[Account.RECEIVABLE] == 1_600


async def test_without_the_choice_an_end_gives_nothing_back(office: Office) -> None:
    own = await _used_half(office, paid=True)
    wish = Ending(at_period_end=False)
    shown = await _preview(office, own, wish)
    await _cancel(office, own, wish)
    assert await _last(office) == amounts(shown.lines) == [("usage", "", 100)]
    assert (await office.invoices())[-1].state is State.OPEN


@pytest.mark.parametrize(
    ("known", "fee", "rest"),
    # May has 31 days: up to the 21st 20 of them cost 19.35, all of them 30.00. From the 11th 10 or 21 of them are left.
    [("2026-05-21", 1_935, -968), ("2026-06-15", 3_000, -2_032)],
)
@pytest.mark.parametrize("credit", list(CancelCredit))
async def test_an_end_brought_forward_from_a_date_gives_back_only_what_it_is_to(
    office: Office, known: str, fee: int, rest: int, credit: CancelCredit
) -> None:
    own = await office.start("large")
    await office.pay_open()
    await _cancel(office, own, Ending(at_period_end=False, at=make.at(known)))
    await office.move_and_close("2026-05-02", own)
    await office.pay_open()
    assert ("fee", "", fee) in await _last(office)
    await office.move("2026-05-11")
    await _cancel(office, own, Ending(at_period_end=False, credit=credit))
    gone = [("proration", "credit", rest)] if credit is CancelCredit.PRORATE else []
    assert [each for each in await _last(office) if each[0] != "usage"] == (gone or [("fee", "", fee)])
    assert (await office.book()).get(Account.CUSTOMER_CREDIT, 0) == (rest if gone else 0)
    for invoice in await office.invoices():
        async with office.db.transaction() as tx:
            assert (await verify_invoice(tx, office.call, invoice.id)).outcome is Outcome.EQUAL


async def test_a_plan_may_say_that_an_end_gives_back_what_is_left_and_anybody_may_waive_that(office: Office) -> None:
    await office.offer(cancel_credit="prorate")
    own = await _used_half(office, paid=True)
    wish = Ending(at_period_end=False)
    credit = [("proration", "credit", -1_500), ("usage", "", 100)]
    assert sorted(amounts((await _preview(office, own, wish)).lines)) == credit
    waived = Ending(at_period_end=False, credit=CancelCredit.NONE)
    assert amounts((await _preview(office, own, waived)).lines) == [("usage", "", 100)]
    # Without a word it is the plan's, for a member too; at the period's end there is nothing left to go back.
    await _cancel(office, own, Ending(), _member(office))
    assert len(await office.invoices()) == 1
    await _cancel(office, own, wish, _member(office))
    assert sorted(await _last(office)) == credit


async def test_an_end_in_a_trial_gives_nothing_back(office: Office) -> None:
    await office.offer(cancel_credit="prorate", start={"trial": {"days": 14}})
    own = await office.start("large")
    await _cancel(office, own, Ending(at_period_end=False))
    assert await office.bills() == []
    assert not [each for each in await office.told() if each.startswith("cancel_credited")]


async def test_an_end_ahead_is_previewed_with_its_last_invoice_and_credits_nothing(office: Office) -> None:
    own = await _used_half(office, paid=True)
    # By the end of April all 300 free pages are there.
    shown = await _preview(office, own, Ending())
    assert amounts(shown.lines) == [("usage", "", 0)]
    before = await office.rows()
    ahead: list[tuple[bool, datetime | None]] = [(True, None), (False, make.at("2026-04-20"))]
    for at_period_end, at in ahead:
        with pytest.raises(TransitionRefused):
            await _cancel(office, own, Ending(at_period_end, at, credit=CancelCredit.PRORATE))
    assert await office.rows() == before


async def test_a_member_gives_no_credit_to_itself(office: Office) -> None:
    own = await _used_half(office, paid=True)
    before = await office.rows()
    with pytest.raises(Forbidden):
        await _cancel(office, own, _CREDITED, _member(office))
    assert await office.rows() == before


@pytest.mark.parametrize(("is_paid", "renews"), [(True, False), (False, False), (True, True)])
async def test_an_end_with_credit_at_the_very_start_of_a_period_gives_its_whole_fee_back(
    office: Office, *, is_paid: bool, renews: bool
) -> None:
    await office.offer(invoice_grace_s=0)
    own = await office.start()
    if renews:
        await office.pay_open()
        await office.move("2026-05-01")
        await office.close(own)
    if is_paid:
        await office.pay_open()
    shown = await _preview(office, own, _CREDITED)
    ended = await _cancel(office, own, _CREDITED)
    assert ended.ended_at == make.at("2026-05-01" if renews else "2026-04-01")
    if is_paid:
        # The 10.00 that were paid are kept for the customer.
        assert (await office.bills())[-1].lines == [("fee", 1, -1, -1_000)]
        assert amounts(shown.lines) == [("fee", "", -1_000)]
    assert (await office.book()).get(Account.CUSTOMER_CREDIT, 0) == (-1_000 if is_paid else 0)
    assert sum(each.amount_due.minor for each in await office.invoices()) == 0
    for each in await office.invoices():
        async with office.db.transaction() as tx:
            assert (await verify_invoice(tx, office.call, each.id)).outcome is Outcome.EQUAL
    # Nothing is taken back twice.
    before = await office.bills()
    await office.move("2026-06-08")
    await office.close(own)
    assert await office.bills() == before


async def _upgrade(office: Office, of: Subscription) -> Invoice:
    """Ask on 16 April for an upgrade that waits for its payment."""
    await office.pay_open()
    await office.move("2026-04-16")
    waits = await office.change(of, plan_key="large", pays_at_once=True)
    assert waits.change.state is ChangeState.PENDING
    assert waits.invoice is not None
    return waits.invoice


@pytest.mark.parametrize("wish", [_CREDITED, Ending(at_period_end=False)])
async def test_an_end_takes_back_an_upgrade_that_is_not_paid(office: Office, wish: Ending) -> None:
    own = await office.start()
    waits = await _upgrade(office, own)
    await office.move("2026-04-16T12:00")
    await _cancel(office, own, wish)
    assert [each.state for each in await office.invoices() if each.id == waits.id] == [State.VOID]
    assert sum(each.amount_due.minor for each in await office.invoices()) == 0
    # What was paid are 10.00 for 30 days, of which 14.5 are left; of the 30.00 nothing was.
    back = 483 if wish is _CREDITED else 0
    assert (await office.book()).get(Account.CUSTOMER_CREDIT, 0) == -back
    assert (await office.book())[Account.REVENUE] == back - 1_000


async def test_an_end_waits_for_the_payment_of_an_upgrade_that_is_under_way(office: Office) -> None:
    own = await office.start()
    waits = await _upgrade(office, own)
    async with office.db.transaction() as tx:
        await invoices.hold_for_payment(tx, waits)
    before = await office.rows()
    with pytest.raises(PaymentUnderWay):
        await _cancel(office, own, _CREDITED)
    assert await office.rows() == before


async def test_an_upgrade_that_is_paid_after_the_end_is_kept_for_the_customer(office: Office) -> None:
    own = await office.start()
    waits = await _upgrade(office, own)
    await _cancel(office, own, Ending(at=make.at("2026-04-16T06:00")))
    async with office.db.transaction() as tx:
        held = await invoices.hold_for_payment(tx, waits)
    await office.move("2026-04-16T06:00")
    await office.close(own)
    assert (await office.again(own)).status is Status.CANCELED
    await office.pay(held)
    # Half of 30.00 less half of 10.00 was paid for nothing.
    assert (await office.book())[Account.CUSTOMER_CREDIT] == -1_000
    assert (await office.again(own)).plan_version_id == own.plan_version_id


async def test_a_date_of_the_end_that_is_said_where_a_period_begins_leaves_what_was_billed(office: Office) -> None:
    own = await office.start()
    await office.pay_open()
    await _cancel(office, own, Ending(at=make.at("2026-04-16")))
    await office.move("2026-04-16")
    await office.close(own)
    await office.move("2026-05-25")
    await office.close(own)
    # The 10.00 were paid before, and an end gives nothing back of itself.
    assert (await office.book())[Account.REVENUE] == -1_000
    assert (await office.again(own)).settles_at is None
