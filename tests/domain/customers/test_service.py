"""Customers and test clocks on real Postgres."""

import asyncio
from datetime import timedelta, timezone

import pytest
import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from sqlalchemy.exc import DBAPIError

from domain.access.roles import Permission, system_principal
from domain.customers import service
from domain.customers.clock import ClockAdvancing, ClockCannotGoBack, ClockState
from domain.customers.customer import ClockNeedsTestCustomer, Customer, EmailMalformed, ZoneUnknown
from domain.customers.service import ClockNotFound, CustomerNotFound, EnvironmentRefused, ExternalIdTaken
from domain.db import Database, Tx
from domain.journal import jobs
from domain.journal import service as journal
from domain.journal import store as journal_store
from domain.kernel.call import Call, Environment, Forbidden, Principal
from domain.kernel.errors import DomainError
from domain.kernel.ids import ClockId, CustomerId, encode
from domain.vault import Vault
from tests import make

_CALL = make.call(by=system_principal("test"))
_LIVE, _TEST = Environment.LIVE, Environment.TEST


async def _create(
    tx: Tx,
    *,
    environment: Environment = _TEST,
    name: str = "Ada Lovelace",
    email: str = "Ada@Example.com",
    zone: str = "Europe/London",
    external_id: str | None = None,
    clock_id: ClockId | None = None,
    call: Call = _CALL,
) -> Customer:
    return await service.create_customer(
        tx, call, environment=environment, name=name, email=email, zone=zone, external_id=external_id, clock_id=clock_id
    )


def _by(principal: Principal) -> Call:
    return make.call(by=principal)


def _member(customer: Customer, *permissions: str) -> Call:
    return _by(make.principal(*permissions, customer_id=customer.id, environment=customer.environment))


async def _counts(db: Database) -> list[int]:
    """Count customers, data keys, clocks and audit entries."""
    async with db.transaction() as tx:
        return [
            int(await tx.value(sa.select(sa.func.count()).select_from(sa.table(name))))
            for name in ("customer", "data_key", "test_clock", "audit_entry")
        ]


async def test_a_customer_is_created_with_a_data_key_and_an_audit_entry(db: Database) -> None:
    async with db.transaction() as tx:
        created = await _create(tx, external_id="crm-1")
        assert await service.get_customer(tx, _CALL, created.id) == created
        assert (await service.data_key(tx, created.id)).id == str(created.id)
        [entry] = await journal_store.list_audit_entries(tx, scope=created.id, before=None, limit=9)
    assert (created.name, created.email, created.version) == ("Ada Lovelace", "Ada@Example.com", 1)
    assert (entry.action, entry.about) == ("create_customer", encode("customer", created.id))
    assert entry.facts == {"environment": "test", "clock_id": None}


async def test_personal_values_cannot_be_read_in_any_table(db: Database) -> None:
    async with db.transaction() as tx:
        created = await _create(tx, name="Grace Hopper", email="grace@example.com")  # more letters than a to f
        row = (await tx.rows(sa.text("SELECT * FROM customer")))[0]
        stored = b"".join(value if isinstance(value, bytes) else str(value).encode() for value in row)
        for table in ("customer", "data_key", "audit_entry"):
            rows = await tx.rows(sa.text(f"SELECT t::text FROM {table} AS t"))  # noqa: S608 -- three fixed names
            stored += str(rows).encode()
    for plain in (b"Grace", b"Hopper", b"example.com"):
        assert plain.lower() not in stored.lower()
        assert plain.hex().encode() not in stored  # bytea as text is hexadecimal
    assert str(created.id).encode() in stored


