"""Nothing is given to an erased customer, and nothing more is written of it, whichever way it is tried.

The customer is erased with all that it has left in place, which no real erasure leaves: so each refusal is that of the
erasure, and not of an invoice that is paid or a subscription that has ended. A new mutation is tried as soon as it is
in the schema; it has to refuse, or to stand in `ALLOWED` with its reason.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from graphql import GraphQLInputObjectType, get_named_type

from api.local.throwaway import TemporaryServers
from api.rest.billing import BILLING
from api.rest.methods import METHODS
from api.rest.writes import KEY_HEADER, Write
from domain.alerts.unsubscribing import Unsubscribing
from domain.customers import service as customers
from domain.customers.erasing import service as erasing
from domain.subscriptions.erasing import service as subscriptions
from tests.api.graphql.asking import INPUTS
from tests.api.graphql.scene import CORE, Actor, Scene, Target, mutation_of, open_scene
from tests.databases import fresh_database

# What a target names that belongs to the merchant, and to no customer.
OF_MERCHANT = frozenset(
    (
        *("environment", "coupon", "code", "codeText", "policy", "clock", "job", "key"),
        *("endpoint", "endpointToDelete", "billingEvent", "staffAlert"),
    )
)
_TAKES_AWAY = "It takes something away."
_GOES_BACK = "Money goes back the way it came, with nothing personal."
ALLOWED: Mapping[str, str] = {
    "voidUnitGrant": _TAKES_AWAY,
    "voidWalletCredit": _TAKES_AWAY,
    "removeCoupon": _TAKES_AWAY,
    "cancelTopUp": _TAKES_AWAY,
    "removeAutomaticTopUp": _TAKES_AWAY,
    "cancelOneOffCharge": _TAKES_AWAY,
    "cancelScheduledStart": _TAKES_AWAY,
    "releaseReservation": _TAKES_AWAY,
    "refundCreditNote": _GOES_BACK,
    "refundUnappliedPayment": _GOES_BACK,
    "markAlertRead": "Alerts are deleted within moments.",
    "extendReservation": "Reservations are deleted within moments, and it holds no more of anything.",
    "redriveEvents": "What waits is deleted with the erasure, and what was sent cannot be read: none is counted.",
    "replayWebhookEvents": "It only sends once more what stays: ids and amounts.",
    "publishProduct": "It is of no customer; the walk only names the product after one.",
    "eraseCustomer": "Repeated, it returns the first erasure.",
}
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/api/billing/subscribe"): {"plan": "basic"},
    ("PUT", "/api/billing/subscription"): {"plan": "basic"},
    ("POST", "/api/billing/cancel"): {},
    ("POST", "/api/billing/payment-methods"): {"payment_method": "pm_card_visa"},
    ("POST", "/api/billing/payment-methods/setup"): {"way": "card"},
    ("POST", "/api/billing/payment-methods/{id}/default"): {},
    ("DELETE", "/api/billing/payment-methods/{id}"): {},
}


class Recorded(dict[str, Any]):
    """The ids of a target, which remember the names by which they were asked for."""

    def __init__(self, ids: Mapping[str, Any]) -> None:
        super().__init__(ids)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.asked.add(name)
        return super().__getitem__(name)


@pytest.fixture(scope="module")
async def scene(servers: TemporaryServers, template: str) -> AsyncIterator[Scene]:
    """Make three customers with one of each thing, and erase Bob with all that he has left in place."""
    async with fresh_database(servers, "erased", template) as database, open_scene(database) as made:
        world, bob = made.server.world, made.targets["Bob"].customer_id
        async with made.server.runtime.db.transaction() as tx:
            customer = await customers.load_customer(tx, world.call, bob)
            await erasing.erase(tx, world.call, customer, is_retained=True)
            await subscriptions.forget_resolved(tx, bob)
        # Holds are given out of memory for some seconds longer, while a subscription runs.
        await made.server.app.state.serving.recorder.snapshots.reload({bob})
        yield made


def input_of(name: str, target: Target, number: int) -> dict[str, Any] | None:
    """Make the input of a mutation about a customer; None where it names none, nor anything of one."""
    recorded = Recorded(target.ids)
    given: dict[str, Any] = dict(INPUTS[name](recorded, number))
    assert CORE.mutation_type is not None
    shape = get_named_type(CORE.mutation_type.fields[name].args["input"].type)
    assert isinstance(shape, GraphQLInputObjectType)
    if "customerId" in shape.fields:
        given.setdefault("customerId", target.ids["customer"])
        return given
    return given if recorded.asked - OF_MERCHANT else None


def actor_of(scene: Scene, name: str) -> Actor:
    """Choose who tries a mutation: a product's key for usage, else an administrator."""
    actors = {each.name: each for each in scene.actors}
    is_usage = name in {"recordUsage", "recordUsageBatch"} or "Reservation" in name or name == "reserveUsage"
    return actors["key of test" if is_usage else "staff admin"]


