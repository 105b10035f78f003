"""Who may come in, what the contract refuses, lists, expansion, and idempotency keys."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
import stripe

from sandbox import contract_index, contract_shapes
from sandbox.call import ROUTES
from tests.sandbox.conformance import faults
from tests.sandbox.world import KEY, World

REQUESTS = re.compile(r"await self\._request(?:_stream)?_async\(")


def test_every_operation_of_the_package_is_indexed() -> None:
    sources = [path.read_text() for path in Path(stripe.__file__).parent.rglob("_*_service.py")]
    indexed = contract_index.operations()
    # 649 requests; deleting a customer's source is written twice.
    assert (sum(len(REQUESTS.findall(source)) for source in sources), len(indexed)) == (649, 648)
    for operation in indexed.values():
        if operation.path.startswith("/v1/"):
            assert contract_shapes.accepted(operation).name == operation.shape


def test_everything_that_is_implemented_is_in_the_contract() -> None:
    indexed = contract_index.operations()
    for key, route in ROUTES.items():
        assert route.takes <= set(contract_shapes.accepted(indexed[key]).fields)


def test_the_conformance_check_finds_what_is_wrong() -> None:
    good: Any = {"object": "invoice_payment", "id": "inpay_1", "amount_requested": 1, "created": 1, "currency": "usd"}
    good |= {"invoice": "in_1", "is_default": True, "livemode": False, "status": "open"}
    good |= {"payment": {"type": "payment_intent"}, "status_transitions": {"paid_at": None}}
    assert faults(good) == []
    assert faults(good | {"extra": 1}) == ["invoice_payment.extra is unknown"]
    assert faults({name: value for name, value in good.items() if name != "status"}) == [
        "invoice_payment.status is missing"
    ]
    assert len(faults(good | {"amount_requested": "1"})) == 1
    assert len(faults(good | {"payment": {"type": "cash"}})) == 1
    assert len(faults({"object": "list", "data": [good | {"created": None}], "has_more": False, "url": "/"})) == 1


@pytest.mark.parametrize(
    ("path", "form", "code", "param"),
    [
        ("/v1/invoices", "customer=cus_1&colour=red", "parameter_unknown", "colour"),
        ("/v1/invoices/in_1/add_lines", "lines[0][price]=5", "parameter_unknown", "lines[0][price]"),
        ("/v1/invoices/in_1/add_lines", "", "parameter_missing", "lines"),
        ("/v1/webhook_endpoints", "url=http://127.0.0.1/", "parameter_missing", "enabled_events"),
        ("/v1/webhook_endpoints", "url=http://127.0.0.1/&enabled_events[0]=invoice.eaten", None, "enabled_events[0]"),
        ("/v1/invoices", "customer=cus_1&collection_method=ask_nicely", None, "collection_method"),
        ("/v1/customers", "balance=ten", "parameter_invalid_integer", "balance"),
        ("/v1/customers", "balance=", "parameter_invalid_empty", "balance"),
        ("/v1/invoices", "customer=cus_1&auto_advance=maybe", None, "auto_advance"),
        ("/v1/customers", "metadata=text", None, "metadata"),
        ("/v1/customers", "name[first]=Ada", None, "name"),
        ("/v1/customers", "preferred_locales=en", None, "preferred_locales"),
        ("/v1/customers", f"preferred_locales[{'9' * 5_000}]=en", None, "preferred_locales"),
        ("/v1/customers", "name=a&name[b]=c", None, "name[b]"),
        ("/v1/charges", "amount=1&currency=usd&shipping[name]=x", "parameter_missing", "shipping[address]"),
        ("/v1/tea", "", None, None),
        ("/v1/invoices/in_1/eat", "", None, None),
    ],
)
async def test_what_does_not_fit_the_contract_is_refused(
    world: World,
    path: str,
    form: str,
    code: str | None,
    param: str | None,
) -> None:
    answer = await world.post(path, form, Idempotency_Key="k")
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert (error.get("code"), error.get("param")) == (code, param)
    # Nothing was begun, so the key is free for another request.
    assert (await world.post("/v1/customers", "name=Ada", Idempotency_Key="k")).status_code == 200


async def test_what_stripe_knows_and_the_sandbox_does_not_is_said_so(world: World) -> None:
    for path, form in (("/v1/topups", "amount=100&currency=usd"), ("/v1/customers", "coupon_=1&source=tok_visa")):
        answer = await world.post(path, form.replace("coupon_=1&", ""))
        assert (answer.status_code, answer.json()["error"]["code"]) == (501, "sandbox_not_implemented")
        assert answer.headers["stripe-should-retry"] == "false"


async def test_strangers_are_turned_away(world: World) -> None:
    url = f"{world.server.url}/v1/customers"
    for headers, status in (
        ({"Authorization": "Bearer sk_test_other"}, 401),
        ({"Authorization": ""}, 401),
        ({"Host": "rebound.example:80"}, 403),
        ({"Host": "127.0.0.1:1"}, 403),
        ({"Origin": "https://example.com"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": world.server.url}, 200),
        ({"Stripe-Version": "2019-01-01"}, 400),
        ({"Stripe-Account": "acct_1"}, 403),
    ):
        assert (await world.http.get(url, headers=headers)).status_code == status
    control = f"{world.server.url}/_sandbox/health"
    assert (await world.http.get(control, headers={"Authorization": "Bearer x"})).status_code == 401
    assert (await world.http.get(f"{world.server.url}/_sandbox/nothing")).status_code == 404


async def test_the_page_shows_documents_escaped(world: World) -> None:
    await world.opened(await world.customer(), 1000, number="<b>1</b>")
    page = await world.http.get(f"{world.server.url}/", headers={"Authorization": ""})
    assert page.status_code == 200
    assert "&lt;b&gt;1&lt;/b&gt;" in page.text
    assert "<b>1" not in page.text


async def test_answers_carry_request_id_and_version(world: World) -> None:
    answer = await world.post("/v1/customers", "name=Ada", Idempotency_Key="k1")
    assert answer.headers["request-id"].startswith("req_")
    assert answer.headers["stripe-version"] == "2026-10-28.endive"
    assert answer.headers["idempotency-key"] == "k1"
    event = (await world.api.v1.events.list_async({"type": "customer.*"})).data[0]
    assert event.request is not None
    assert (event.request.id, event.request.idempotency_key) == (answer.headers["request-id"], "k1")


async def test_lists_are_paged_in_both_directions(world: World) -> None:
    made = [await world.customer() for _ in range(5)]
    customers = world.api.v1.customers
    first = await customers.list_async({"limit": 2})
    assert ([each.id for each in first.data], first.has_more) == ([made[4], made[3]], True)
    second = await customers.list_async({"limit": 2, "starting_after": made[3]})
    assert ([each.id for each in second.data], second.has_more) == ([made[2], made[1]], True)
    last = await customers.list_async({"limit": 2, "starting_after": made[1]})
    assert ([each.id for each in last.data], last.has_more) == ([made[0]], False)
    back = await customers.list_async({"limit": 2, "ending_before": made[1]})
    assert ([each.id for each in back.data], back.has_more) == ([made[3], made[2]], True)
    for params in ({"limit": 0}, {"limit": 101}, {"starting_after": "cus_x"}):
        with pytest.raises(stripe.InvalidRequestError):
            await customers.list_async(params)  # type: ignore[arg-type]


async def test_events_are_filtered_by_type_and_time(world: World) -> None:
    ada = await world.customer()
    await world.method(ada)
    events = world.api.v1.events
    named = await events.list_async({"types": ["customer.created", "customer.deleted"]})
    assert [event.type for event in named.data] == ["customer.created"]
    assert [event.type for event in (await events.list_async({"type": "payment_method.*"})).data] == [
        "payment_method.attached"
    ]
    created = named.data[0].created
    assert (await events.list_async({"created": {"lt": created}})).data == []
    one = await events.retrieve_async(named.data[0].id)
    assert (one.id, one.api_version) == (named.data[0].id, "2026-10-28.endive")
    with pytest.raises(stripe.InvalidRequestError):
        await events.list_async({"types": ["x"] * 21})


async def test_ids_are_expanded_four_levels_deep_at_most(world: World) -> None:
    ada = await world.customer(name="Ada")
    await world.pay(await world.opened(ada, 1000), await world.method(ada))
    params: Any = {"expand": ["data.payments.data.payment.payment_intent", "data.customer"]}
    with pytest.raises(stripe.InvalidRequestError):
        await world.api.v1.invoices.list_async({"expand": ["data.payments.data.payment.payment_intent.customer"]})
    invoice: Any = (await world.api.v1.invoices.list_async(params)).data[0]
    assert invoice.customer.name == "Ada"
    assert invoice.payments.data[0].payment.payment_intent.status == "succeeded"
    for path in ("total", "nothing", "customer.balance"):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await world.api.v1.invoices.retrieve_async(invoice.id, {"expand": [path]})
        assert refused.value.param == "expand"


async def test_a_key_replays_the_first_answer(world: World) -> None:
    first = await world.post("/v1/customers", "name=Ada", Idempotency_Key="k")
    again = await world.post("/v1/customers", "name=Ada", Idempotency_Key="k")
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert len((await world.api.v1.customers.list_async()).data) == 1


async def test_a_key_replays_a_decline_even_after_the_card_recovered(world: World) -> None:
    ada = await world.customer()
    card = await world.method(ada, "pm_card_chargeDeclined")
    invoice = await world.opened(ada, 1000)
    with pytest.raises(stripe.CardError):
        await world.pay(invoice, card, key="attempt-1")
    await world.control("POST", f"payment_methods/{card}", {"behaviour": "succeeds"})
    with pytest.raises(stripe.CardError) as again:
        await world.pay(invoice, card, key="attempt-1")
    assert "idempotent-replayed" in (again.value.headers or {})
    charges = await world.api.v1.charges.list_async({"customer": ada})
    assert [charge.status for charge in charges.data] == ["failed"]
    assert (await world.pay(invoice, card, key="attempt-2")).status == "paid"


async def test_a_key_replays_a_refusal_of_the_operation(world: World) -> None:
    first = await world.post("/v1/invoices", "customer=cus_none", Idempotency_Key="k")
    again = await world.post("/v1/invoices", "customer=cus_none", Idempotency_Key="k")
    assert first.json()["error"]["code"] == "resource_missing"
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_key_with_other_parameters_is_refused(world: World) -> None:
    options: Any = {"idempotency_key": "k"}
    await world.api.v1.customers.create_async({"name": "Ada"}, options)
    with pytest.raises(stripe.IdempotencyError):
        await world.api.v1.customers.create_async({"name": "Bob"}, options)
    with pytest.raises(stripe.IdempotencyError):
        await world.api.v1.products.create_async({"name": "Ada"}, options)
    assert len((await world.api.v1.customers.list_async()).data) == 1


async def test_a_key_that_was_forgotten_runs_again(world: World) -> None:
    await world.post("/v1/customers", "name=Ada", Idempotency_Key="k")
    await world.control("POST", "forget_keys")
    again = await world.post("/v1/customers", "name=Ada", Idempotency_Key="k")
    assert "idempotent-replayed" not in again.headers
    assert len((await world.api.v1.customers.list_async()).data) == 2


async def test_a_key_that_is_being_used_is_refused(world: World) -> None:
    await world.control("POST", "faults", {"kind": "delay", "seconds": 0.3, "operation": "POST /v1/customers"})
    first = asyncio.create_task(world.post("/v1/customers", "name=Ada", Idempotency_Key="k"))

    async def holds_the_key() -> bool:
        return bool((await world.control("GET", "faults"))["faults"] == [])

    await world.until(holds_the_key)
    second = await world.post("/v1/customers", "name=Ada", Idempotency_Key="k")
    assert (second.status_code, second.json()["error"]["code"]) == (409, "idempotency_key_in_use")
    done = await first
    third = await world.post("/v1/customers", "name=Ada", Idempotency_Key="k")
    assert (third.status_code, third.content) == (200, done.content)


async def test_keys_have_a_bound_and_mean_nothing_on_reads(world: World) -> None:
    assert (await world.post("/v1/customers", "", Idempotency_Key="k" * 256)).status_code == 400
    url = f"{world.server.url}/v1/customers"
    for name in ("Ada", "Bob"):
        await world.customer(name=name)
        answer = await world.http.get(url, headers={"Idempotency-Key": "k", "Authorization": f"Bearer {KEY}"})
    assert len(answer.json()["data"]) == 2


async def test_a_request_whose_client_died_half_way_is_none(world: World) -> None:
    ada = await world.customer()
    form = f"customer={ada}&currency=usd"
    port = int(world.server.url.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    head = [
        "POST /v1/invoices HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        f"Authorization: Bearer {KEY}",
        "Content-Type: application/x-www-form-urlencoded",
        "Idempotency-Key: half",
        f"Content-Length: {len(form)}",
    ]
    writer.write("\r\n".join([*head, "", ""]).encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    # The key is as if it had never been used, as soon as the sandbox has noticed that the connection is closed.
    answer = await world.post("/v1/invoices", form, Authorization=f"Bearer {KEY}", Idempotency_Key="half")
    assert (answer.status_code, answer.json()["status"]) == (200, "draft")
    assert len((await world.api.v1.invoices.list_async({})).data) == 1
