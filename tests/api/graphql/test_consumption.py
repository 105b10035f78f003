"""Dashboard, trends, hints and performance by GraphQL."""

from typing import Any

from domain.customers.customer import Customer
from domain.kernel.ids import encode
from tests import make
from tests.api.graphql.site import Site
from tests.world import World, llm_call

_FIGURE = "calls tokens cost { amount currency }"
_DASHBOARD = f"""query($id: ID!) {{ dashboard(customerId: $id) {{
    status planName period {{ start end }} total {{ {_FIGURE} }}
    providers {{ provider {_FIGURE} callsPercent costPercent costPerCall costPer1000Tokens }}
    limits {{ key limit used percent }} projectedCost {{ quantity percent reachesLimitAt }}
    projections {{ key quantity percent }} notices {{ key title message severity threshold }} }}
    usageHints(customerId: $id) {{ kind title message saving numbers }} }}"""
_TRENDS = f"""query($id: ID!, $by: TrendGrain!, $months: Int!) {{
    usageTrends(customerId: $id, by: $by, months: $months) {{
        day period {{ start end }} total {{ {_FIGURE} }} providers {{ provider calls }} }} }}"""
_PERFORMANCE = """query($id: ID!, $hours: Int!, $p95: Decimal!) {
    providerPerformance(customerId: $id, hours: $hours, targetP95Ms: $p95) {
        targetP95Ms targetErrorPercent
        providers { provider calls succeeded failed errorPercent measured p50Ms p95Ms p99Ms withinTargetPercent
            targetMet } } }"""


async def _ten_days(site: Site) -> tuple[World, Customer, str]:
    """Make a customer of Pro in Berlin, ten days into April, with one dear call and one that failed."""
    world = World(site.runtime)
    ada = await world.customer(on="2026-03-31T22:00", zone="Europe/Berlin")
    await world.subscribe(ada, "pro")
    await world.advance(to="2026-04-10T22:00")
    at = make.at("2026-04-10T21:00")
    # 100 million input tokens at 1.25 are 125 USD, and a search is 0.003.
    call = llm_call(ada, at, input_tokens=100_000_000, latency_ms=800, status="ok", endpoint="generateContent")
    search = llm_call(ada, at, provider="exa", model="search", latency_ms=90, status="error")
    assert {each.status for each in await world.use("llm", call, search)} == {"counted"}
    await world.close()
    return world, ada, encode("customer", ada.id)


async def test_a_viewer_reads_the_dashboard_and_the_hints_of_its_own_customer(shared: Site) -> None:
    _, ada, name = await _ten_days(shared)
    answer = await shared.read(_DASHBOARD, shared.member(ada.id, "viewer"), id=name)
    found: dict[str, Any] = answer["dashboard"]
    assert (found["status"], found["planName"]) == ("LIMIT_REACHED", "Pro")
    assert found["period"] == {"start": "2026-03-31T22:00:00Z", "end": "2026-04-30T22:00:00Z"}
    assert found["total"] == {"calls": 2, "tokens": "100000000", "cost": {"amount": "125.003", "currency": "USD"}}
    assert [each["provider"] for each in found["providers"]] == ["gemini", "exa"]
    assert found["providers"][1] == {
        "provider": "exa",
        "calls": 1,
        "tokens": "0",
        "cost": {"amount": "0.003", "currency": "USD"},
        "callsPercent": "50",
        # 0.003 of 125.003.
        "costPercent": "0.002399",
        "costPerCall": "0.003",
        "costPer1000Tokens": None,
    }
    limits = {each["key"]: each for each in found["limits"]}
    # 125.003 of 150; and 100 of 25 million tokens.
    assert limits["monthly_cost"] == {"key": "monthly_cost", "limit": "150", "used": "125.003", "percent": "83.335333"}
    assert limits["tokens"]["percent"] == "400"
    # Three times as much: 375.009, half-up 375.01. The cap is reached after 150 / 125.003 x 10 = 11.99971 days.
    assert found["projectedCost"]["quantity"] == "375.01"
    assert found["projectedCost"]["percent"] == "250.01"
    assert found["projectedCost"]["reachesLimitAt"].startswith("2026-04-12T21:59:")
    assert [(each["key"], each["severity"], each["threshold"]) for each in found["notices"]] == [
        ("tokens", "CRITICAL", 100),
        ("monthly_cost", "WARNING", 80),
        ("exa_calls", "INFO", None),
        ("gemini_calls", "INFO", None),
    ]
    # The day on which it resets is Berlin's 1 May.
    assert found["notices"][1]["message"] == "125.003 of 150 USD used (83.3 %). Counting starts anew on 2026-05-01."
    hints = {each["kind"]: each for each in answer["usageHints"]}
    # 300 million tokens and 375 USD: only Enterprise has no limit on tokens.
    assert hints["LARGER_PLAN"]["numbers"]["fitting_plan"] == "enterprise"
    # 100 million at 0.075 are 7.50.
    assert hints["CHEAPER_MODEL"]["saving"] == "117.5"


