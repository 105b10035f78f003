"""What is taken from the public price data package, on values of the package's own types."""

from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal

from genai_prices import types
from genai_prices.data import providers

from domain.kernel.ids import ProviderPriceId
from domain.plans.provider_price import ModelAlias, PricedCost, PriceSet, ProviderPrice, price_book_of
from domain.plans.public_prices import PublicPrices, Skipped, sets_to_take, translate
from tests import make

_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
_MILLION = Decimal(1_000_000)


def _translate(*models: types.ModelInfo, to: str = "openai") -> PublicPrices:
    given = [
        types.Provider(id=name, name=name, api_pattern=name, models=list(models) if name == to else [])
        for name in ("google", "openai", "anthropic", "mistral")
    ]
    return translate(given, "data 1", _EARLIEST)


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


def test_prices_of_long_prompts_become_tiers() -> None:
    tiered = types.TieredPrices(base=Decimal("1.25"), tiers=[types.Tier(start=200_000, price=Decimal("2.5"))])
    [only] = _translate(_model("gpt-x", types.ModelPrice(input_mtok=tiered, output_mtok=Decimal(10)))).sets
    assert only.prices == (("input", Decimal("1.25"), _MILLION), ("output", Decimal(10), _MILLION))
    assert (only.tiers, only.source) == ((("input", 200_000, Decimal("2.5"), _MILLION),), "data 1")


def test_a_rate_for_a_part_of_a_pool_leaves_the_base_rate_and_says_so() -> None:
    prices = types.ModelPrice(cache_read_mtok=Decimal("0.4"), cache_audio_read_mtok=Decimal(2))
    [only] = _translate(_model("gpt-x", prices)).sets
    assert (only.rows, only.source) == ((("cache_read", 0, Decimal("0.4"), _MILLION),), "data 1, base rates")


def test_what_stays_in_a_cache_for_an_hour_has_a_price_of_its_own() -> None:
    prices = types.ModelPrice(cache_write_mtok=Decimal("3.75"), cache_write_1h_mtok=Decimal(6))
    [only] = _translate(_model("gpt-x", prices)).sets
    rows = (("cache_write", 0, Decimal("3.75"), _MILLION), ("cache_write_1h", 0, Decimal(6), _MILLION))
    assert (only.rows, only.source) == (rows, "data 1")


def test_a_model_for_audio_is_not_sold_at_the_price_of_text() -> None:
    text = {"input_mtok": Decimal("2.5"), "output_mtok": Decimal(10)}
    audio = {"input_audio_mtok": Decimal(40), "output_audio_mtok": Decimal(80)}
    public = _translate(
        _model("gpt-x-audio-preview", types.ModelPrice(**text)),
        _model("gpt-audio", types.ModelPrice(**text, **audio)),
    )
    assert [each.model for each in public.sets] == ["gpt-audio"]
    why = "the package states no price of its audio"
    assert public.skipped == (Skipped("openai", "gpt-x-audio-preview", why),)


def test_the_public_data_of_gemini_price_a_long_call_as_the_package_does() -> None:
    public = translate(providers, "genai-prices 1", _EARLIEST)
    sets = [each for each in public.sets if each.model == "gemini-2.5-pro"]
    rows = [
        ProviderPrice(
            ProviderPriceId(make.new_id()), each.provider, each.model, pool, amount, per, "USD",
            each.valid_from, each.valid_to, each.source, above,
        )
        for each in sets
        for pool, above, amount, per in each.rows
    ]  # fmt: skip
    book = price_book_of("1", [], [], rows)
    # 150,000 x 2.50 / 1e6 + 100,000 cached x 0.25 / 1e6 + 1,000 x 15 / 1e6 = 0.375 + 0.025 + 0.015
    quantities = {"input": 150_000, "cache_read": 100_000, "output": 1_000}
    found = book.cost_of("gemini", "gemini-2.5-pro", quantities, make.at("2026-01-15"))
    assert isinstance(found, PricedCost)
    assert found.cost == Decimal("0.415")
    # The package counts cached tokens as input again: 250,000 in all.
    usage = types.Usage(input_tokens=250_000, cache_read_tokens=100_000, output_tokens=1_000)
    [google] = [each for each in providers if each.id == "google"]
    [model] = [each for each in google.models if each.id == "gemini-2.5-pro"]
    assert model.get_prices(datetime(2026, 1, 15, tzinfo=UTC)).calc_price(usage)["total_price"] == found.cost


def _row(amount: str, *, source: str = "genai-prices 0, base rates", start: datetime = _EARLIEST) -> ProviderPrice:
    price_id = ProviderPriceId(make.new_id())
    return ProviderPrice(price_id, "openai", "gpt-x", "input", Decimal(amount), _MILLION, "USD", start, None, source)


def test_public_prices_that_differ_are_taken_from_an_instant_on_and_own_ones_stay() -> None:
    tiered = types.TieredPrices(base=Decimal(1), tiers=[types.Tier(start=272_000, price=Decimal(2))])
    public = _translate(_model("gpt-x", types.ModelPrice(input_mtok=tiered)))
    start = datetime(2026, 2, 1, tzinfo=UTC)
    [only] = sets_to_take(public, [_row("1")], start)
    assert (only.valid_from, only.valid_to, only.tiers) == (start, None, (("input", 272_000, Decimal(2), _MILLION),))
    kept = [_row("1"), replace(_row("2"), above=272_000)]
    assert sets_to_take(public, kept, start) == []
    assert sets_to_take(public, [_row("1", source="merchant")], start) == []
    assert sets_to_take(public, [_row("1", source="merchant")], start, with_own=True) == [only]
    # Own prices that have ended, and public ones that are over by then, count no more.
    assert sets_to_take(public, [replace(_row("1", source="merchant"), valid_to=start)], start) == [only]
    over = replace(public, sets=(replace(public.sets[0], valid_to=start),))
    assert sets_to_take(over, [], start) == []


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
