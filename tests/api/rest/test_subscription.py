"""The reading routes of the LLM product: shapes and figures as the requirements state them, and who may read them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from typing import Any

import msgspec
import pytest

from api.local.throwaway import TemporaryServers
from domain.customers.customer import Customer
from domain.kernel.ids import encode
from tests import make
from tests.api.graphql.site import Site, open_site
from tests.databases import fresh_database
from tests.world import llm_call

_exact = msgspec.json.Decoder(float_hook=Decimal)
EXAMPLES = _exact.decode(resources.files("api.rest").joinpath("examples.json").read_bytes())


@dataclass(frozen=True)
class Month:
    """Ada and Kay, on the plan Pro, ten days into April; Eve, on Free; and Bob, who has bought nothing."""

    site: Site
    ada: Customer
    bob: Customer
    eve: Customer
    kay: Customer

    async def ask(self, path: str, token: str | None = None, **parameters: str) -> tuple[int, Any]:
        """Read a document about Ada, as Ada unless told, with its numbers as they were written."""
        given = {"Authorization": f"Bearer {token or self.site.member(self.ada.id)}"} if token != "" else {}
        where = path.format(ada=encode("customer", self.ada.id), bob=encode("customer", self.bob.id))
        answer = await self.site.client.get(f"/api/subscription/{where}", params=parameters, headers=given)
        return answer.status_code, _exact.decode(answer.content)


@pytest.fixture(scope="module")
async def month(servers: TemporaryServers, seeded: str) -> AsyncIterator[Month]:
    """Use 15.75 USD in ten days.

    800 calls of 10,000 input tokens at 1.25 a million are 10.00; 250 searches at 0.001 are 0.25; 750 pages at 0.002 are
    1.50; 100 images at 0.04 are 4.00.
    """
    async with fresh_database(servers, "month", seeded) as database, open_site(database) as site:
        ada, bob, eve, kay = [await site.world.customer(on="2026-04-01") for _ in range(4)]
        for customer, plan in ((ada, "pro"), (eve, "free"), (kay, "pro")):
            await site.world.subscribe(customer, plan)
        await site.world.advance(to="2026-04-11")
        at = make.at("2026-04-10T12:00")
        calls = [llm_call(ada, at, input_tokens=10_000) for _ in range(800)]
        searches = [llm_call(ada, at, provider="tavily", model="search") for _ in range(250)]
        pages = llm_call(ada, at, provider="firecrawl", model="extract", pages=750)
        images = llm_call(ada, at, provider="stability", model="image", images=100)
        for batch in (calls, [*searches, pages, images]):
            assert {verdict.status for verdict in await site.world.use("llm", *batch)} == {"counted"}
        yield Month(site, ada, bob, eve, kay)
        await site.world.close()


async def test_the_dashboard_has_the_shape_and_the_figures_of_the_requirements(month: Month) -> None:
    status, found = await month.ask("dashboard/{ada}")
    assert status == 200
    assert found["current_usage"] == {
        "total_calls": 1052,
        "total_cost": Decimal("15.75"),
        "usage_status": "active",
        "provider_breakdown": {
            "gemini": {"calls": 800, "cost": 10, "tokens": 8_000_000},
            "stability": {"calls": 1, "cost": 4, "tokens": 0},
            "firecrawl": {"calls": 1, "cost": Decimal("1.5"), "tokens": 0},
            "tavily": {"calls": 250, "cost": Decimal("0.25"), "tokens": 0},
        },
    }
    assert (found["limits"]["plan_name"], len(found["limits"]["limits"])) == ("Pro", 11)
    assert (found["limits"]["limits"]["gemini_calls"], found["limits"]["limits"]["monthly_cost"]) == (5000, 150)
    # 800 of 5,000 and 15.75 of 150, printed from exact decimals.
    assert str(found["usage_percentages"]["gemini_calls"]) == "16.0"
    assert str(found["usage_percentages"]["cost"]) == "10.5"
    # 15.75 in 10 of 30 days are 47.25 in all of them, of 150 that is 31.5 %.
    assert found["projections"] == {
        "projected_monthly_cost": Decimal("47.25"),
        "projected_usage_percentage": Decimal("31.5"),
    }
    assert found["alerts"][1] == {
        "title": "Usage notice: Calls to Gemini a month",
        "message": "800 of 5,000 used (16.0 %). Counting starts anew on 2026-05-01.",
        "severity": "info",
    }
    assert found == EXAMPLES["dashboard"]


def shape(value: Any) -> Any:
    """Give the names in a document; of a list, those of its first entry."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items() if name not in {"numbers", "provider_breakdown"}}
    return [shape(each) for each in value[:1]] if isinstance(value, list) else None


