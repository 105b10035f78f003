"""What a call cost on its day."""

from decimal import Decimal

import pytest

from domain.kernel.ids import ProviderPriceId
from domain.plans.provider_price import (
    ModelAlias,
    PriceBook,
    PricedCost,
    Provider,
    ProviderPrice,
    Unpriced,
    normalise_model,
    price_book_of,
    without_parts,
)
from tests import make

_AT = make.at("2026-01-15T12:00")
_MILLION = "1000000"


def _row(  # noqa: PLR0917 - a row of the list reads best as a row.
    provider: str,
    model: str,
    pool: str,
    amount: str,
    per: str = _MILLION,
    days: tuple[str, str | None] = ("2020-01-01", None),
    above: int = 0,
) -> ProviderPrice:
    start, end = make.at(days[0]), make.at(days[1]) if days[1] else None
    price_id = ProviderPriceId(make.new_id())
    return ProviderPrice(
        price_id, provider, model, pool, Decimal(amount), Decimal(per), "USD", start, end, "merchant's list", above
    )


def _book(*rows: ProviderPrice) -> PriceBook:
    providers = (Provider("gemini", "Google Gemini", ("google",)), Provider("exa", "Exa", ("metaphor",)))
    aliases = (ModelAlias("gemini", "gemini-pro-latest", "gemini-2.5-pro"),)
    return price_book_of("1", providers, aliases, rows)


_LIST = (
    _row("gemini", "gemini-2.5-pro", "input", "1.25"),
    _row("gemini", "gemini-2.5-pro", "output", "10.00"),
    _row("gemini", "gemini-2.5-flash", "input", "0.125"),
    _row("gemini", "gemini-2.5-flash", "output", "0.375"),
    _row("gemini", "gemini-2.5-flash", "cache_read", "0.03"),
    _row("exa", "*", "request", "0.003", "1"),
    _row("firecrawl", "*", "page", "0.002", "1"),
    _row("stability", "*", "image", "0.04", "1"),
)


def _cost(book: PriceBook, provider: str, model: str, at: str = "2026-01-15", **quantities: int) -> Decimal:
    found = book.cost_of(provider, model, {pool: Decimal(value) for pool, value in quantities.items()}, make.at(at))
    assert isinstance(found, PricedCost)
    return found.cost


def test_a_call_costs_its_tokens_at_list_price_without_rounding() -> None:
    book = _book(*_LIST)
    # 1,234 x 1.25 / 1e6 = 0.0015425; 567 x 10 / 1e6 = 0.00567
    assert _cost(book, "gemini", "gemini-2.5-pro", input=1_234, output=567) == Decimal("0.0072125")
    # 123,456 x 0.125 / 1e6 = 0.015432; 65,432 x 0.375 / 1e6 = 0.024537
    assert _cost(book, "gemini", "gemini-2.5-flash", input=123_456, output=65_432) == Decimal("0.039969")
    assert _cost(book, "gemini", "gemini-2.5-pro", input=1_000_000, output=1_000_000) == Decimal("11.25")


def test_a_priced_call_names_the_rows_that_priced_it() -> None:
    found = _book(*_LIST).cost_of("gemini", "gemini-2.5-pro", {"input": Decimal(4), "cache_read": Decimal(4)}, _AT)
    row = (_LIST[0].id, Decimal("1.25"), Decimal(1_000_000))
    # Pro has no cache row: cached input is charged as input. 8 x 1.25 / 1e6 = 0.00001
    assert found == PricedCost(Decimal("0.00001"), (("input", *row), ("cache_read", *row)), (row[0], row[0]))


def test_a_pool_with_a_row_of_its_own_does_not_fall_back() -> None:
    book = _book(*_LIST)
    # 1e6 x 0.03 / 1e6 = 0.03; cache writes and audio as input at 0.125; reasoning as output at 0.375
    assert _cost(book, "gemini", "gemini-2.5-flash", cache_read=1_000_000) == Decimal("0.03")
    assert _cost(book, "gemini", "gemini-2.5-flash", cache_write=1_000_000) == Decimal("0.125")
    assert _cost(book, "gemini", "gemini-2.5-flash", audio_in=1_000_000) == Decimal("0.125")
    assert _cost(book, "gemini", "gemini-2.5-flash", reasoning=1_000_000) == Decimal("0.375")


def test_what_stays_in_a_cache_for_an_hour_is_charged_by_its_row_else_as_any_write_else_as_input() -> None:
    rows = [_row("anthropic", "claude", pool, amount) for pool, amount in (("input", "3"), ("cache_write", "3.75"))]
    own = _row("anthropic", "claude", "cache_write_1h", "6")
    assert _cost(_book(rows[0]), "anthropic", "claude", cache_write_1h=1_000_000) == Decimal(3)
    assert _cost(_book(*rows), "anthropic", "claude", cache_write_1h=1_000_000) == Decimal("3.75")
    assert _cost(_book(*rows, own), "anthropic", "claude", cache_write_1h=1_000_000) == Decimal(6)


