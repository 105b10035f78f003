"""Dunning as staff and policies steer it: retries by hand, pauses, caps, ends, and languages."""

import pytest
import sqlalchemy as sa

from domain.adapters.memory import MemoryMailer
from domain.dunning import service, store
from domain.dunning.case import CaseState
from domain.dunning.staff import service as staff
from domain.journal import jobs
from domain.journal import service as journal
from domain.journal.store import outbox_job
from domain.ledger import service as ledger
from domain.subscriptions.subscription import AccessState, Status
from tests import make
from tests.stories.owing import LOST, STARTER_MINOR, attempts, case_of, follow, live, mail, owing
from tests.world import World


async def test_staff_retry_pause_extend_and_write_off(world: World) -> None:
    ada, _ = await owing(world)
    case = await case_of(world, ada)
    async with world.runtime.db.transaction() as tx:
        await staff.pause(tx, world.call, case.id, reason="they moved house")
    await world.advance(to="2026-03-11")
    # Ten days of pause: nothing is tried and nothing taken away.
    assert await attempts(world, ada) == [("03-01", "billing", "failed")]
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.FULL)]
    async with world.runtime.db.transaction() as tx:
        resumed = await staff.resume(tx, world.call, case.id)
    assert resumed.case.next_attempt_at == make.at("2026-03-13")
    async with world.runtime.db.transaction() as tx:
        await staff.retry_now(tx, world.call, case.id)
    with pytest.raises(staff.AttemptUnderWay):
        async with world.runtime.db.transaction() as tx:
            await staff.retry_now(tx, world.call, case.id)
    await world.drain()
    assert (await attempts(world, ada))[-1] == ("03-11", "staff", "failed")
    # It used no retry: what was planned stays.
    assert (await case_of(world, ada)).case.next_attempt_at == make.at("2026-03-13")
    async with world.runtime.db.transaction() as tx:
        await staff.extend_grace(tx, world.call, case.id, until=make.at("2026-03-25"), reason="agreed")
        await staff.ask_for_method(tx, world.call, case.id)
    await world.advance(to="2026-03-20")
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.FULL)]
    assert "Please give another payment method for invoice TEST-2026-000001" in mail(world)
    for _ in range(2):
        async with world.runtime.db.transaction() as tx:
            written = await staff.write_off(tx, world.call, case.id, reason="not worth it")
        assert written.case.state is CaseState.WRITTEN_OFF
    assert await live(world, ada) == [("starter", Status.ACTIVE, AccessState.FULL)]
    assert [invoice.state for invoice in await world.invoices(ada)] == ["uncollectible"]
    async with world.runtime.db.transaction() as tx:
        balances = dict(await ledger.balances(tx, ada.id))
    assert {account.value: money.minor for account, money in balances.items() if money.minor} == {
        "bad_debt": STARTER_MINOR,
        "revenue": -STARTER_MINOR,
    }
    with pytest.raises(staff.DunningCaseClosed):
        async with world.runtime.db.transaction() as tx:
            await staff.pause(tx, world.call, case.id, reason="too late")


async def test_a_card_is_not_charged_more_often_than_its_network_allows(world: World) -> None:
    ada, _ = await owing(world)
    case = await case_of(world, ada)
    for _ in range(7):
        async with world.runtime.db.transaction() as tx:
            await staff.retry_now(tx, world.call, case.id)
        await world.drain()
    with pytest.raises(staff.CardCapReached) as refused:
        async with world.runtime.db.transaction() as tx:
            await staff.retry_now(tx, world.call, case.id)
    # Eight charges in any 30 days, all of them on 1 March.
    assert refused.value.allowed_at == make.at("2026-03-31")
    assert len(await attempts(world, ada)) == 8
    # The calendar's own retry of the 3rd would be the ninth: it waits for the customer instead.
    await world.advance(to="2026-03-04")
    assert len(await attempts(world, ada)) == 8
    assert (await case_of(world, ada)).case.waits_until == make.at("2026-03-15")


async def test_after_a_cancel_for_non_payment_nothing_is_live_and_a_write_off_is_a_bad_debt(world: World) -> None:
    ada = await world.customer(on="2026-03-01", card=LOST)
    await follow(world, ada, after_last="write_off", retry_days=[1], grace_days=0)
    await world.subscribe(ada, "starter", product="edge")
    await world.advance(to="2026-03-03")
    assert await live(world, ada) == []
    assert [invoice.state for invoice in await world.invoices(ada)] == ["uncollectible"]
    assert (await case_of(world, ada)).case.state is CaseState.WRITTEN_OFF
    assert mail(world)[-1] == "Your subscription ended: invoice TEST-2026-000001 was not paid"


async def test_a_customer_is_written_to_in_its_language_and_zone(world: World) -> None:
    ada = await world.customer(on="2026-03-01", zone="Europe/Berlin", card=LOST)
    async with world.runtime.db.transaction() as tx:
        german = sa.text("UPDATE customer SET locale = 'de-CH' WHERE customer_id = :id")
        await tx.execute(german.bindparams(id=ada.id))
    await world.subscribe(ada, "starter", product="edge")
    assert isinstance(world.runtime.mailer, MemoryMailer)
    [sent] = [each for each in world.runtime.mailer.sent if "fehlgeschlagen" in each.subject]
    assert sent.subject == "Zahlung der Rechnung TEST-2026-000001 fehlgeschlagen"
    assert "Bitte bezahlen Sie bis zum 15.03.2026, 01:00 CET." in sent.text
    assert sent.text.startswith("Guten Tag Customer 1,\n\n")


async def test_nothing_is_lost_with_the_queue_since_what_is_due_is_in_rows(world: World) -> None:
    ada, _ = await owing(world)
    async with world.runtime.db.transaction() as tx:
        await tx.execute(sa.text("UPDATE test_clock SET now_at = '2026-03-03T00:00:00Z'"))
        [due] = await service.find_due(tx, clock_id=world.clock_id, now=make.at("2026-03-03"))
        assert due == (ada.id, (await store.list_owed_cases(tx, ada.id, limit=2))[0].id)
        staged = sa.select(sa.func.count()).where(outbox_job.c.kind == "run_dunning")
        assert await tx.value(staged) == 0
    await world.advance(to="2026-03-03T00:00:01")
    assert [each[1:] for each in await attempts(world, ada)] == [("billing", "failed"), ("retry", "failed")]


async def test_a_case_whose_job_waits_does_not_keep_the_others_from_their_turn(world: World) -> None:
    ada, _ = await owing(world)
    bob, _ = await owing(world)
    noon = make.at("2026-03-03T12:00")
    async with world.runtime.db.transaction() as tx:
        # As after each run that failed: Ada's job is still there, and is put off.
        [first] = await service.find_due(tx, clock_id=world.clock_id, now=noon, limit=1)
        job = jobs.RunDunning(*first)
        await journal.stage(tx, world.call, job, customer_id=first[0], clock_id=world.clock_id, run_at=noon)
        [second] = await service.find_due(tx, clock_id=world.clock_id, now=noon, limit=1)
        assert {first[0], second[0]} == {ada.id, bob.id}
        # The same for one that was settled another way than by an attempt, such as by hand.
        await tx.execute(sa.text("UPDATE dunning_case SET due_at = NULL"))
        closed = "UPDATE invoice SET state = 'void', void_reason = 'mistake', voided_at = '2026-03-03'"
        await tx.execute(sa.text(closed))
        assert await service.find_due(tx, clock_id=world.clock_id, now=noon) == [second]
