"""What is taken from the public price data package, on values of the package's own types."""

from datetime import UTC, date, datetime, time
from decimal import Decimal

from genai_prices import types

from domain.plans.provider_price import ModelAlias, PriceSet
from domain.plans.public_prices import PublicPrices, translate

_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
_MILLION = Decimal(1_000_000)


def _translate(*models: types.ModelInfo, to: str = "openai") -> PublicPrices:
    providers = [
        types.Provider(id=name, name=name, api_pattern=name, models=list(models) if name == to else [])
        for name in ("google", "openai", "anthropic", "mistral")
    ]
    return translate(providers, "data 1", _EARLIEST)


def _model(name: str, prices: types.ModelPrice | list[types.ConditionalPrice]) -> types.ModelInfo:
    match = types.ClauseOr(or_=[types.ClauseEquals(equals=name), types.ClauseEquals(equals=f"{name}-classic")])
    return types.ModelInfo(id=name, match=match, prices=prices)


def test_token_prices_become_rows_per_million() -> None:
    price = types.ModelPrice(
        input_mtok=Decimal("2.5"),
        output_mtok=Decimal(10),
        cache_read_mtok=Decimal("1.25"),
        output_audio_mtok=Decimal(80),
        web_searches_kcount=Decimal(10),
    )
    found = _translate(_model("gpt-x", price))
    rows = (
        ("input", Decimal("2.5"), _MILLION),
        ("output", Decimal(10), _MILLION),
        ("cache_read", Decimal("1.25"), _MILLION),
        ("audio_out", Decimal(80), _MILLION),
    )
    assert found.sets == (PriceSet("openai", "gpt-x", _EARLIEST, None, "data 1", rows),)
    assert found.aliases == (ModelAlias("openai", "gpt-x-classic", "gpt-x"),)
    assert found.skipped == ()


def test_dated_prices_follow_one_another() -> None:
    dated = [
        types.ConditionalPrice(prices=types.ModelPrice(input_mtok=Decimal(10))),
        types.ConditionalPrice(
            constraint=types.StartDateConstraint(start_date=date(2025, 6, 10)),
            prices=types.ModelPrice(input_mtok=Decimal(2)),
        ),
    ]
    change = datetime(2025, 6, 10, tzinfo=UTC)
    assert _translate(_model("o-x", dated)).sets == (
        PriceSet("openai", "o-x", _EARLIEST, change, "data 1", (("input", Decimal(10), _MILLION),)),
        PriceSet("openai", "o-x", change, None, "data 1", (("input", Decimal(2), _MILLION),)),
    )


def test_a_rate_for_long_prompts_leaves_the_base_rate_and_says_so() -> None:
    tiered = types.TieredPrices(base=Decimal("1.25"), tiers=[types.Tier(start=200_000, price=Decimal("2.5"))])
    [only] = _translate(_model("gpt-x", types.ModelPrice(input_mtok=tiered))).sets
    assert (only.prices, only.source) == ((("input", Decimal("1.25"), _MILLION),), "data 1, base rates")


def test_pages_are_priced_by_the_thousand() -> None:
    [only] = _translate(_model("ocr", types.ModelPrice(input_document_kpages=Decimal(4))), to="mistral").sets
    assert (only.provider, only.prices) == ("mistral", (("page", Decimal(4), Decimal(1_000)),))


def test_what_no_pool_can_express_is_skipped_as_a_whole() -> None:
    night = types.TimeOfDateConstraint(start_time=time(0), end_time=time(6))
    found = _translate(
        _model("voice", types.ModelPrice(input_mtok=Decimal(1), audio_hours=Decimal(1))),
        _model("night", [types.ConditionalPrice(constraint=night, prices=types.ModelPrice(input_mtok=Decimal(1)))]),
        _model("nothing", types.ModelPrice()),
    )
    assert found.sets == ()
    assert [(skipped.model, skipped.why) for skipped in found.skipped] == [
        ("voice", "no pool for audio_hours"),
        ("night", "its price depends on the time of day"),
        ("nothing", "the package states no price"),
    ]


def test_of_google_only_its_own_models_are_taken() -> None:
    price = types.ModelPrice(input_mtok=Decimal(1))
    found = _translate(_model("gemini-x", price), _model("claude-x", price), to="google")
    assert [(each.provider, each.model) for each in found.sets] == [("gemini", "gemini-x")]