def test_a_part_is_taken_out_of_its_whole_and_is_never_more() -> None:
    stated = {"input": 10, "cache_write": 400, "cache_write_1h": 150}
    assert without_parts(stated) == {"input": 10, "cache_write": 250, "cache_write_1h": 150}
    assert without_parts({"cache_write": 400, "cache_write_1h": 400}) == {"cache_write": 0, "cache_write_1h": 400}
    assert without_parts({"cache_write": Decimal("0.5"), "cache_write_1h": 1}) is None
    assert without_parts({"cache_write_1h": 1}) is None
    assert without_parts({"input": 10}) == {"input": 10}


def test_what_has_no_row_is_unpriced_not_free() -> None:
    book = _book(*_LIST)
    one = {"input": Decimal(1)}
    assert book.cost_of("gemini", "gemini-9", one, _AT) == Unpriced("gemini", "gemini-9", ("input",))
    assert book.cost_of("nobody", "Nothing", one, _AT) == Unpriced("nobody", "nothing", ("input",))
    mixed = {"input": Decimal(1), "image": Decimal(1)}
    assert book.cost_of("gemini", "gemini-2.5-pro", mixed, _AT) == Unpriced("gemini", "gemini-2.5-pro", ("image",))
    assert book.cost_of("gemini", "gemini-2.5-pro", {}, _AT) == Unpriced("gemini", "gemini-2.5-pro", ())
    early = book.cost_of("gemini", "gemini-2.5-pro", one, make.at("2019-12-31T23:59"))
    assert early == Unpriced("gemini", "gemini-2.5-pro", ("input",))


def test_nothing_used_costs_nothing() -> None:
    found = _book(*_LIST).cost_of("gemini", "gemini-2.5-pro", {"input": Decimal(0), "image": Decimal(0)}, _AT)
    assert found == PricedCost(Decimal(0), ())


def test_prices_of_a_provider_hold_for_any_of_its_models() -> None:
    book = _book(*_LIST)
    # A call is one request, unless it names more: 3 x 0.003 = 0.009
    assert _cost(book, "exa", "search") == Decimal("0.003")
    assert _cost(book, "Metaphor", "") == Decimal("0.003")
    assert _cost(book, "exa", "search", request=3) == Decimal("0.009")
    # 40 x 0.002 = 0.08; 3 x 0.04 = 0.12
    assert _cost(book, "firecrawl", "scrape", page=40) == Decimal("0.08")
    assert _cost(book, "stability", "sd3-large", image=3) == Decimal("0.12")


def test_a_price_of_zero_is_a_price() -> None:
    book = _book(_row("gemini", "gemini-free", "input", "0"))
    assert _cost(book, "gemini", "gemini-free", input=5) == 0


def test_a_call_keeps_the_price_of_its_day() -> None:
    book = _book(
        _row("gemini", "g", "input", "1", days=("2020-01-01", "2026-01-10")),
        _row("gemini", "g", "input", "3", days=("2026-01-10", None)),
    )
    assert _cost(book, "gemini", "g", "2026-01-09T23:59:59", input=1_000_000) == 1
    assert _cost(book, "gemini", "g", "2026-01-10", input=1_000_000) == 3


# Pro as it is sold: dearer as a whole above 200,000 input tokens. Images in have one price, whatever the length.
_TIERED = (
    _row("gemini", "pro", "input", "1.25"),
    _row("gemini", "pro", "input", "2.50", above=200_000),
    _row("gemini", "pro", "output", "10"),
    _row("gemini", "pro", "output", "15", above=200_000),
    _row("gemini", "pro", "image_in", "1.50"),
)


def test_a_call_above_the_threshold_is_dearer_as_a_whole() -> None:
    book = _book(*_TIERED)
    # 200,000 x 1.25 / 1e6 + 1,000 x 10 / 1e6 = 0.25 + 0.01; 200,001 x 2.50 / 1e6 + 1,000 x 15 / 1e6 = 0.5000025 + 0.015
    for _ in range(2):
        assert _cost(book, "gemini", "pro", input=200_000, output=1_000) == Decimal("0.26")
        assert _cost(book, "gemini", "pro", input=200_001, output=1_000) == Decimal("0.5150025")
    # Output alone never makes a call long.
    assert _cost(book, "gemini", "pro", input=1, output=300_000) == Decimal("3.00000125")


@pytest.mark.parametrize("pool", ["cache_read", "cache_write", "audio_in"])
def test_every_pool_of_input_counts_to_the_threshold(pool: str) -> None:
    book = _book(*_TIERED)
    # The pool has no row: it is charged as input. 200,000 x 1.25 / 1e6 = 0.25; 200,001 x 2.50 / 1e6 = 0.5000025
    assert _cost(book, "gemini", "pro", "2026-01-15", **{"input": 100_000, pool: 100_000}) == Decimal("0.25")
    assert _cost(book, "gemini", "pro", "2026-01-15", **{"input": 100_000, pool: 100_001}) == Decimal("0.5000025")