@pytest.mark.parametrize(
    ("path", "example"),
    [
        ("plans", "plans"),
        ("pricing", "pricing"),
        ("usage/{ada}", "usage"),
        ("usage/{ada}/trends", "trends"),
        ("dashboard/{ada}", "dashboard"),
        ("alerts/{ada}", "alerts"),
    ],
)
async def test_what_is_answered_looks_like_the_example(month: Month, path: str, example: str) -> None:
    _, found = await month.ask(path)
    assert shape(found) == shape(EXAMPLES[example])


async def test_usage_compares_providers_and_projects_every_limit(month: Month) -> None:
    status, found = await month.ask("usage/{ada}")
    assert (status, found["usage_status"], found["total_cost"]) == (200, "active", Decimal("15.75"))
    assert found["period"] == {"start": "2026-04-01T00:00:00Z", "end": "2026-05-01T00:00:00Z"}
    # 800 of 1,052 calls; all tokens; 10 of 15.75; 10 over 800; 10 over 8,000 thousand.
    assert found["provider_comparison"][0] == {
        "provider": "gemini",
        "calls_percent": Decimal("76.045627"),
        "tokens_percent": Decimal("100.0"),
        "cost_percent": Decimal("63.492063"),
        "cost_per_call": Decimal("0.0125"),
        "cost_per_1000_tokens": Decimal("0.00125"),
    }
    projected = {each["key"]: each for each in found["projections"]}
    # Three times as much by the end of the month: 2,400 of 5,000.
    assert projected["gemini_calls"] == {
        "key": "gemini_calls",
        "projected": 2400,
        "projected_percent": Decimal("48.0"),
        "reaches_limit_at": None,
    }
    [hint] = found["hints"]
    # 8 million at 0.075 a million are 0.60 instead of 10.00.
    assert (hint["kind"], hint["numbers"]["cheaper_model"]) == ("cheaper_model", "gemini-2.0-flash-lite")
    assert hint["saving"] == Decimal("9.4")


async def test_performance_is_judged_against_the_target_that_is_asked_for(month: Month) -> None:
    kay, at = month.kay, make.at("2026-04-10T20:00")
    calls = [llm_call(kay, at, input_tokens=1, latency_ms=100 * n, status="ok") for n in range(1, 20)]
    failed = llm_call(kay, at, input_tokens=1, latency_ms=9_000, status="timeout", endpoint="generateContent")
    await month.site.world.use("llm", *calls, failed)
    name, token = encode("customer", kay.id), month.site.member(kay.id, "viewer")
    _, found = await month.ask(f"usage/{name}", token, hours="6")
    # Of 20 values the 10th is 1,000, the 19th 1,900 and the 20th 9,000; 19 are within 5,000; 1 of 20 failed.
    assert found["performance"] == {
        "from": "2026-04-10T18:00:00Z",
        "target": {"p95_ms": 5000, "error_percent": Decimal("1.0")},
        "providers": [
            {
                "provider": "gemini",
                "calls": 20,
                "succeeded": 19,
                "failed": 1,
                "error_percent": Decimal("5.0"),
                "measured": 20,
                "measured_from": "2026-04-10T20:00:00Z",
                "p50_ms": 1000,
                "p95_ms": 1900,
                "p99_ms": 9000,
                "within_target_percent": Decimal("95.0"),
                "target_met": False,
            }
        ],
    }
    _, found = await month.ask(f"usage/{name}", token, target_error_percent="5", target_p95_ms="1900")
    assert found["performance"]["providers"][0]["target_met"] is True
    _, found = await month.ask(f"usage/{name}", token, hours="3")
    assert found["performance"]["providers"] == []


async def test_trends_show_months_and_days_and_what_was_not_used_as_nothing(month: Month) -> None:
    status, found = await month.ask("usage/{ada}/trends")
    assert (status, found["by"], found["currency"]) == (200, "month", "USD")
    firsts = ["2025-11-01", "2025-12-01", "2026-01-01", "2026-02-01", "2026-03-01", "2026-04-01"]
    assert [each["from"] for each in found["trends"]] == firsts
    assert {each["calls"] for each in found["trends"][:-1]} == {0}
    april = found["trends"][-1]
    assert (april["calls"], april["cost"], april["tokens"]) == (1052, Decimal("15.75"), 8_000_000)
    assert april["provider_breakdown"]["tavily"] == {"calls": 250, "cost": Decimal("0.25"), "tokens": 0}
    _, found = await month.ask("usage/{ada}/trends", by="day", months="1")
    assert [(each["from"], each["calls"]) for each in found["trends"]][-3:] == [
        ("2026-04-09", 0),
        ("2026-04-10", 1052),
        ("2026-04-11", 0),
    ]
    assert len(found["trends"]) == 11


