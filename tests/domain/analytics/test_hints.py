"""Ways to spend less, with the numbers that led to them."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from domain.analytics.consumption.dashboard import Dashboard, Projection, projection_of
from domain.analytics.consumption.figures import Figure
from domain.analytics.consumption.hints import HintKind, ModelUse, model_hints, plan_hints
from domain.analytics.consumption.notices import UsageStatus
from domain.kernel.ids import ProviderPriceId
from domain.kernel.period import Period
from domain.limits.fitting import Offer
from domain.plans.provider_price import PriceBook, Provider, ProviderPrice, price_book_of
from tests import make
from tests.domain.analytics.test_notices import limit

_AT = make.at("2026-04-11")
_APRIL = Period(make.at("2026-04-01"), make.at("2026-05-01"))
_PUBLIC = "genai-prices 0.2.3"


def _row(provider: str, model: str, pool: str, amount: str, source: str = "merchant's list") -> ProviderPrice:
    since = make.at("2020-01-01")
    price_id = ProviderPriceId(make.new_id())
    return ProviderPrice(
        price_id, provider, model, pool, Decimal(amount), Decimal(1_000_000), "USD", since, None, source
    )


_ROWS = (
    _row("gemini", "pro", "input", "1.25"),
    _row("gemini", "pro", "output", "10"),
    _row("gemini", "pro", "cache_read", "0.25"),
    _row("gemini", "flash", "input", "0.125"),
    _row("gemini", "flash", "output", "0.375"),
    _row("gemini", "embedding", "input", "0.01"),
    _row("gemini", "retired", "input", "0.001", _PUBLIC),
    _row("gemini", "retired", "output", "0.001", _PUBLIC),
    _row("openai", "large", "input", "2", _PUBLIC),
    _row("openai", "small", "input", "1.7", _PUBLIC),
)


def _book(*rows: ProviderPrice) -> PriceBook:
    return price_book_of("1", [Provider("gemini", "Gemini", ()), Provider("openai", "OpenAI", ())], (), rows)


def _use(model: str = "pro", provider: str = "gemini", /, **pools: int) -> ModelUse:
    return ModelUse(provider, model, Decimal(10), Decimal(1), {pool: Decimal(each) for pool, each in pools.items()})


def test_the_cheapest_of_the_models_that_can_price_all_that_was_used_is_proposed() -> None:
    # 2 million in and 100,000 out: 2.50 + 1.00 = 3.50; flash: 0.25 + 0.0375 = 0.2875. An embedding has no output, and
    # what only public price data lists is not what the merchant sells.
    [hint, _] = model_hints([_use(input=2_000_000, output=100_000)], _book(*_ROWS), _AT)
    assert (hint.kind, hint.saving) == (HintKind.CHEAPER_MODEL, Decimal("3.2125"))
    assert hint.numbers == {
        "provider": "gemini",
        "model": "pro",
        "cheaper_model": "flash",
        "cost": "3.5",
        "cost_of_cheaper_model": "0.2875",
        "input_quantity": "2000000",
        "output_quantity": "100000",
    }
    assert "0.29 USD instead of 3.50 USD" in hint.message


def test_the_sum_of_many_calls_is_not_taken_for_a_long_call() -> None:
    rows = (replace(_ROWS[0], id=ProviderPriceId(make.new_id()), amount=Decimal("2.5"), above=200_000), *_ROWS)
    # 2 million tokens of many calls at 1.25, as above; at 2.5 the hint would be one on costs that nobody had.
    [hint, _] = model_hints([_use(input=2_000_000, output=100_000)], _book(*rows), _AT)
    assert hint.numbers["cost"] == "3.5"


def test_a_model_that_saves_less_than_a_fifth_is_not_proposed() -> None:
    # 1.7 of 2 saves 15 %.
    assert model_hints([_use("large", "openai", input=1_000_000)], _book(*_ROWS), _AT) == []
    [hint] = model_hints(
        [_use("large", "openai", input=1_000_000)], _book(*_ROWS, _row("openai", "tiny", "input", "1.6", _PUBLIC)), _AT
    )
    assert (hint.numbers["cheaper_model"], hint.saving) == ("tiny", Decimal("0.4"))


def test_a_model_without_a_price_and_one_that_used_nothing_are_passed_over() -> None:
    assert model_hints([_use("unknown", input=5), _use("flash")], _book(*_ROWS), _AT) == []


def test_a_model_that_could_cache_is_told_what_half_of_its_input_would_save() -> None:
    # Half of 4 million at 1.25 - 0.25 a million.
    [hint] = model_hints([_use(input=4_000_000, cache_read=100_000)], _book(*_ROWS[:3]), _AT)
    assert (hint.kind, hint.saving) == (HintKind.CACHE_INPUT, Decimal(2))
    assert (hint.numbers["cached_tokens"], hint.numbers["price_per_cached_token"]) == ("100000", "0.00000025")
    assert hint.message.startswith("100,000 of 4,100,000 input tokens came from the cache.")


@pytest.mark.parametrize(
    ("rows", "pools"),
    [
        # A tenth is cached: caching is in use.
        (_ROWS[:3], {"input": 900_000, "cache_read": 100_000}),
        # No row of its own: what is cached is charged as input.
        (_ROWS[:2], {"input": 1_000_000}),
        ((*_ROWS[:2], replace(_ROWS[2], amount=Decimal("1.25"))), {"input": 1_000_000}),
        (_ROWS[:3], {"output": 1_000_000}),
    ],
)
def test_caching_is_not_proposed_where_it_is_used_or_saves_nothing(
    rows: tuple[ProviderPrice, ...], pools: dict[str, int]
) -> None:
    assert model_hints([_use(**pools)], _book(*rows), _AT) == []


def test_what_saves_less_than_a_cent_is_not_proposed() -> None:
    # 8,888 tokens at 1.125 a million less are 0.009999; 8,889 are 0.010000125. Half of 19,999 cached at 1.00 a million
    # less are 0.0099995, half of 20,000 are 0.01.
    assert model_hints([_use(input=8_888)], _book(*_ROWS[:2], *_ROWS[3:5]), _AT) == []
    assert len(model_hints([_use(input=8_889)], _book(*_ROWS[:2], *_ROWS[3:5]), _AT)) == 1
    assert model_hints([_use(input=19_999)], _book(*_ROWS[:3]), _AT) == []
    assert len(model_hints([_use(input=20_000)], _book(*_ROWS[:3]), _AT)) == 1


def test_the_largest_saving_comes_first() -> None:
    uses = [_use("large", "openai", input=10), _use(input=2_000_000), _use("pro", input=4_000_000)]
    savings = [hint.saving for hint in model_hints(uses, _book(*_ROWS), _AT)]
    assert savings == sorted(savings, key=lambda each: -(each or 0))
    assert len(savings) == 4


_OFFERS = [
    Offer("free", "Free", Fraction(0), {"gemini_calls": Fraction(100), "monthly_cost": Fraction(1)}),
    Offer("basic", "Basic", Fraction(29), {"gemini_calls": Fraction(1_000), "monthly_cost": Fraction(50)}),
    Offer("pro", "Pro", Fraction(79), {"gemini_calls": Fraction(5_000), "monthly_cost": Fraction(150)}),
]


def _dashboard(plan: str, calls: str) -> Dashboard:
    """Make the tenth of April under a plan: a projection is three times what was used."""
    amount = next(offer for offer in _OFFERS if offer.plan == plan).limits["gemini_calls"]
    limits = (limit("gemini_calls", calls, str(amount)),)
    projections = tuple(projection_of(each.key, each.used, each.limit, _APRIL, _AT) for each in limits)
    none = Projection("monthly_cost", None, None, None)
    return Dashboard(Figure(), UsageStatus.ACTIVE, {}, plan, _APRIL, limits, none, projections, ())


def test_a_plan_that_is_larger_than_needed_is_told_with_the_fee_that_is_saved() -> None:
    # 300 in ten days are 900 in the month, of 5,000 that is 18 %: Basic holds 1,000, Free only 100.
    [hint] = plan_hints(_dashboard("pro", "300"), "pro", _OFFERS, _APRIL, _AT)
    assert (hint.kind, hint.saving) == (HintKind.SMALLER_PLAN, Decimal("50.00"))
    assert hint.numbers == {
        "plan": "pro",
        "fitting_plan": "basic",
        "fee": "79",
        "fitting_fee": "29",
        "gemini_calls_projected": "900",
        "highest_projected_percent": "18",
    }


def test_a_plan_that_will_be_too_small_is_told_with_the_limit_that_is_passed() -> None:
    # 400 in ten days are 1,200: Basic allows 1,000.
    [hint] = plan_hints(_dashboard("basic", "400"), "basic", _OFFERS, _APRIL, _AT)
    assert (hint.kind, hint.saving) == (HintKind.LARGER_PLAN, None)
    assert (hint.numbers["fitting_plan"], hint.numbers["gemini_calls_limit"]) == ("pro", "1000")
    assert hint.message == "At the present rate this period ends with gemini calls at 1,200. Pro holds that."


@pytest.mark.parametrize(
    ("plan", "calls", "at"),
    [
        # 900: Basic fits.
        ("basic", "300", "2026-04-11"),
        # Nothing used, the first day, and more than any plan holds.
        ("pro", "0", "2026-04-11"),
        ("pro", "300", "2026-04-01T23:59"),
        ("pro", "5000", "2026-04-11"),
    ],
)
def test_a_plan_that_fits_or_that_nothing_is_known_of_is_left_alone(plan: str, calls: str, at: str) -> None:
    assert plan_hints(_dashboard(plan, calls), plan, _OFFERS, _APRIL, make.at(at)) == []


def test_a_plan_that_is_not_sold_any_more_has_no_fee_to_compare() -> None:
    assert plan_hints(_dashboard("pro", "300"), "pro", _OFFERS[:2], _APRIL, _AT) == []


def test_what_can_be_projected_says_when_the_limit_is_reached() -> None:
    # 2,500 of 5,000 in ten days: the limit is reached after ten more.
    found = projection_of("gemini_calls", Decimal(2_500), Decimal(5_000), _APRIL, _AT)
    assert found == Projection("gemini_calls", Decimal("7500.00"), Decimal("150.00"), make.at("2026-04-21"))
    # 0.005 x 3 = 0.015 is shown as 0.02; without a limit there is no percentage.
    assert projection_of("cost", Decimal("0.005"), None, _APRIL, _AT) == Projection("cost", Decimal("0.02"), None, None)
    first_day = make.at("2026-04-01T12:00")
    assert projection_of("cost", Decimal(5), Decimal(50), _APRIL, first_day) == Projection("cost", None, None, None)
    assert projection_of("cost", Decimal(5), Decimal(0), _APRIL, _AT) == Projection("cost", Decimal(15), None, None)