def codes_in(result: Mapping[str, Any]) -> set[str]:
    """Return the codes with which a mutation has refused; of events, which are answered one by one, the reasons."""
    if "results" in result:
        return {each["reason"] for each in result["results"]}
    return {result.get("code", "")}


async def test_every_mutation_about_a_customer_refuses_an_erased_one_or_says_why_not(scene: Scene) -> None:
    bob = scene.targets["Bob"]
    inputs = {name: input_of(name, bob, number) for number, name in enumerate(INPUTS)}
    about = {name: given for name, given in inputs.items() if given is not None}
    assert set(ALLOWED) <= set(about), "only what there is can be allowed"
    before = await scene.rows()
    faults = []
    for name in sorted(about.keys() - ALLOWED.keys()):
        answer = await scene.server.run(mutation_of(name), actor_of(scene, name).token, input=about[name])
        result = (answer.get("data") or {}).get(name) or answer
        if codes_in(result) != {"customer_erased"}:
            faults.append(f"{name}: {str(result)[:300]}")
    assert not faults, "\n".join(sorted(faults))
    after = await scene.rows()
    assert {name for name in after if after[name] != before[name]} == set()
    for name in ALLOWED:
        answer = await scene.server.run(mutation_of(name), actor_of(scene, name).token, input=about[name])
        result = (answer.get("data") or {}).get(name) or {}
        assert codes_in(result) != {"customer_erased"}, f"{name} refuses: it need not be allowed"
    assert (len(about) > 60, len(ALLOWED) < 20) == (True, True)


async def test_an_old_link_in_a_mail_goes_on_to_answer_and_writes_nothing(scene: Scene) -> None:
    runtime, bob = scene.server.runtime, scene.targets["Bob"]
    before = await scene.rows()
    link = Unsubscribing("http://localhost", runtime.unsubscribe_keys[0]).link(bob.customer_id, "weekly_digest")
    assert link is not None
    answer = await scene.server.client.post(link.removeprefix("http://localhost"))
    assert (answer.status_code, await scene.rows()) == (200, before)


async def test_every_route_that_changes_a_customer_refuses_an_erased_one(scene: Scene) -> None:
    bob, client = scene.targets["Bob"], scene.server.client
    routes = {(each.method, each.path) for each in (*BILLING, *METHODS) if isinstance(each, Write)}
    assert routes == BODIES.keys(), "give each route its body"
    before = await scene.rows()
    for (method, path), body in BODIES.items():
        for headers in ({}, {KEY_HEADER: "a"}):
            answer = await client.request(
                method,
                path.replace("{id}", bob.ids["method"]),
                params={"customer": bob.ids["customer"], "product": "llm"},
                json=body,
                headers={"Authorization": f"Bearer {scene.server.staff()}", **headers},
            )
            assert answer.status_code == 409, f"{method} {path}: {answer.text}"
            assert answer.json()["code"] == "customer_erased", f"{method} {path}"
    assert await scene.rows() == before
