"""Everything in the tour by GraphQL alone: from a clock to a paid invoice and the books behind it."""

from api.graphql.ids import clock_id
from tests.api.graphql.site import Site

_CLOCK = "... on TestClockCreated { clock { id } }"
_CUSTOMER = "... on CustomerCreated { customer { id } }"
_METHOD = "... on PaymentMethodAttached { method { id brand last4 isDefault } }"
_STARTED = "... on SubscriptionStarted { subscription { id status plan { key version { number } } } }"
_CANCELLED = "... on SubscriptionCancelled { subscription { id status cancelAt endedAt cancelReason } }"
_ADVANCING = "... on TestClockAdvancing { clock { state targetAt } }"
_RECORDED = "... on UsageRecorded { counted duplicate results { id status reason message } }"


async def start(site: Site, *, plan: str = "pro", number: int = 1) -> tuple[str, str, str]:
    """Make a clock, a customer on it with a card, and a subscription, as the first chapter of the tour does."""
    staff = site.staff()
    made = await site.change("createTestClock", _CLOCK, staff, name="tour", nowAt="2026-01-31T00:00:00Z")
    clock = made["clock"]["id"]
    who = {"environment": "TEST", "name": f"Ada {number}", "email": f"ada{number}@example.com", "clockId": clock}
    customer = (await site.change("createCustomer", _CUSTOMER, staff, **who))["customer"]["id"]
    card = {"customerId": customer, "gatewayMethodId": "pm_card_visa", "idempotencyKey": "card"}
    attached = await site.change("attachPaymentMethod", _METHOD, staff, **card)
    assert attached["method"]["isDefault"] is True
    wish = {"customerId": customer, "product": "llm", "plan": plan, "interval": "MONTH", "idempotencyKey": "start"}
    started = await site.change("subscribe", _STARTED, staff, **wish)
    assert started["subscription"]["status"] == "ACTIVE"
    await _carry_out(site, clock)
    return clock, customer, started["subscription"]["id"]


async def _carry_out(site: Site, clock: str) -> None:
    """Let the workers do what is staged; they are no part of the API."""
    site.world.clock_id = site.world.clock_id or clock_id(clock)
    await site.world.drain()


async def advance(site: Site, clock: str, to: str) -> None:
    """Send the clock on its way through the API, and drive it as the worker does."""
    answer = await site.change("advanceTestClock", _ADVANCING, site.staff(), clockId=clock, to=f"{to}T00:00:00Z")
    assert answer["clock"]["state"] == "ADVANCING"
    await site.world.advance(to=to)
    found = await site.read("query($id: ID!) { testClock(id: $id) { state nowAt } }", site.staff(), id=clock)
    assert found["testClock"] == {"state": "READY", "nowAt": f"{to}T00:00:00Z"}


async def test_the_tour_from_a_clock_to_a_paid_invoice(site: Site) -> None:
    staff = site.staff()
    clock, customer, subscription = await start(site)
    made = await site.change(
        "createApiKey",
        "... on ApiKeyCreated { secret key { id prefix scopes } }",
        staff,
        name="gateway",
        environment="TEST",
        scopes=["usage:write"],
        product="llm",
    )
    event = {
        "id": "e1",
        "type": "llm.call",
        "customerId": customer,
        "occurredAt": "2026-01-31T00:01:00Z",
        "properties": {"provider": "gemini", "model": "gemini-2.5-pro", "input_tokens": 800_000, "output_tokens": 10},
    }
    recorded = await site.change("recordUsage", _RECORDED, made["secret"], events=[event])
    assert (recorded["counted"], recorded["duplicate"]) == (1, 0)
    recorded = await site.change("recordUsage", _RECORDED, made["secret"], events=[event])
    assert (recorded["counted"], recorded["duplicate"]) == (0, 1)

    await _check_usage(site, customer, subscription)
    await advance(site, clock, "2026-02-28")
    await _check_invoices(site, customer)
    await _check_books(site, customer)

    ended = await site.change(
        "cancelSubscription",
        _CANCELLED,
        staff,
        subscriptionId=subscription,
        reason="UNUSED",
        feedback="thanks",
        idempotencyKey="end",
    )
    assert ended["subscription"]["cancelAt"] == "2026-03-31T00:00:00Z"
    kept = await site.change(
        "undoCancelSubscription",
        "... on SubscriptionKept { subscription { cancelAt } }",
        staff,
        subscriptionId=subscription,
    )
    assert kept["subscription"]["cancelAt"] is None
    revoked = await site.change(
        "revokeApiKey", "... on ApiKeyRevoked { key { revokedAt } }", staff, id=made["key"]["id"]
    )
    assert revoked["key"]["revokedAt"] is not None