async def test_trends_and_performance_keep_to_their_bounds(shared: Site) -> None:
    _, ada, name = await _ten_days(shared)
    token = shared.member(ada.id, "viewer")
    found = (await shared.read(_TRENDS, token, id=name, by="MONTH", months=2))["usageTrends"]
    assert [(each["day"], each["total"]["calls"]) for each in found] == [("2026-03-01", 0), ("2026-04-01", 2)]
    assert found[1]["period"] == {"start": "2026-03-31T22:00:00Z", "end": "2026-04-30T22:00:00Z"}
    days = (await shared.read(_TRENDS, token, id=name, by="DAY", months=1))["usageTrends"]
    # 21:00 UTC is 23:00 in Berlin.
    assert [(each["day"], len(each["providers"])) for each in days][-2:] == [("2026-04-10", 2), ("2026-04-11", 0)]
    for months in (0, 25, -5):
        refused = await shared.run(_TRENDS, token, id=name, by="MONTH", months=months)
        assert refused["errors"][0]["extensions"]["code"] == "span_refused"
    report = (await shared.read(_PERFORMANCE, token, id=name, hours=24, p95="800"))["providerPerformance"]
    assert (report["targetP95Ms"], report["targetErrorPercent"]) == ("800", "1")
    assert report["providers"] == [
        {
            "provider": "exa",
            "calls": 1,
            "succeeded": 0,
            "failed": 1,
            "errorPercent": "100",
            "measured": 1,
            "p50Ms": "90",
            "p95Ms": "90",
            "p99Ms": "90",
            "withinTargetPercent": "100",
            "targetMet": False,
        },
        {
            "provider": "gemini",
            "calls": 1,
            "succeeded": 1,
            "failed": 0,
            "errorPercent": "0",
            "measured": 1,
            "p50Ms": "800",
            "p95Ms": "800",
            "p99Ms": "800",
            "withinTargetPercent": "100",
            "targetMet": True,
        },
    ]
    for hours, p95, code in ((0, "1", "window_refused"), (24, "0", "target_refused")):
        refused = await shared.run(_PERFORMANCE, token, id=name, hours=hours, p95=p95)
        assert refused["errors"][0]["extensions"]["code"] == code


async def test_one_query_reads_a_bounded_number_of_trends_and_reports(shared: Site) -> None:
    world = World(shared.runtime)
    ada = await world.customer(on="2026-04-01")
    many = " ".join(f"a{n}: usageTrends(customerId: $id, by: DAY, months: 24) {{ day }}" for n in range(14))
    refused = await shared.run(f"query($id: ID!) {{ {many} }}", shared.member(ada.id), id=encode("customer", ada.id))
    # 14 x 24 x 31 = 10,416 are more than 10,000.
    assert {each["extensions"]["code"] for each in refused["errors"]} == {"query_too_large"}


async def test_what_another_customer_uses_is_null(shared: Site) -> None:
    _, _, name = await _ten_days(shared)
    bob = await World(shared.runtime).customer(on="2026-04-01")
    token = shared.member(bob.id)
    assert await shared.read(_DASHBOARD, token, id=name) == {"dashboard": None, "usageHints": None}
    assert await shared.read(_TRENDS, token, id=name, by="MONTH", months=1) == {"usageTrends": None}
    assert await shared.read(_PERFORMANCE, token, id=name, hours=1, p95="1") == {"providerPerformance": None}
    # One's own without a subscription is null too.
    assert (await shared.read(_DASHBOARD, token, id=encode("customer", bob.id)))["dashboard"] is None