def test_a_pool_without_a_tier_keeps_its_price_in_a_long_call_and_counts_to_its_length() -> None:
    # 150,000 x 2.50 / 1e6 + 50,001 x 1.50 / 1e6 = 0.375 + 0.0750015
    assert _cost(_book(*_TIERED), "gemini", "pro", input=150_000, image_in=50_001) == Decimal("0.4500015")


def test_a_long_call_names_the_row_of_its_tier() -> None:
    found = _book(*_TIERED).cost_of("gemini", "pro", {"input": 250_000, "reasoning": 10}, _AT)
    assert isinstance(found, PricedCost)
    # Reasoning is charged as output, of long calls too.
    assert found.row_ids == (_TIERED[1].id, _TIERED[3].id)
    # 250,000 x 2.50 / 1e6 + 10 x 15 / 1e6
    assert found.cost == Decimal("0.62515")


def test_the_highest_threshold_that_a_call_exceeds_prices_each_pool() -> None:
    book = _book(*_TIERED, _row("gemini", "pro", "input", "4", above=500_000))
    # 500,000 x 2.50 / 1e6 = 1.25; 500,001 x 4 / 1e6 = 2.000004, with output as above 200,000: 1,000 x 15 / 1e6
    assert _cost(book, "gemini", "pro", input=500_000) == Decimal("1.25")
    assert _cost(book, "gemini", "pro", input=500_001, output=1_000) == Decimal("2.015004")


def test_a_tier_is_dated_as_its_model_is() -> None:
    ends, starts = ("2020-01-01", "2026-01-10"), ("2026-01-10", None)
    book = _book(
        _row("gemini", "g", "input", "1", days=ends),
        _row("gemini", "g", "input", "2", days=ends, above=128_000),
        _row("gemini", "g", "input", "1", days=starts),
        _row("gemini", "g", "input", "3", days=starts, above=200_000),
    )
    # 150,000 are long until the change and short after: x 2 / 1e6, then x 1 / 1e6; 250,000 x 3 / 1e6 after.
    assert _cost(book, "gemini", "g", "2026-01-09T23:59", input=150_000) == Decimal("0.3")
    assert _cost(book, "gemini", "g", "2026-01-10", input=150_000) == Decimal("0.15")
    assert _cost(book, "gemini", "g", "2026-01-10", input=250_000) == Decimal("0.75")
    tariff = book.tariff_of("gemini", "g", make.at("2026-01-15"))
    assert [above for above, _ in tariff.longer] == [200_000]


def test_what_many_calls_used_together_is_priced_as_short_calls() -> None:
    tariff = _book(*_TIERED).tariff_of("gemini", "pro", _AT)
    found = tariff.of_many().cost_of({"input": 1_000_000})
    assert isinstance(found, PricedCost)
    assert found.cost == Decimal("1.25")


@pytest.mark.parametrize(
    ("provider", "name", "model"),
    [
        ("gemini", "gemini-2.5-pro", "gemini-2.5-pro"),
        ("gemini", " Gemini-2.5-Pro ", "gemini-2.5-pro"),
        ("gemini", "models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("gemini", "publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("gemini", "gemini-2.5-pro-latest", "gemini-2.5-pro"),
        ("gemini", "gemini-2.5-pro-001", "gemini-2.5-pro"),
        ("gemini", "gemini-2.5-pro-05-06", "gemini-2.5-pro"),
        ("gemini", "gemini-2.5-pro-06-2025", "gemini-2.5-pro"),
        ("openai", "gpt-4o-2025-02-27", "gpt-4o"),
        ("openai", "gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("anthropic", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("anthropic", "claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("anthropic", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("anthropic", "anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("mistral", "eu.mistral.mistral-large-latest", "mistral-large"),
        ("mistral", "mistral-large-2512", "mistral-large-2512"),
        ("mistral", "unheard-of-2025-01-01", "unheard-of"),
    ],
)
def test_model_names_are_brought_to_the_name_of_the_list(provider: str, name: str, model: str) -> None:
    known = {
        "gemini-2.5-pro": "gemini-2.5-pro",
        "gpt-4o": "gpt-4o",
        "gpt-4o-2024-05-13": "gpt-4o-2024-05-13",
        "claude-sonnet-4-5": "claude-sonnet-4-5",
        "claude-sonnet-4.5": "claude-sonnet-4-5",
        "mistral-large": "mistral-large",
        "mistral-large-2512": "mistral-large-2512",
    }
    assert normalise_model(provider, name, known) == model


def test_the_book_knows_other_names_of_providers_and_models() -> None:
    book = _book(*_LIST)
    assert book.provider_of(" Google ") == "gemini"
    assert book.model_of("gemini", "gemini-pro-latest") == "gemini-2.5-pro"
    assert _cost(book, "google", "gemini-pro-latest", output=1) == Decimal("0.00001")