async def test_a_sealed_value_moved_to_another_column_or_row_does_not_open(db: Database) -> None:
    async with db.transaction() as tx:
        await _create(tx)
        await _create(tx, name="Grace Hopper", email="grace@example.com")
    for move in (
        "UPDATE customer SET name = email",
        "UPDATE customer AS a SET name = b.name FROM customer AS b WHERE b.customer_id <> a.customer_id",
        "UPDATE data_key AS a SET wrapped = b.wrapped FROM data_key AS b WHERE b.customer_id <> a.customer_id",
    ):
        async with db.transaction() as tx:
            await tx.execute(sa.text("SAVEPOINT before_the_move"))
            await tx.execute(sa.text(move))
            with pytest.raises(InvalidTag):
                await service.list_customers(tx, _CALL)
            await tx.execute(sa.text("ROLLBACK TO before_the_move"))
            assert len(await service.list_customers(tx, _CALL)) == 2


async def test_another_master_key_opens_nothing(db: Database, database_url: str) -> None:
    async with db.transaction() as tx:
        created = await _create(tx)
    thief = Database(database_url, Vault(b"\x02" * 32), pool_size=1)
    try:
        with pytest.raises(InvalidTag):
            async with thief.transaction() as tx:
                await service.get_customer(tx, _CALL, created.id)
    finally:
        await thief.close()


async def test_a_refused_customer_leaves_nothing_behind(db: Database) -> None:
    with pytest.raises(ZoneUnknown):
        async with db.transaction() as tx:
            await _create(tx, zone="Europe/Atlantis")
    with pytest.raises(EmailMalformed):
        async with db.transaction() as tx:
            await _create(tx, email="ada")
    with pytest.raises(ClockNotFound):
        async with db.transaction() as tx:
            await _create(tx, clock_id=ClockId(make.new_id()))
    assert await _counts(db) == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("principal", "error"),
    [
        (make.principal(*(set(Permission) - {Permission.CUSTOMER_WRITE})), Forbidden),
        (make.principal(*Permission, customer_id=CustomerId(make.new_id())), Forbidden),
        (make.principal(*Permission, environment=_LIVE), EnvironmentRefused),
    ],
)
async def test_who_may_not_create_customers_creates_none(
    db: Database, principal: Principal, error: type[DomainError]
) -> None:
    with pytest.raises(error):
        async with db.transaction() as tx:
            await _create(tx, call=_by(principal))
    assert await _counts(db) == [0, 0, 0, 0]


async def test_an_external_id_is_taken_once_in_each_environment(db: Database) -> None:
    async with db.transaction() as tx:
        test = await _create(tx, external_id="crm-1")
        live = await _create(tx, external_id="crm-1", environment=_LIVE)
        await _create(tx)
        await _create(tx)  # without an external id there is nothing to collide
        found = await service.customers_by_external_id(tx, _CALL, ["crm-1", "crm-2"], environment=_TEST)
        assert found == {"crm-1": test}
        found = await service.customers_by_external_id(tx, _CALL, ["crm-1"], environment=_LIVE)
        assert found == {"crm-1": live}
    with pytest.raises(ExternalIdTaken):
        async with db.transaction() as tx:
            await _create(tx, external_id="crm-1")
    assert await _counts(db) == [4, 4, 0, 4]


async def test_another_customers_id_is_as_good_as_none(db: Database) -> None:
    async with db.transaction() as tx:
        ada, grace = await _create(tx), await _create(tx, name="Grace Hopper")
        member = _member(ada, "customer:read")
        assert (await service.get_customer(tx, member, ada.id)).id == ada.id
        for stranger in (grace.id, CustomerId(make.new_id())):
            assert await service.find_customer(tx, member, stranger) is None
            for read in (service.get_customer, service.load_customer, service.business_now):
                with pytest.raises(CustomerNotFound):
                    await read(tx, member, stranger)
        assert [found.id for found in await service.list_customers(tx, member)] == [ada.id]
        assert await service.count_customers(tx, member) == 1
        assert list(await service.customers_by_id(tx, [ada.id, grace.id], scope=ada.id)) == [ada.id]
        assert set(await service.customers_by_id(tx, [ada.id, grace.id], scope=None)) == {ada.id, grace.id}