async def test_alerts_are_computed_the_fullest_limit_first(month: Month) -> None:
    status, found = await month.ask("alerts/{ada}")
    assert (status, found["user_id"]) == (200, encode("customer", month.ada.id))
    assert [(each["message"][:20], each["severity"]) for each in found["alerts"]][:2] == [
        ("8,000,000 of 25,000,", "info"),
        ("800 of 5,000 used (1", "info"),
    ]


async def test_plans_and_prices_are_those_of_the_catalogue(month: Month) -> None:
    status, found = await month.ask("plans")
    assert (status, [each["key"] for each in found["plans"]]) == (200, ["free", "basic", "pro", "enterprise"])
    assert found["plans"][2] == EXAMPLES["plans"]["plans"][0]
    assert found["plans"][3]["limits"]["gemini_calls"] is None
    status, found = await month.ask("pricing", provider="tavily")
    assert (status, found["next"]) == (200, None)
    assert [(each["pool"], each["amount"], each["per"]) for each in found["prices"]] == [
        ("request", Decimal("0.001"), 1)
    ]


async def test_the_price_list_comes_in_pages(month: Month) -> None:
    _, first = await month.ask("pricing", provider="gemini", limit="2")
    _, second = await month.ask("pricing", provider="gemini", limit="2", after=first["next"])
    _, both = await month.ask("pricing", provider="gemini", limit="4")
    assert first["prices"] + second["prices"] == both["prices"]
    assert len(both["prices"]) == 4


@pytest.mark.parametrize("path", ["usage/{0}", "usage/{0}/trends", "dashboard/{0}", "alerts/{0}"])
async def test_another_customers_id_is_answered_as_an_unknown_one(month: Month, path: str) -> None:
    unknown = "cus_01m8gtnvtvf3ev7mfxw2tgpb3z"
    answers = [await month.ask(path.format(each)) for each in ("{bob}", unknown)]
    assert [(status, found["code"]) for status, found in answers] == [(404, "customer_not_found")] * 2
    assert answers[0] == answers[1]
    bobs = month.site.member(month.bob.id, "viewer")
    status, found = await month.ask(path.format("{ada}"), bobs)
    assert (status, found["code"]) == (404, "customer_not_found")
    live = month.site.member(month.ada.id, environment="live")
    assert (await month.ask(path.format("{ada}"), live))[0] == 404


async def test_a_viewer_reads_its_own_and_who_may_not_read_usage_reads_nothing(month: Month) -> None:
    viewer = month.site.member(month.ada.id, "viewer")
    support = month.site.staff("viewer")
    for path in ("plans", "pricing", "usage/{ada}", "usage/{ada}/trends", "dashboard/{ada}", "alerts/{ada}"):
        assert (await month.ask(path, viewer))[0] == 200
        assert (await month.ask(path, support))[0] == 200
        assert (await month.ask(path, ""))[0] == 401
        reporter = await month.site.key("usage:write", product="llm")
        status, found = await month.ask(path, reporter)
        assert (status, found["code"]) == (403, "forbidden")
    reader = await month.site.key("usage:read")
    assert (await month.ask("dashboard/{ada}", reader))[0] == 200


async def test_a_customer_without_a_subscription_has_trends_only(month: Month) -> None:
    own = month.site.member(month.bob.id)
    for path in ("usage/{bob}", "dashboard/{bob}", "alerts/{bob}"):
        status, found = await month.ask(path, own)
        assert (status, found["code"]) == (404, "subscription_not_found")
    status, found = await month.ask("usage/{bob}/trends", own, months="1")
    assert (status, [each["calls"] for each in found["trends"]]) == (200, [0])


