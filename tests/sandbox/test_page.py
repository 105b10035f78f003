"""The page at `/`, through HTTP: what it shows, what it does, and whom it refuses."""

import re

import httpx
import pytest

from tests.sandbox.world import World


async def _see(world: World, view: str = "") -> str:
    answer = await world.http.get(f"{world.server.url}/{view}", headers={"Authorization": ""})
    assert answer.status_code == 200
    assert "<script" not in answer.text
    return answer.text


async def _press(world: World, do: str, target: str = "", **fields: str) -> httpx.Response:
    headers = {"Authorization": "", "Origin": world.server.url}
    form = {"do": do, "target": target, **fields}
    return await world.http.post(f"{world.server.url}/", data=form, headers=headers)


async def _charged(world: World, test_id: str) -> tuple[str, str]:
    customer = await world.customer()
    invoice = await world.opened(customer, 1000)
    await world.pay(invoice, await world.method(customer, test_id))
    return invoice, (await world.intent_of(invoice)).id


async def test_the_overview_counts_and_every_list_and_document_can_be_opened(world: World) -> None:
    _, intent = await _charged(world, "pm_card_visa")
    overview = await _see(world)
    assert re.search(r"invoice</a> <em>1</em>", overview)
    for kind in ("customer", "payment_method", "invoice", "payment_intent", "charge", "event"):
        listed = await _see(world, f"?kind={kind}")
        identifier = re.findall(r'href="/\?id=([a-z]+_\w+)"', listed)[0]
        assert f"{kind}</a> {identifier}" in await _see(world, f"?id={identifier}")
    for kind in ("refund", "dispute", "credit_note", "webhook_endpoint", "delivery"):
        assert "Nothing yet." in await _see(world, f"?kind={kind}")
    secret = (await world.api.v1.payment_intents.retrieve_async(intent)).client_secret
    assert str(secret) not in await _see(world, f"?id={intent}")
    missing = await world.http.get(f"{world.server.url}/?id=in_none")
    assert missing.status_code == 404


async def test_values_are_escaped_everywhere(world: World) -> None:
    evil = '"><b>x</b>'
    customer = await world.customer(email="a@example.com", name=evil)
    await world.opened(customer, 1000, number="<b>1</b>")
    for view in (
        "",
        "?kind=invoice",
        f"?id={customer}",
        "?told=<b>x</b>",
        '?kind=delivery&before="><b>x',
        f"?kind=delivery&before={'9' * 5_000}",
    ):
        seen = await _see(world, view)
        assert "<b>x" not in seen
        assert "<b>1" not in seen
    assert "&lt;b&gt;1&lt;/b&gt;" in await _see(world, "?kind=invoice")


async def test_long_lists_are_paged(world: World) -> None:
    made = [await world.customer() for _ in range(27)]
    first = await _see(world, "?kind=customer")
    # 25 of 27 fit; the older two come behind the 25th newest, which is made[2].
    assert f"before={made[2]}" in first
    assert made[1] not in first
    second = await _see(world, f"?kind=customer&before={made[2]}")
    assert re.findall(r'href="/\?id=(cus_\w+)"', second) == [made[1], made[0]]
    assert "Older" not in second


async def test_deliveries_are_listed_and_paged(world: World) -> None:
    endpoint = await world.listen()
    await world.control("POST", "deliveries", {"hold": True})
    for _ in range(26):
        await world.customer()
    first = await _see(world, "?kind=delivery")
    assert first.count("customer.created") == 25
    assert str(endpoint.secret) not in first + await _see(world, f"?id={endpoint.id}")
    older = re.findall(r"kind=delivery&amp;before=\d+", first)[0].replace("&amp;", "&")
    assert (await _see(world, f"?{older}")).count("customer.created") == 1


async def test_a_card_is_told_to_decline(world: World) -> None:
    customer = await world.customer()
    method = await world.method(customer)
    answer = await _press(world, "behave", method, behaviour="insufficient_funds")
    assert answer.status_code == 303
    assert "Done" in await _see(world, answer.headers["location"].removeprefix("/"))
    invoice = await world.opened(customer, 1000)
    declined = await world.post(f"/v1/invoices/{invoice}/pay", f"payment_method={method}&off_session=true")
    assert declined.json()["error"]["decline_code"] == "insufficient_funds"
    assert 'value="insufficient_funds" selected' in await _see(world, f"?id={method}")