@pytest.mark.parametrize(("own", "other"), [(_TEST, _LIVE), (_LIVE, _TEST)])
async def test_a_key_of_one_environment_never_sees_the_other(
    db: Database, own: Environment, other: Environment
) -> None:
    key = _by(make.principal("customer:read", environment=own))
    async with db.transaction() as tx:
        seen = await _create(tx, environment=own, external_id="crm-1")
        hidden = await _create(tx, environment=other, external_id="crm-1")
        assert await service.list_customers(tx, key) == [seen]
        assert await service.list_customers(tx, key, environment=other) == []
        assert await service.count_customers(tx, key, environment=other) == 0
        assert await service.find_customer(tx, key, hidden.id) is None
        assert await service.customers_by_external_id(tx, key, ["crm-1"], environment=other) == {}
        assert await service.customers_by_id(tx, [hidden.id], scope=None, environment=own) == {}
        with pytest.raises(CustomerNotFound):
            await service.business_now(tx, key, hidden.id)


async def test_reading_customers_needs_the_permission(db: Database) -> None:
    nobody = make.call(by=make.principal())
    async with db.transaction() as tx:
        ada = await _create(tx)
        for refused in (
            service.get_customer(tx, nobody, ada.id),
            service.find_customer(tx, nobody, ada.id),
            service.list_customers(tx, nobody),
            service.count_customers(tx, nobody),
            service.customers_by_external_id(tx, nobody, ["x"], environment=_TEST),
        ):
            with pytest.raises(Forbidden, match="customer:read"):
                await refused
        # Use cases above have asked for a permission of their own.
        assert (await service.load_customer(tx, nobody, ada.id)).id == ada.id


async def test_customers_are_listed_newest_first_in_pages(db: Database) -> None:
    async with db.transaction() as tx:
        made = [await _create(tx, name=name) for name in ("first", "second", "third")]
        page = await service.list_customers(tx, _CALL, environment=_TEST, limit=2)
        assert [found.name for found in page] == ["third", "second"]
        rest = await service.list_customers(tx, _CALL, after=page[-1].id, limit=10_000)
        assert rest == made[:1]
        assert await service.list_customers(tx, _CALL, limit=-1) == []
        assert await service.count_customers(tx, _CALL, environment=_TEST) == 3
        assert await service.count_customers(tx, _CALL, environment=_LIVE) == 0


async def test_customers_are_found_by_address_in_any_case(db: Database) -> None:
    async with db.transaction() as tx:
        ada = await _create(tx)
        await _create(tx, email="grace@example.com")
        assert await service.list_customers(tx, _CALL, email="ADA@example.COM") == [ada]
        assert await service.list_customers(tx, _CALL, email="ada@example.org") == []


async def test_a_missing_customer_has_no_data_key(db: Database) -> None:
    async with db.transaction() as tx:
        with pytest.raises(CustomerNotFound):
            await service.data_key(tx, CustomerId(make.new_id()))


async def test_business_time_is_the_clocks_or_the_calls(db: Database) -> None:
    async with db.transaction() as tx:
        clock = await service.create_clock(tx, _CALL, name="trial", now_at=make.at("2020-02-29"))
        bound, free = await _create(tx, clock_id=clock.id), await _create(tx)
        assert await service.business_now(tx, _CALL, bound.id) == make.at("2020-02-29")
        assert await service.business_now(tx, _CALL, free.id) == make.at("2026-01-15T12:00")
        assert await service.clock_now(tx, _CALL, clock.id) == make.at("2020-02-29")
        assert await service.clock_now(tx, _CALL, None) == make.at("2026-01-15T12:00")
        with pytest.raises(ClockNotFound):
            await service.clock_now(tx, _CALL, ClockId(make.new_id()))