@pytest.mark.parametrize(
    ("path", "parameters", "code"),
    [
        ("dashboard/ada", {}, "id_malformed"),
        ("dashboard/sub_01m8gtnvtvf3ev7mfxw2tgpb3z", {}, "id_malformed"),
        ("usage/{ada}/trends", {"by": "week"}, "parameter_refused"),
        ("usage/{ada}/trends", {"by": ""}, "parameter_refused"),
        ("usage/{ada}/trends", {"months": "0"}, "parameter_refused"),
        ("usage/{ada}/trends", {"months": "25"}, "parameter_refused"),
        ("usage/{ada}/trends", {"months": "-1"}, "parameter_refused"),
        ("usage/{ada}/trends", {"months": "1e1"}, "parameter_refused"),
        ("usage/{ada}/trends", {"months": "9" * 5_000}, "parameter_refused"),
        ("usage/{ada}", {"hours": "745"}, "parameter_refused"),
        ("usage/{ada}", {"target_p95_ms": "NaN"}, "parameter_refused"),
        ("usage/{ada}", {"target_p95_ms": "x"}, "parameter_refused"),
        ("usage/{ada}", {"target_p95_ms": "0"}, "target_refused"),
        ("usage/{ada}", {"target_error_percent": "100.1"}, "target_refused"),
        ("pricing", {"limit": "1001"}, "parameter_refused"),
        # The database takes no NUL.
        ("pricing", {"provider": "\0"}, "parameter_refused"),
        ("pricing", {"after": "x"}, "id_malformed"),
    ],
)
async def test_a_bad_parameter_is_refused_with_its_name(
    month: Month, path: str, parameters: dict[str, str], code: str
) -> None:
    status, found = await month.ask(path, **parameters)
    assert (status, found["code"]) == (422, code)


async def test_a_limit_that_is_nearly_used_warns_and_one_that_is_used_up_says_so(month: Month) -> None:
    world, eve = month.site.world, month.eve
    at, name, token = make.at("2026-04-10T12:00"), encode("customer", eve.id), month.site.member(eve.id)
    await world.use("llm", *(llm_call(eve, at, input_tokens=1) for _ in range(90)))
    _, found = await month.ask(f"dashboard/{name}", token)
    assert found["current_usage"]["usage_status"] == "warning"
    # The cap of the plan is 1.00; 90 calls of a token are 90 x 0.00000125 = 0.0001125.
    assert [(each["title"], each["severity"]) for each in found["alerts"]] == [
        ("Usage warning: Calls to Gemini a month", "warning"),
        ("Usage notice: Tokens of all kinds a month", "info"),
        ("Usage notice: Cost of usage a month at list price x markup", "info"),
    ]
    # When the worker has looked, they are the alerts that it raised: of 80 and 90 % the higher, and a forecast.
    await world.drain()
    _, found = await month.ask(f"alerts/{name}", token)
    raised = [each for each in found["alerts"] if each["id"]]
    assert [(each["title"], each["kind"], each["threshold"], each["read_at"]) for each in raised] == [
        ("Usage warning: Calls to Gemini a month", "threshold", 90, None),
        ("Usage forecast: Calls to Gemini a month", "forecast", None, None),
    ]
    assert raised[0]["message"] == (
        "90 of 100 used (90.0 %). Counting starts anew on 2026-05-01. The plan Basic allows more."
    )
    assert [each["limit"] for each in found["alerts"] if not each["id"]] == ["tokens", "monthly_cost"]
    await world.use("llm", *(llm_call(eve, at, input_tokens=1) for _ in range(10)))
    _, found = await month.ask(f"dashboard/{name}", token)
    assert found["current_usage"]["usage_status"] == "limit_reached"
    assert found["alerts"][0] == {
        "title": "Limit reached: Calls to Gemini a month",
        "message": "100 of 100 used (100.0 %). Counting starts anew on 2026-05-01.",
        "severity": "critical",
    }
    # 100 calls in 10 of 30 days: 300 a month, which Basic holds.
    _, found = await month.ask(f"usage/{name}", token)
    hint = found["hints"][0]
    assert (hint["kind"], hint["saving"], hint["numbers"]["fitting_plan"]) == ("larger_plan", None, "basic")
    assert (hint["numbers"]["gemini_calls_projected"], hint["numbers"]["gemini_calls_limit"]) == ("300", "100")


async def test_nothing_is_projected_on_the_first_day(month: Month) -> None:
    world = month.site.world
    new = await world.customer(on="2026-04-01")
    await world.subscribe(new, "basic")
    _, found = await month.ask(f"dashboard/{encode('customer', new.id)}", month.site.member(new.id))
    assert found["projections"] == {"projected_monthly_cost": None, "projected_usage_percentage": None}
    assert (found["alerts"], found["current_usage"]["provider_breakdown"]) == ([], {})
    _, found = await month.ask(f"usage/{encode('customer', new.id)}", month.site.member(new.id))
    assert (found["hints"], found["provider_comparison"], found["performance"]["providers"]) == ([], [], [])
    assert {each["projected"] for each in found["projections"]} == {None}


async def test_the_price_list_is_read_once_while_it_does_not_change(month: Month) -> None:
    first = await month.site.runtime.price_book()
    assert await month.site.runtime.price_book() is first
    assert first.models_of("gemini") == ("gemini-2.0-flash-lite", "gemini-2.5-flash", "gemini-2.5-pro")
    # The merchant lists none of OpenAI's: they are all of the public data.
    assert "gpt-4o" in first.models_of("openai")
