"""What is left once an upgrade has waited for its payment in vain.

Small costs 10.00 a month for each unit, large 30.00. On 16 April half of the month is left.
"""

from typing import Any

import pytest

from domain.contracts import service as contracts
from domain.contracts.ending.wish import CancelCredit
from domain.contracts.replanning import service as replanning
from domain.invoices.invoice import State
from domain.invoices.verification import Outcome
from domain.invoices.verifying.service import verify_invoice
from domain.ledger.account import Account
from domain.subscriptions.change import ChangeState
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Subscription
from tests import make
from tests.domain.contracts.changing.office import Office


async def _lapse(office: Office, own: Subscription, **wish: Any) -> None:
    """Ask for an upgrade that waits for its payment, and let it lapse."""
    done = await office.change(own, pays_at_once=True, **wish)
    assert done.change.state is ChangeState.PENDING
    async with office.db.transaction() as tx:
        await replanning.lapse(tx, office.call, office.customer.id, done.change.id)


@pytest.mark.parametrize("wish", [{"plan_key": "large"}, {"quantity": 3}, {"interval": Interval.YEAR}])
async def test_the_void_invoice_of_an_unpaid_upgrade_is_verified_with_what_was_asked_for(
    office: Office, wish: dict[str, Any]
) -> None:
    own = await office.start()
    await office.pay_open()
    await office.move("2026-04-16")
    await _lapse(office, own, **wish)
    await office.move("2026-04-17")
    await office.change(own, plan_key="large", quantity=2)
    for invoice in await office.invoices():
        async with office.db.transaction() as tx:
            assert (await verify_invoice(tx, office.call, invoice.id)).outcome is Outcome.EQUAL, invoice.number


async def test_what_an_unpaid_upgrade_stood_for_since_the_very_start_is_credited_at_an_end_all_the_same(
    office: Office,
) -> None:
    own = await office.start()
    await office.pay_open()
    await _lapse(office, own, plan_key="large")
    await office.move("2026-04-16")
    async with office.db.transaction() as tx:
        await contracts.cancel(
            tx, office.call, subscription_id=own.id, at_period_end=False, credit=CancelCredit.PRORATE
        )
    # Half of the 10.00 that were paid.
    assert (await office.bills())[-1].lines == [("proration", 0, -1, -500)]
    assert (await office.book())[Account.CUSTOMER_CREDIT] == -500


async def test_an_unpaid_upgrade_leaves_the_change_of_the_same_instant_that_was_paid(office: Office) -> None:
    own = await office.start()
    await office.move("2026-04-16")
    await office.change(own, quantity=3)
    await office.pay_open()
    await office.move("2026-04-16T00:05")
    await _lapse(office, own, plan_key="large", prorate_at=make.at("2026-04-16"))
    await office.move_and_close("2026-05-01T02:00", own)
    # Two more units for half of the month are 10.00, and stay charged.
    assert [bill.lines for bill in await office.bills() if bill.state is not State.VOID] == [
        [("fee", 0, 1, 1_000)],
        [("proration", 0, 2, 1_000)],
        [("fee", 0, 3, 3_000)],
    ]