async def test_only_test_customers_are_bound_to_a_clock_in_code_and_in_the_database(db: Database) -> None:
    async with db.transaction() as tx:
        clock = await service.create_clock(tx, _CALL, name="trial", now_at=make.at("2026-01-15"))
        await _create(tx, clock_id=clock.id)
    with pytest.raises(ClockNeedsTestCustomer):
        async with db.transaction() as tx:
            await _create(tx, environment=_LIVE, clock_id=clock.id)
    with pytest.raises(DBAPIError, match="customer_clock_check"):
        async with db.transaction() as tx:
            await tx.execute(sa.text("UPDATE customer SET environment = 'live'"))
    with pytest.raises(DBAPIError, match="customer_clock_id_fkey"):
        async with db.transaction() as tx:
            await tx.execute(sa.text("DELETE FROM test_clock"))
    assert await _counts(db) == [1, 1, 1, 2]


async def test_a_clock_is_advanced_driven_and_ended(db: Database) -> None:
    target = make.at("2026-02-15")
    async with db.transaction() as tx:
        clock = await service.create_clock(tx, _CALL, name="trial", now_at=make.at("2026-01-15"))
        assert await service.list_advancing_clocks(tx) == []
        started = await service.start_advance(tx, _CALL, clock.id, target)
        again = await service.start_advance(tx, _CALL, clock.id, target.astimezone(timezone(timedelta(hours=1))))
        assert again == started
        assert await service.list_advancing_clocks(tx) == [started]
        step = await service.move_clock(tx, _CALL, clock.id, make.at("2026-02-01"))
        assert (step.state, step.now_at) == (ClockState.ADVANCING, make.at("2026-02-01"))
        assert await service.move_clock(tx, _CALL, clock.id, make.at("2026-01-20")) == step
        assert (await service.move_clock(tx, _CALL, clock.id, make.at("2030-01-01"))).now_at == target
        done = await service.end_advance(tx, _CALL, clock.id)
        assert (done.state, done.now_at, done.target_at) == (ClockState.READY, target, None)
        assert await service.end_advance(tx, _CALL, clock.id) == done
        assert await service.start_advance(tx, _CALL, clock.id, target) == done
        assert await service.get_clock(tx, _CALL, clock.id) == done
        assert await service.list_clocks(tx, _CALL) == [done]
        assert await service.list_clocks(tx, _CALL, after=clock.id) == []
        assert await service.clocks_by_id(tx, [clock.id, ClockId(make.new_id())]) == {clock.id: done}
        entries = await journal_store.list_audit_entries(tx, scope=None, before=None, limit=9)
        assert [entry.action for entry in entries] == ["end_advance", "advance_clock", "create_clock"]


async def test_a_failed_advance_says_why_and_can_be_started_again(db: Database) -> None:
    async with db.transaction() as tx:
        clock = await service.create_clock(tx, _CALL, name="trial", now_at=make.at("2026-01-15"))
        await service.start_advance(tx, _CALL, clock.id, make.at("2026-02-15"))
        failed = await service.end_advance(tx, _CALL, clock.id, reason="jobs did not end")
        assert (failed.state, failed.now_at, failed.reason) == ("failed", make.at("2026-01-15"), "jobs did not end")
        again = await service.start_advance(tx, _CALL, clock.id, make.at("2026-03-15"))
        assert (again.state, again.target_at, again.reason) == ("advancing", make.at("2026-03-15"), None)


async def test_a_clock_never_goes_back_in_code_and_in_the_database(db: Database) -> None:
    async with db.transaction() as tx:
        clock = await service.create_clock(tx, _CALL, name="trial", now_at=make.at("2026-01-15"))
    with pytest.raises(ClockCannotGoBack):
        async with db.transaction() as tx:
            await service.start_advance(tx, _CALL, clock.id, make.at("2026-01-14"))
    with pytest.raises(DBAPIError, match="never goes back"):
        async with db.transaction() as tx:
            await tx.execute(sa.text("UPDATE test_clock SET now_at = '2026-01-14T00:00Z'"))
    async with db.transaction() as tx:
        assert await service.get_clock(tx, _CALL, clock.id) == clock


