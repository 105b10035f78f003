"""`tollgate reconcile` against a sandbox: it heals what is lost news, and says where a person is needed."""

import base64
import dataclasses

import pytest

from api.reconciling.run import SHOWN_MAX, Report, reconcile, report
from domain.adapters.stripe import StripeGateway, StripeKeyMalformed
from domain.config import Settings
from domain.db import Database
from domain.kernel.call import Environment
from domain.payments.reconciling import store
from domain.payments.reconciling.finding import Difference, Found
from domain.payments.reconciling.run import begin
from tests import make
from tests.domain.payments.gateways import API_KEY, SandboxProbe, sandbox, sandbox_url, stripe_gateway
from tests.domain.payments.till import NO_FUNDS, open_till

__all__ = ["sandbox", "sandbox_url", "stripe_gateway"]


def _settings(database_url: str, api_base: str) -> Settings:
    return Settings(
        database_url=database_url,
        master_key=base64.b64encode(b"\x01" * 32).decode(),
        stripe_secret_key=API_KEY,
        stripe_api_base=api_base,
    )


async def test_it_tells_what_it_compares_and_what_needs_a_person(
    db: Database, database_url: str, stripe_gateway: StripeGateway, sandbox: SandboxProbe
) -> None:
    till = await open_till(db)
    await till.attach(stripe_gateway, NO_FUNDS)
    await till.collect(stripe_gateway)
    copy = await till.gateway_invoice_id()
    told: list[str] = []
    settings = _settings(database_url, str(sandbox.http.base_url))
    good = await reconcile(settings, tell=told.append)
    assert told == [
        "comparing: customers",
        "comparing: methods",
        "comparing: invoices there",
        "comparing: invoices here",
        "comparing: payments",
        "comparing: refunds",
        "comparing: refunds here",
        "comparing: disputes there",
        "comparing: disputes here",
        "comparing: report",
    ]
    # The methods of the customer, and the invoice that is open; what the sandbox has made just now is left out.
    assert list(report(good)) == ["2 compared, 0 healed, 0 need a person"]
    await sandbox.ask("POST", f"/v1/invoices/{copy}/void")
    bad = await reconcile(settings, tell=told.append)
    [finding] = bad.waiting
    since = f"{finding.first_seen_at:%Y-%m-%d}"
    assert list(report(bad)) == [
        "2 compared, 0 healed, 1 need a person",
        f"  person  invoice_state  {copy}  ours: open  theirs: void  since {since}",
    ]
    [shown] = bad.as_json()["needs_person"]
    assert (shown["kind"], shown["about"], bad.as_json()["healed"]) == ("invoice_state", copy, [])
    assert await till.state() == "open"


async def test_a_key_that_is_none_is_refused_before_anything_is_begun(db: Database, database_url: str) -> None:
    del db
    settings = dataclasses.replace(_settings(database_url, ""), stripe_secret_key="")
    with pytest.raises(StripeKeyMalformed):
        await reconcile(settings, tell=lambda _: None)


async def test_what_waits_in_the_other_environment_hides_nothing_of_this_one(
    db: Database, database_url: str, stripe_gateway: StripeGateway, sandbox: SandboxProbe
) -> None:
    till = await open_till(db)
    await till.attach(stripe_gateway, NO_FUNDS)
    await till.collect(stripe_gateway)
    copy = await till.gateway_invoice_id()
    await sandbox.ask("POST", f"/v1/invoices/{copy}/void")
    settings = _settings(database_url, str(sandbox.http.base_url))
    first = await reconcile(settings, tell=lambda _: None)
    live = dataclasses.replace(first.run, environment=Environment.LIVE)
    async with db.transaction() as tx:
        for number in range(SHOWN_MAX):
            found = Found(Difference.CUSTOMER_MISSING, f"cus_{number}", f"cus_{number}", "none")
            await store.upsert_finding(tx, live, found, new_id=make.new_id(), at=live.started_at)
    again = await reconcile(settings, tell=lambda _: None)
    assert ([each.about for each in again.waiting], again.waiting_count) == ([copy], 1)


def test_a_report_says_how_many_there_are_of_which_it_shows_some() -> None:
    run = begin(make.new_id(), Environment.TEST, make.at("2026-03-01"), last=None, trigger="command")
    lines = list(report(Report(run, (), (), healed_count=0, waiting_count=2_000)))
    assert lines == [
        "0 compared, 0 healed, 2,000 need a person",
        "  the newest 100 of each; all of them: driftFindings",
    ]