async def _check_usage(site: Site, customer: str, subscription: str) -> None:
    """Read what was used, what it costs, and where the limits are."""
    usage = (
        await site.read(
            """query($id: ID!) { usage(customerId: $id) { version subscriptions { subscriptionId product plan
            cost { amount currency } meters { key quantity events meter { unit } }
            limits { key used limit state } } } }""",
            site.staff(),
            id=customer,
        )
    )["usage"]
    [used] = usage["subscriptions"]
    # 800,000 input tokens at 1.25 and 10 output tokens at 10.00 per million: 1.00 + 0.0001 USD.
    assert used["cost"] == {"amount": "1.0001", "currency": "USD"}
    assert {each["key"]: each["quantity"] for each in used["meters"]}["input_tokens"] == "800000"
    assert (used["subscriptionId"], used["plan"], used["product"]) == (subscription, "pro", "llm")
    assert {each["state"] for each in used["limits"]} == {"OK"}


async def _check_invoices(site: Site, customer: str) -> None:
    """Read the invoices with everything that explains them, as the customer's own viewer may."""
    data = await site.read(
        """query($id: ID!) { customer(id: $id) { invoices(first: 10) { nodes {
            number state total { amount currency } amountDue { amount } amountPaid { amount }
            lines { kind description quantity unit amount { amount } derivation }
            attempts { number state amount { amount } methodId advice }
        } } billingEvents(first: 50) { nodes { type amount { amount } description } } paymentMethods { last4 } } }""",
        site.staff("viewer"),
        id=customer,
    )
    usage, fee = data["customer"]["invoices"]["nodes"]
    assert (fee["number"], fee["state"]) == ("TEST-2026-000001", "PAID")
    assert fee["total"] == {"amount": "79.00", "currency": "USD"}
    # The second invoice: the next fee of 79.00 and 1.0001 of usage, rounded once to 1.00.
    assert (usage["total"]["amount"], usage["amountPaid"]["amount"], usage["amountDue"]["amount"]) == (
        "80.00",
        "80.00",
        "0.00",
    )
    [line] = [each for each in usage["lines"] if each["kind"] == "USAGE"]
    assert line["amount"]["amount"] == "1.00"
    assert line["derivation"]["counted"]["input_tokens"] == "800000"
    [attempt] = usage["attempts"]
    assert (attempt["state"], attempt["amount"]["amount"], attempt["advice"]) == ("SUCCEEDED", "80.00", None)
    events = [each["type"] for each in data["customer"]["billingEvents"]["nodes"]]
    assert {"subscription_started", "invoice_opened", "invoice_paid", "payment_method_attached"} <= set(events)