async def test_of_two_targets_asked_for_at_once_one_wins(db: Database) -> None:
    async with db.transaction() as tx:
        clock = await service.create_clock(tx, _CALL, name="trial", now_at=make.at("2026-01-15"))

    async def ask(day: str) -> str:
        try:
            async with db.transaction() as tx:
                await service.start_advance(tx, _CALL, clock.id, make.at(day))
        except ClockAdvancing:
            return "refused"
        return day

    outcomes = await asyncio.gather(ask("2026-02-15"), ask("2026-03-15"))
    [winner] = [outcome for outcome in outcomes if outcome != "refused"]
    async with db.transaction() as tx:
        [advancing] = await service.list_advancing_clocks(tx)
    assert (advancing.target_at, advancing.version) == (make.at(winner), 2)


@pytest.mark.parametrize(
    ("principal", "error"),
    [
        (make.principal("clock:read"), Forbidden),
        (make.principal("clock:read", "clock:write", customer_id=CustomerId(make.new_id())), Forbidden),
        (make.principal("clock:read", "clock:write", environment=_LIVE), EnvironmentRefused),
    ],
)
async def test_who_may_not_move_time_moves_nothing(
    db: Database, principal: Principal, error: type[DomainError]
) -> None:
    call = _by(principal)
    async with db.transaction() as tx:
        clock = await service.create_clock(tx, _CALL, name="trial", now_at=make.at("2026-01-15"))
        await service.start_advance(tx, _CALL, clock.id, make.at("2026-02-15"))
    async with db.transaction() as tx:
        for refused in (
            service.create_clock(tx, call, name="mine", now_at=make.at("2026-01-15")),
            service.start_advance(tx, call, clock.id, make.at("2026-02-15")),
            service.move_clock(tx, call, clock.id, make.at("2026-02-15")),
            service.end_advance(tx, call, clock.id, reason="mine"),
        ):
            with pytest.raises(error):
                await refused
    async with db.transaction() as tx:
        [found] = await service.list_clocks(tx, _CALL)
        assert (found.now_at, found.state) == (make.at("2026-01-15"), ClockState.ADVANCING)
    assert await _counts(db) == [0, 0, 1, 2]


async def test_a_missing_clock_is_not_found(db: Database) -> None:
    missing = ClockId(make.new_id())
    async with db.transaction() as tx:
        for refused in (
            service.get_clock(tx, _CALL, missing),
            service.start_advance(tx, _CALL, missing, make.at("2026-02-15")),
            service.move_clock(tx, _CALL, missing, make.at("2026-02-15")),
            service.end_advance(tx, _CALL, missing),
        ):
            with pytest.raises(ClockNotFound):
                await refused


async def test_clocks_with_due_jobs_are_found_by_their_own_time(db: Database) -> None:
    async with db.transaction() as tx:
        due = await service.create_clock(tx, _CALL, name="due", now_at=make.at("2026-02-15"))
        early = await service.create_clock(tx, _CALL, name="early", now_at=make.at("2026-02-14"))
        for clock in (due, early):
            customer = await _create(tx, clock_id=clock.id)
            job = jobs.SendNotice(customer.id, "invoice_issued", "inv")
            await journal.stage(
                tx, _CALL, job, customer_id=customer.id, clock_id=clock.id, run_at=make.at("2026-02-15")
            )
        assert await service.list_clocks_with_due_jobs(tx, _CALL.at) == [due]
        # A job on offer is not due again before its offer ends.
        until = _CALL.at + timedelta(seconds=60)
        await journal_store.claim_due_jobs(tx, clock_id=due.id, now=due.now_at, at=_CALL.at, until=until, limit=10)
        assert await service.list_clocks_with_due_jobs(tx, _CALL.at) == []
        assert await service.list_clocks_with_due_jobs(tx, until) == [due]
