"""Idempotency keys: one effect for a wish, the same answer to a repetition, and nothing for those who may not."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from api.graphql.context import Context
from api.graphql.once import RUNNING_FOR, Wish, once_outside
from domain.customers.customer import Customer
from domain.db import Tx
from domain.journal.service import InProgress
from domain.kernel.call import Call, Principal
from domain.kernel.ids import encode
from domain.runtime import Runtime
from tests.api.graphql.site import Site

STARTED = "... on SubscriptionStarted { subscription { id plan { key } } }"
ATTACHED = "... on PaymentMethodAttached { method { id last4 } }"
CANCELLED = "... on SubscriptionCancelled { subscription { id status } }"


@pytest.fixture
async def ada(shared: Site) -> Customer:
    """Make a customer of the test's own."""
    return await shared.world.customer(on="2026-01-31", card=None)


def wish(ada: Customer, **other: str) -> dict[str, str]:
    """Make the input of subscribe."""
    given = {"customerId": encode("customer", ada.id), "product": "llm", "plan": "pro", "interval": "MONTH"}
    return {**given, "idempotencyKey": "k", **other}


async def kept(site: Site, ada: Customer) -> list[tuple[str, Any]]:
    """Read what is remembered about a customer."""
    async with site.runtime.db.transaction() as tx:
        driver = await tx.raw()
        rows = await driver.fetch("SELECT mutation, outcome::text FROM idempotency WHERE customer_id = $1", ada.id)
    return [(row["mutation"], row["outcome"]) for row in rows]


async def test_a_wish_sent_again_gets_the_same_answer_and_one_subscription(shared: Site, ada: Customer) -> None:
    token = shared.member(ada.id)
    first = await shared.change("subscribe", STARTED, token, **wish(ada))
    again = await shared.change("subscribe", STARTED, token, **wish(ada))
    assert first == again
    assert first["subscription"]["plan"]["key"] == "pro"
    other = await shared.change("subscribe", STARTED, token, **wish(ada, idempotencyKey="other"))
    assert (other["__typename"], other["code"]) == ("Conflict", "already_subscribed")
    assert [len(await shared.world.invoices(ada))] == [1]


async def test_the_caller_selects_anew_and_never_sees_what_was_rendered_before(shared: Site, ada: Customer) -> None:
    token = shared.member(ada.id)
    await shared.change("subscribe", STARTED, token, **wish(ada))
    await shared.change(
        "cancelSubscription",
        CANCELLED,
        token,
        subscriptionId=await _subscription(shared, ada),
        atPeriodEnd=False,
        idempotencyKey="end",
    )
    status = "... on SubscriptionStarted { subscription { status } }"
    again = await shared.change("subscribe", status, token, **wish(ada))
    assert again["subscription"] == {"status": "CANCELED"}


async def _subscription(site: Site, ada: Customer) -> str:
    document = "query($id: ID!) { customer(id: $id) { subscriptions { id } } }"
    data = await site.read(document, site.staff(), id=encode("customer", ada.id))
    return str(data["customer"]["subscriptions"][0]["id"])


async def test_another_input_with_the_key_is_a_conflict(shared: Site, ada: Customer) -> None:
    token = shared.member(ada.id)
    await shared.change("subscribe", STARTED, token, **wish(ada))
    other = await shared.change("subscribe", STARTED, token, **wish(ada, plan="basic"))
    assert (other["__typename"], other["code"]) == ("Conflict", "idempotency_conflict")


async def test_a_key_belongs_to_its_principal(shared: Site, ada: Customer) -> None:
    await shared.change("subscribe", STARTED, shared.member(ada.id), **wish(ada))
    key = await shared.key("subscription:write", "subscription:read", "catalogue:read")
    other = await shared.change("subscribe", STARTED, key, **wish(ada))
    assert (other["__typename"], other["code"]) == ("Conflict", "already_subscribed")


async def test_a_refusal_is_remembered_unless_it_passes_by_itself(shared: Site, ada: Customer) -> None:
    token = shared.member(ada.id)
    for _ in range(2):
        refused = await shared.change("subscribe", STARTED, token, **wish(ada, plan="none"))
        assert (refused["__typename"], refused["code"]) == ("NotFound", "plan_not_found")
    [(mutation, outcome)] = await kept(shared, ada)
    assert (mutation, "plan_not_found" in outcome) == ("subscribe", True)


async def test_a_replay_needs_the_right_to_do_it_now(shared: Site, ada: Customer) -> None:
    await shared.change("subscribe", STARTED, shared.member(ada.id), **wish(ada))
    # The token names the same person, who is a viewer now.
    refused = await shared.change("subscribe", STARTED, shared.member(ada.id, "viewer"), **wish(ada))
    assert (refused["__typename"], refused["code"]) == ("NotPermitted", "forbidden")


