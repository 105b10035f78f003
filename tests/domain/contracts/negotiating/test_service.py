"""A version of a plan that belongs to one customer: sold to it, and unknown to everybody else."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.contracts import service as contracts
from domain.contracts.negotiating import service as negotiating
from domain.contracts.what_if import service as what_if
from domain.contracts.what_if.service import PlanVersionNotFound
from domain.customers import service as customers
from domain.customers.service import CustomerNotFound
from domain.db import Database
from domain.kernel.call import Environment, Forbidden, PrincipalKind
from domain.kernel.ids import CustomerId
from domain.plans import service as plans
from domain.plans.custom import read_terms
from domain.plans.definition import read_product
from domain.plans.exact import DefinitionRefused
from domain.plans.plan import PlanVersion
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Subscription
from tests import make
from tests.domain.contracts.changing.office import PRODUCT, Office, open_office

# 12.50 a month instead of 30.00, and 40 modules instead of 10.
_TERMS = {
    "prices": [
        {
            "key": "fee_month",
            "kind": "fee",
            "currency": "USD",
            "interval": "month",
            "model": "per_unit",
            "definition": {"unit_amount": "12.50"},
            "description": "Negotiated fee",
        }
    ],
    "entitlements": [
        {
            "key": "modules",
            "meter": "modules",
            "amount": "40",
            "policy": "hard",
            "on_failure": "open",
            "source": "ours",
            "description": "Modules",
        }
    ],
}


@pytest.fixture
async def office(db: Database) -> AsyncIterator[Office]:
    """Open an office whose clock stands at 1 April 2026, 00:00."""
    async with open_office(db, on="2026-04-01") as opened:
        yield opened


async def _publish(office: Office, **more: Any) -> PlanVersion:
    terms = read_terms(json.dumps(_TERMS | more).encode())
    async with office.db.transaction() as tx:
        _, found = await negotiating.publish_custom_version(
            tx, office.call, customer_id=office.customer.id, product_key="desk", plan_key="large", terms=terms
        )
    return found


async def _other(office: Office) -> CustomerId:
    async with office.db.transaction() as tx:
        made = await customers.create_customer(
            tx, office.call, environment=Environment.TEST, name="Bob", email="bob@example.com", clock_id=office.clock_id
        )
    return made.id


async def _subscribe(office: Office, customer_id: CustomerId) -> Subscription:
    async with office.db.transaction() as tx:
        return await contracts.subscribe(
            tx, office.call, customer_id=customer_id, product_key="desk", plan_key="large", interval=Interval.MONTH
        )


async def test_the_customer_subscribes_to_its_own_version_and_nobody_else_does(office: Office) -> None:
    own = await _publish(office)
    assert (own.number, own.customer_id) == (2, office.customer.id)
    rows = await office.rows()
    assert await _publish(office) == own
    assert await office.rows() == rows
    mine, others = await _subscribe(office, office.customer.id), await _subscribe(office, await _other(office))
    assert mine.plan_version_id == own.id
    [invoice] = await office.invoices()
    assert invoice.total.minor == 1_250
    async with office.db.transaction() as tx:
        catalogue = await plans.load_catalogue(tx)
    public = catalogue.current_version("desk", "large")
    assert (public.number, public.customer_id, others.plan_version_id) == (1, None, public.id)
    assert catalogue.own_versions(others.customer_id) == ()
    assert catalogue.own_versions(mine.customer_id) == (own,)


async def test_its_limits_hold_and_a_change_to_the_plan_finds_it(office: Office) -> None:
    own = await _publish(office)
    started = await office.start("small")
    assert await office.use("modules", "2026-04-01", delta=2) == "counted"
    done = await office.change(started, plan_key="large")
    assert done.subscription.plan_version_id == own.id
    [limit] = [each for each in own.entitlements if each.key == "modules"]
    assert limit.amount == 40


async def test_a_subscription_that_stands_moves_at_its_renewal_where_the_terms_say_so(office: Office) -> None:
    started = await office.start("large")
    own = await _publish(office, existing="move_at_renewal")
    await office.move_and_close("2026-05-01T02:00", started)
    assert (await office.again(started)).plan_version_id == own.id
    assert [each.total.minor for each in await office.invoices()] == [3_000, 1_250]


async def test_a_new_version_for_everybody_neither_takes_its_number_nor_moves_who_has_an_own_one(
    office: Office,
) -> None:
    own = await _publish(office)
    started = await _subscribe(office, office.customer.id)
    dearer = json.loads(json.dumps(PRODUCT))
    dearer["plans"][1] |= {"support": "other", "existing": "move_at_renewal"}
    async with office.db.transaction() as tx:
        await plans.publish(tx, office.call, read_product(json.dumps(dearer).encode()))
        assert await plans.publish(tx, office.call, read_product(json.dumps(dearer).encode())) == []
        catalogue = await plans.load_catalogue(tx)
    assert catalogue.current_version("desk", "large").number == 3
    await office.move_and_close("2026-05-01T02:00", started)
    assert (await office.again(started)).plan_version_id == own.id


async def test_no_answer_tells_that_it_exists(office: Office) -> None:
    await _publish(office)
    async with office.db.transaction() as tx:
        with pytest.raises(PlanVersionNotFound):
            await what_if.against(tx, office.call, product_key="desk", plan_key="large", number=2)
        listed = await plans.list_plans(tx, office.call, "desk")
    assert [each.key for each in listed] == ["small", "large"]


async def test_only_staff_publish_for_a_customer_that_they_may_see(office: Office) -> None:
    rows = await office.rows()
    terms = read_terms(json.dumps(_TERMS).encode())
    member = make.principal(
        "subscription:override",
        kind=PrincipalKind.MEMBER,
        role="owner",
        customer_id=office.customer.id,
        environment=Environment.TEST,
    )
    viewer = make.principal("subscription:write", kind=PrincipalKind.STAFF, role="viewer")
    staff = make.principal("subscription:override", kind=PrincipalKind.STAFF, role="admin")
    for by, whose, error in (
        (member, office.customer.id, Forbidden),
        (viewer, office.customer.id, Forbidden),
        (staff, CustomerId(make.new_id()), CustomerNotFound),
    ):
        with pytest.raises(error):
            async with office.db.transaction() as tx:
                await negotiating.publish_custom_version(
                    tx, make.call(by=by), customer_id=whose, product_key="desk", plan_key="large", terms=terms
                )
    with pytest.raises(DefinitionRefused):
        await _publish(office, without=["nothing"])
    assert await office.rows() == rows


async def test_a_customer_is_shown_its_own_and_not_another_s(office: Office) -> None:
    own = await _publish(office)
    member = make.principal(
        "subscription:read",
        kind=PrincipalKind.MEMBER,
        role="owner",
        customer_id=office.customer.id,
        environment=Environment.TEST,
    )
    other = await _other(office)
    async with office.db.transaction() as tx:
        _, shown = await negotiating.custom_versions(tx, make.call(by=member), office.customer.id)
        with pytest.raises(CustomerNotFound):
            await negotiating.custom_versions(tx, make.call(by=member), other)
    assert [each.id for each in shown] == [own.id]
