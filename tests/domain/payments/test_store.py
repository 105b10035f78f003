"""What the database itself refuses about attempts and methods."""

import dataclasses

import pytest
from sqlalchemy.exc import IntegrityError

from domain.adapters.memory import MemoryGateway
from domain.db import Database
from domain.kernel.ids import AttemptId, MethodId
from domain.payments import store
from domain.payments.attempt import Attempt, AttemptState
from tests import make
from tests.domain.payments.examples import attempt, method
from tests.domain.payments.till import DEBIT, Till, open_till

_ENDED_AT = make.at("2026-01-15")


async def _processing(db: Database, gateway: MemoryGateway) -> tuple[Till, Attempt]:
    till = await open_till(db)
    await till.attach(gateway, DEBIT)
    found = await till.collect(gateway)
    assert found is not None
    return till, found


@pytest.mark.parametrize(
    ("changed", "constraint"),
    [
        ({"number": 2, "key": "another"}, "payment_attempt_live_key"),
        (
            {"key": "another", "state": AttemptState.SUCCEEDED, "settled_at": _ENDED_AT},
            "invoice_id_number_key",
        ),
        ({"number": 2, "state": AttemptState.SUCCEEDED, "settled_at": _ENDED_AT}, "customer_id_key_key"),
        ({"number": 2, "key": "another", "state": AttemptState.SUCCEEDED}, "settled_check"),
        (
            {"number": 2, "key": "another", "state": AttemptState.FAILED, "settled_at": _ENDED_AT},
            "failed_check",
        ),
    ],
)
async def test_a_second_live_attempt_a_used_key_and_an_end_without_reason_are_refused(
    db: Database, memory_gateway: MemoryGateway, changed: dict[str, object], constraint: str
) -> None:
    till, first = await _processing(db, memory_gateway)
    wrong = dataclasses.replace(first, id=AttemptId(make.new_id()), decline=None, **changed)  # type: ignore[arg-type]
    with pytest.raises(IntegrityError, match=constraint):
        async with db.transaction() as tx:
            await store.insert_attempt(tx, wrong)
    assert await till.attempts() == ["processing"]


async def test_an_attempt_of_an_unknown_invoice_is_refused(db: Database) -> None:
    till = await open_till(db)
    wrong = attempt(AttemptState.SENT, customer_id=till.customer.id)
    with pytest.raises(IntegrityError, match="invoice_id_fkey"):
        async with db.transaction() as tx:
            await store.insert_attempt(tx, wrong)


async def test_a_customer_has_one_default_method(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway)
    second = method(is_default=True, customer_id=till.customer.id, gateway_method_id="pm_2", id=MethodId(make.new_id()))
    with pytest.raises(IntegrityError, match="payment_method_default_key"):
        async with db.transaction() as tx:
            await store.insert_method(tx, second)


async def test_more_than_the_last_four_digits_are_refused(db: Database) -> None:
    till = await open_till(db)
    careless = method(customer_id=till.customer.id, last4="4242424242424242")
    with pytest.raises(IntegrityError, match="last4_check"):
        async with db.transaction() as tx:
            await store.insert_method(tx, careless)


async def test_a_stale_write_of_a_copy_is_noticed(db: Database, memory_gateway: MemoryGateway) -> None:
    till, _ = await _processing(db, memory_gateway)
    async with db.transaction() as tx:
        push = await store.find_push(tx, till.customer.id, till.invoice.id)
        assert push is not None
        assert await store.save_push(tx, push, push)
        assert not await store.save_push(tx, push, push)