async def _check_books(site: Site, customer: str) -> None:
    """Read audit, quarantine, failed jobs and the ledger, as staff may."""
    data = await site.read(
        """query($id: ID!) {
            auditEntries(customerId: $id, first: 100) { nodes { action principalKind customerId facts } }
            quarantinedEvents { nodes { id } }
            failedJobs { id }
            usageEvents(customerId: $id) { nodes { eventId cost { amount } properties } }
            ledgerBalances(environment: TEST, customerId: $id) { account balance { amount currency } }
            ledgerEntries(environment: TEST, customerId: $id) { nodes { reason lines { account amount { amount } } } }
            providerPrices(provider: "gemini", at: "2026-01-31T00:00:00Z", first: 1) { nodes { amount per } }
            products { key plans { key version { prices { kind model interval definition } } } }
        }""",
        site.staff(),
        id=customer,
    )
    assert {each["customerId"] for each in data["auditEntries"]["nodes"]} == {customer}
    # 79.00 and 80.00 were invoiced and paid: nothing is owed, 159.00 earned and in cash.
    assert {each["account"]: each["balance"]["amount"] for each in data["ledgerBalances"]} == {
        "CASH": "159.00",
        "RECEIVABLE": "0.00",
        "REVENUE": "-159.00",
    }
    assert len(data["ledgerEntries"]["nodes"]) == 4
    [event] = data["usageEvents"]["nodes"]
    assert (event["eventId"], event["cost"]["amount"]) == ("e1", "1.0001")
    assert event["properties"]["input_tokens"] == "800000"
    assert (data["quarantinedEvents"]["nodes"], data["failedJobs"]) == ([], [])


async def test_an_immediate_end_bills_the_usage_at_once(site: Site) -> None:
    _, _, subscription = await start(site, plan="basic")
    ended = await site.change(
        "cancelSubscription",
        _CANCELLED,
        site.staff(),
        subscriptionId=subscription,
        atPeriodEnd=False,
        idempotencyKey="end",
    )
    assert (ended["subscription"]["status"], ended["subscription"]["endedAt"]) == ("CANCELED", "2026-01-31T00:00:00Z")


async def test_the_jobs_that_wait_are_counted_by_whom_they_wait_for(site: Site) -> None:
    await start(site)
    async with site.runtime.db.transaction() as tx:
        driver = await tx.raw()
        await driver.execute("DELETE FROM outbox_job WHERE state = 'pending'")
        await driver.execute(
            """UPDATE outbox_job SET state = 'pending', clock_id = NULL, run_at = '2026-01-31T00:00Z', attempts = 3,
            last_error = 'gateway_unavailable' WHERE kind = 'collect_invoice'"""
        )
    text = "{ jobBacklog { waitsFor waiting retried oldestAt error } }"
    found = (await site.read(text, site.staff("finance")))["jobBacklog"]
    nobody, gateway, mail = (dict(each) for each in found)
    at = "2026-01-31T00:00:00Z"
    assert gateway == {
        "waitsFor": "GATEWAY",
        "waiting": 1,
        "retried": 1,
        "oldestAt": at,
        "error": "gateway_unavailable",
    }
    nothing = {"waiting": 0, "retried": 0, "oldestAt": None, "error": None}
    assert (nobody, mail) == ({"waitsFor": "NOBODY", **nothing}, {"waitsFor": "MAIL", **nothing})


async def test_a_failed_job_is_seen_and_offered_again(site: Site) -> None:
    await start(site)
    async with site.runtime.db.transaction() as tx:
        driver = await tx.raw()
        await driver.execute("UPDATE outbox_job SET state = 'failed', last_error = 'gateway_refused', attempts = 12")
    found = (await site.read("{ failedJobs { id kind payload attempts error } }", site.staff("finance")))["failedJobs"]
    assert {(each["attempts"], each["error"]) for each in found} == {(12, "gateway_refused")}
    offered = await site.change("retryJob", "... on JobOffered { id }", site.staff(), id=found[0]["id"])
    assert offered["id"] == found[0]["id"]
    again = await site.change("retryJob", "... on JobOffered { id }", site.staff(), id=found[0]["id"])
    assert (again["__typename"], again["code"]) == ("NotFound", "job_not_failed")
    # The invoice and the payment were mailed: one of the two mails is offered by now.
    rest = await site.change("retryJobs", "... on JobsOffered { count }", site.staff(), kind="send_notice")
    assert (found[0]["kind"], rest["count"]) == ("send_notice", 1)
    unknown = await site.change("retryJobs", "... on JobsOffered { count }", site.staff(), kind="wash_dishes")
    assert (unknown["__typename"], unknown["code"]) == ("InvalidInput", "job_kind_unknown")