async def test_nothing_is_remembered_about_a_customer_that_the_caller_may_not_see(shared: Site, ada: Customer) -> None:
    stranger = await shared.world.customer(on="2026-01-31", card=None)
    token = shared.member(stranger.id)
    refused = await shared.change("subscribe", STARTED, token, **wish(ada))
    assert (refused["__typename"], refused["code"]) == ("NotFound", "customer_not_found")
    given = {"customerId": encode("customer", ada.id), "gatewayMethodId": "pm_card_visa", "idempotencyKey": "k"}
    refused = await shared.change("attachPaymentMethod", ATTACHED, token, **given)
    assert (refused["__typename"], refused["code"]) == ("NotFound", "customer_not_found")
    assert await kept(shared, ada) == []


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_a_key_has_a_bounded_length(shared: Site, ada: Customer, key: str) -> None:
    refused = await shared.change("subscribe", STARTED, shared.member(ada.id), **wish(ada, idempotencyKey=key))
    assert (refused["__typename"], refused["code"]) == ("InvalidInput", "idempotency_key_malformed")
    assert await kept(shared, ada) == []


async def test_two_wishes_with_one_key_at_once_have_one_effect(shared: Site, ada: Customer) -> None:
    token = shared.member(ada.id)
    answers = await asyncio.gather(*(shared.change("subscribe", STARTED, token, **wish(ada)) for _ in range(5)))
    assert {answer["__typename"] for answer in answers} <= {"SubscriptionStarted", "Busy"}
    assert len({answer["subscription"]["id"] for answer in answers if "subscription" in answer}) == 1
    assert len(await shared.world.invoices(ada)) == 1


async def test_attaching_again_finds_the_same_method(shared: Site, ada: Customer) -> None:
    given = {"customerId": encode("customer", ada.id), "gatewayMethodId": "pm_card_visa", "idempotencyKey": "k"}
    first = await shared.change("attachPaymentMethod", ATTACHED, shared.staff(), **given)
    again = await shared.change("attachPaymentMethod", ATTACHED, shared.staff(), **given)
    assert first == again
    malformed = {**given, "gatewayMethodId": "card", "idempotencyKey": "k2"}
    refused = await shared.change("attachPaymentMethod", ATTACHED, shared.staff(), **malformed)
    assert (refused["__typename"], refused["code"]) == ("InvalidInput", "gateway_id_malformed")


async def test_while_a_foreign_call_runs_its_key_is_in_progress_and_a_dead_one_is_taken_over(
    shared: Site, ada: Customer
) -> None:
    principal = await shared.runtime.verifier.verify(shared.staff(), shared.runtime.now())
    started, go_on = asyncio.Event(), asyncio.Event()

    async def act() -> tuple[str, dict[str, str]]:
        started.set()
        await go_on.wait()
        return "done", {"method": "m"}

    async def again(_: Tx, outcome: Any) -> str:
        return f"again {outcome['method']}"

    def asked(call: Call | None = None) -> Wish:
        context = Context(shared.app.state.serving, principal, _call=call)
        return Wish(context, "attach", "k", ada.id, {"a": 1})

    running = asyncio.create_task(once_outside(asked(), act, again))
    await started.wait()
    with pytest.raises(InProgress):
        await once_outside(asked(), act, again)

    async def take_over() -> tuple[str, dict[str, str]]:
        return "taken over", {"method": "m"}

    # Much later the first one is taken for dead: its process may have been killed.
    late = _later(shared.runtime, principal, RUNNING_FOR + timedelta(seconds=1))
    assert await once_outside(asked(late), take_over, again) == "taken over"
    assert await once_outside(asked(), act, again) == "again m"
    # It was only slow: what it did is the same, since acting twice is safe.
    go_on.set()
    assert await running == "done"
    assert await once_outside(asked(), act, again) == "again m"


def _later(runtime: Runtime, principal: Principal, by: timedelta) -> Call:
    call = runtime.call(principal)
    return Call(call.id, call.at + by, principal, call.new_id)


async def test_a_charge_that_passes_by_itself_can_be_tried_again_at_once(shared: Site, ada: Customer) -> None:
    shared.world.gateway.lose("ensure_customer", "before")
    given = {"customerId": encode("customer", ada.id), "gatewayMethodId": "pm_card_visa", "idempotencyKey": "k"}
    lost = await shared.change("attachPaymentMethod", ATTACHED, shared.staff(), **given)
    assert (lost["__typename"], lost["code"]) == ("Unavailable", "gateway_unavailable")
    attached = await shared.change("attachPaymentMethod", ATTACHED, shared.staff(), **given)
    assert attached["__typename"] == "PaymentMethodAttached"
