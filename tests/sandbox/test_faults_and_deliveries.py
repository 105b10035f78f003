"""Failures on request, webhooks and restarts."""

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe

from api.local.ports import free_port
from sandbox.__main__ import listen, main
from sandbox.deliveries import pause_s
from tests.sandbox.world import KEY, Server, World
from tests.waiting import until

PAY = "POST /v1/invoices/{invoice}/pay"


async def due(world: World) -> tuple[str, str]:
    """Open an invoice and attach a card; give both ids."""
    ada = await world.customer()
    return await world.opened(ada, 1000), await world.method(ada)


async def test_an_answer_dropped_before_acting_leaves_nothing(world: World) -> None:
    invoice, card = await due(world)
    await world.control("POST", "faults", {"kind": "drop", "operation": PAY, "when": "before"})
    with pytest.raises(stripe.APIConnectionError):
        await world.pay(invoice, card, key="k")
    assert (await world.api.v1.invoices.retrieve_async(invoice)).status == "open"
    assert (await world.pay(invoice, card, key="k")).status == "paid"


async def test_an_answer_dropped_after_acting_is_replayed_under_its_key(world: World) -> None:
    invoice, card = await due(world)
    await world.control("POST", "faults", {"kind": "drop", "path": f"/v1/invoices/{invoice}/pay", "when": "after"})
    with pytest.raises(stripe.APIConnectionError):
        await world.pay(invoice, card, key="k")
    assert (await world.api.v1.invoices.retrieve_async(invoice)).status == "paid"
    assert (await world.pay(invoice, card, key="k")).status == "paid"
    assert world.last is not None
    assert world.last.headers["idempotent-replayed"] == "true"
    intent = await world.intent_of(invoice)
    assert len((await world.api.v1.charges.list_async({"payment_intent": intent.id})).data) == 1


@pytest.mark.parametrize(("when", "status"), [("before", "open"), ("after", "paid")])
async def test_an_ordered_500_is_saved_and_replayed(world: World, when: str, status: str) -> None:
    invoice, card = await due(world)
    await world.control("POST", "faults", {"kind": "error", "status": 500, "operation": PAY, "when": when})
    for replayed in (False, True):
        with pytest.raises(stripe.APIError) as failed:
            await world.pay(invoice, card, key="k")
        assert failed.value.http_status == 500
        assert ("idempotent-replayed" in (failed.value.headers or {})) == replayed
    assert (await world.api.v1.invoices.retrieve_async(invoice)).status == status


async def test_a_429_is_not_saved_and_faults_end_after_their_times(world: World) -> None:
    invoice, card = await due(world)
    await world.control("POST", "faults", {"kind": "error", "status": 429, "operation": PAY, "times": 2})
    for _ in range(2):
        with pytest.raises(stripe.RateLimitError):
            await world.pay(invoice, card, key="k")
    assert (await world.pay(invoice, card, key="k")).status == "paid"


async def test_orders_that_make_no_sense_are_refused(world: World) -> None:
    url = f"{world.server.url}/_sandbox/faults"
    for order in (b'{"kind":"explode"}', b'{"kind":"drop","times":0}', b'{"kind":"drop","colour":1}', b"not json"):
        assert (await world.http.post(url, content=order)).status_code == 400
    assert (await world.control("GET", "faults"))["faults"] == []


async def test_deliveries_are_signed_and_render_the_endpoints_version(world: World) -> None:
    endpoint = await world.listen("customer.created", version="2026-10-28.endive")
    assert "secret" not in await world.api.v1.webhook_endpoints.retrieve_async(endpoint.id)
    await world.customer()
    await world.drained()
    assert [event.api_version for event in world.receiver.events] == ["2026-10-28.endive"]
    listed = await world.api.v1.events.list_async({"delivery_success": True})
    assert [event.id for event in listed.data] == [world.receiver.events[0].id]
    assert world.receiver.events[0].pending_webhooks == 1
    assert listed.data[0].pending_webhooks == 0


async def test_a_failed_delivery_is_tried_again_and_signed_anew(world: World) -> None:
    await world.listen("customer.created")
    # Pauses of 0.2, 0.4 and 0.8 s: the last try is in another second than the first.
    world.receiver.answers = [500, 302, 400, 200]
    await world.customer()
    await world.drained()
    assert (world.receiver.refused, len(world.receiver.events)) == (3, 1)
    assert len(set(world.receiver.signatures)) >= 2


def test_pauses_double_to_thirty_seconds() -> None:
    # 0.2 s doubled seven times is 25.6 s; the next would be 51.2 s.
    assert [pause_s(tries, 200) for tries in (1, 2, 3, 8, 9, 19)] == [0.2, 0.4, 0.8, 25.6, 30.0, 30.0]


async def test_a_delivery_is_given_up_after_twenty_tries(world: World) -> None:
    await world.listen("customer.created")
    await world.control("POST", "deliveries", {"first_pause_ms": 0})
    world.receiver.answers = [500] * 20
    await world.customer()
    await world.drained()
    assert (world.receiver.refused, world.receiver.events) == (20, [])
    assert len((await world.api.v1.events.list_async({"delivery_success": False})).data) == 1