async def test_a_debit_is_returned_before_or_after_it_has_succeeded(world: World) -> None:
    early, intent = await _charged(world, "pm_usBankAccount_success")
    await _press(world, "fail", intent)
    assert (await world.api.v1.invoices.retrieve_async(early)).status == "open"
    _, late = await _charged(world, "pm_usBankAccount_success")
    await _press(world, "settle", late)
    assert (await _press(world, "return", late, reason="insufficient_funds")).status_code == 303
    found = await world.api.v1.disputes.list_async({"payment_intent": late})
    assert [(each.status, each.reason) for each in found.data] == [("lost", "insufficient_funds")]


@pytest.mark.parametrize(("do", "status"), [("win", "won"), ("lose", "lost")])
async def test_a_dispute_is_opened_and_decided(world: World, do: str, status: str) -> None:
    _, intent = await _charged(world, "pm_card_visa")
    await _press(world, "dispute", intent, reason="duplicate", amount="300")
    made = (await world.api.v1.disputes.list_async({"payment_intent": intent})).data[0]
    assert (made.status, made.amount) == ("needs_response", 300)
    assert made.id in await _see(world, f"?id={made.charge}")
    await _press(world, do, made.id)
    assert (await world.api.v1.disputes.retrieve_async(made.id)).status == status
    again = await _press(world, do, made.id)
    assert (again.status_code, "cannot be done any more" in again.text) == (400, True)


async def test_a_bank_transfer_pays_an_invoice(world: World) -> None:
    invoice = await world.opened(await world.customer(), 1000)
    assert (await _press(world, "transfer", invoice, network="swift")).status_code == 303
    assert (await world.api.v1.invoices.retrieve_async(invoice)).status == "paid"
    assert 'name=do value="transfer"' not in await _see(world, f"?id={invoice}")


async def test_a_refund_fails_and_a_setup_is_confirmed(world: World) -> None:
    _, intent = await _charged(world, "pm_card_visa")
    refund = await world.api.v1.refunds.create_async({"payment_intent": intent})
    await _press(world, "fail-refund", refund.id, reason="declined")
    assert (await world.api.v1.refunds.retrieve_async(refund.id)).status == "failed"


async def test_faults_deliveries_and_debits_are_set(world: World) -> None:
    fault = {"kind": "error", "operation": "POST /v1/customers", "status": "503", "times": "2", "seconds": ""}
    assert (await _press(world, "fault", **fault)).status_code == 303
    ordered = (await world.control("GET", "faults"))["faults"]
    assert [(each["kind"], each["status"], each["times"]) for each in ordered] == [("error", 503, 2)]
    assert "503" in await _see(world)
    await _press(world, "deliveries", duplicate="true", reorder="false", delay_ms="50")
    kept = await world.control("GET", "deliveries")
    assert (kept["duplicate"], kept["reorder"], kept["delay_ms"]) == (True, False, 50)
    await _press(world, "debits", settle_after_s="1.5")
    assert await world.control("GET", "ach") == {"settle_after_s": 1.5}


@pytest.mark.parametrize("times", ["many", "0", "1" * 15, "1" * 30])
async def test_a_form_that_makes_no_sense_is_refused_with_the_reason(world: World, times: str) -> None:
    answer = await _press(world, "fault", kind="drop", times=times)
    assert answer.status_code == 400
    assert "class=told" in answer.text
    assert (await world.control("GET", "faults"))["faults"] == []


async def test_only_the_pages_own_forms_are_taken(world: World) -> None:
    form = {"do": "fault", "target": "", "kind": "drop"}
    port = world.server.url.rsplit(":", 1)[1]
    for headers in (
        {},
        {"Origin": "null"},
        {"Origin": "https://example.com"},
        {"Origin": f"http://localhost:{port}"},
        {"Origin": f"http://127.0.0.1:{int(port) - 1}"},
        {"Origin": world.server.url, "Host": "rebound.example"},
    ):
        answer = await world.http.post(f"{world.server.url}/", data=form, headers=headers)
        assert answer.status_code == 403
    assert (await world.http.delete(f"{world.server.url}/")).status_code == 405
    assert (await world.control("GET", "faults"))["faults"] == []


async def test_the_page_cannot_be_framed_or_run_anything(world: World) -> None:
    answer = await world.http.get(f"{world.server.url}/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