async def test_deliveries_are_held_duplicated_and_reordered_on_request(world: World) -> None:
    await world.listen("customer.created")
    await world.control("POST", "deliveries", {"hold": True, "duplicate": True, "reorder": True})
    made = [await world.customer() for _ in range(2)]
    assert await world.control("GET", "deliveries/pending") == {"pending": 4}
    assert world.receiver.events == []
    await asyncio.sleep(0.15)
    await world.control("POST", "deliveries", {"hold": False})
    await world.drained()
    ids: list[Any] = [event.data.object.id for event in world.receiver.events]
    assert ids == [made[1], made[1], made[0], made[0]]


async def test_a_delayed_delivery_comes_later(world: World) -> None:
    await world.listen("customer.created")
    await world.control("POST", "deliveries", {"delay_ms": 60_000})
    await world.customer()
    assert await world.control("GET", "deliveries/pending") == {"pending": 1}
    assert world.receiver.events == []


async def test_only_loopback_endpoints_are_taken_and_disabled_ones_get_nothing(world: World) -> None:
    for url in ("http://example.com/", "ftp://127.0.0.1/", "http://127.0.0.1.example.com/", "nonsense"):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await world.api.v1.webhook_endpoints.create_async({"url": url, "enabled_events": ["*"]})
        assert refused.value.code == "url_invalid"
    endpoint = await world.listen("customer.created")
    await world.api.v1.webhook_endpoints.update_async(endpoint.id, {"disabled": True})
    await world.customer()
    await world.drained()
    assert world.receiver.events == []
    await world.api.v1.webhook_endpoints.delete_async(endpoint.id)
    assert (await world.api.v1.webhook_endpoints.list_async()).data == []


async def test_everything_survives_a_restart(lasting: World) -> None:
    await lasting.listen("customer.created", "invoice.paid")
    invoice, account = await due(lasting)
    await lasting.drained()
    await lasting.control("POST", "deliveries", {"hold": True})
    await lasting.pay(invoice, account, key="k")
    await lasting.restart()
    assert await lasting.control("GET", "deliveries/pending") == {"pending": 1}
    assert (await lasting.pay(invoice, account, key="k")).status == "paid"
    assert lasting.last is not None
    assert lasting.last.headers["idempotent-replayed"] == "true"
    await lasting.control("POST", "deliveries", {"hold": False})
    await lasting.drained()
    assert lasting.receiver.types() == ["customer.created", "invoice.paid"]


async def test_a_debit_on_its_way_settles_after_a_restart(lasting: World) -> None:
    await lasting.control("POST", "ach", {"settle_after_s": 1})
    ada = await lasting.customer()
    invoice = await lasting.opened(ada, 1000)
    await lasting.pay(invoice, await lasting.method(ada, "pm_usBankAccount_success"))
    await lasting.restart()

    async def paid() -> bool:
        return (await lasting.api.v1.invoices.retrieve_async(invoice)).status == "paid"

    await lasting.until(paid)


async def test_a_crash_in_the_middle_of_acting_leaves_nothing(lasting: World) -> None:
    ada = await lasting.customer()
    blocker = sqlite3.connect(lasting.server.data / "sandbox.sqlite3", isolation_level=None)
    blocker.execute(
        "CREATE TRIGGER broken BEFORE INSERT ON document WHEN NEW.kind = 'event' BEGIN SELECT RAISE(ABORT, 'x'); END"
    )
    failed = await lasting.post("/v1/invoices", f"customer={ada}", Idempotency_Key="k")
    blocker.execute("DROP TRIGGER broken")
    blocker.close()
    assert (failed.status_code, failed.json()["error"]["type"]) == (500, "api_error")
    assert (await lasting.api.v1.invoices.list_async()).data == []
    again = await lasting.post("/v1/invoices", f"customer={ada}", Idempotency_Key="k")
    assert (again.status_code, again.headers["idempotent-replayed"]) == (500, "true")


async def test_the_command_serves_on_loopback_and_survives_kill(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "sandbox", "--port", str(port), "--data", str(tmp_path), "--api-key", KEY]
    url = f"http://127.0.0.1:{port}"
    customers = []
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}, trust_env=False, verify=False) as http:  # noqa: S501 -- loopback without TLS.
        for _ in range(2):
            process = subprocess.Popen(command)  # noqa: ASYNC220, S603 -- our own program with our own arguments.
            await until(lambda: _is_healthy(http, url), "the health of the sandbox")
            await http.post(f"{url}/v1/customers")
            customers.append(len((await http.get(f"{url}/v1/customers")).json()["data"]))
            process.kill()
            process.wait()
    assert customers == [1, 2]


async def _is_healthy(http: httpx.AsyncClient, url: str) -> bool:
    try:
        answer = await http.get(f"{url}/_sandbox/health")
    except httpx.ConnectError:
        return False
    assert answer.json() == {"status": "ok", "api_version": "2026-10-28.endive"}
    return True


def test_wrong_arguments_are_explained(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for wrong in (["--port", "0"], ["--port", "70000"], ["--port", "1", "--api-key", "sk_live_1"]):
        with pytest.raises(SystemExit):
            main([*wrong, "--data", str(tmp_path)])
    with listen(0) as taken:
        taken.listen()
        assert main(["--port", str(taken.getsockname()[1]), "--data", str(tmp_path)]) == 1
    assert "is taken" in capsys.readouterr().err


async def test_reset_empties_everything(world: World, server: Server) -> None:
    await world.customer()
    await world.control("POST", "reset")
    assert (await world.api.v1.customers.list_async()).data == []
    with sqlite3.connect(server.data / "sandbox.sqlite3") as reader:
        assert reader.execute("SELECT count(*) FROM document").fetchone() == (0,)
    reader.close()
