"""Price times totals: what the lines of a segment come to, worked out by hand."""

from dataclasses import replace
from decimal import Decimal

from domain.invoices.assembly import usage_of
from domain.invoices.derivation import WantedLine
from domain.invoices.invoice import LineKind
from domain.invoices.rating import SegmentUsage, meters_by_event, usage_lines
from domain.kernel.ids import encode
from domain.kernel.period import Period
from domain.plans.plan import Catalogue, Price
from domain.usage.reading import SegmentTotal, added_up
from tests import make
from tests.domain.invoices import examples
from tests.domain.invoices.examples import COST, DYNAMIC, GEMINI, INPUT, OUTPUT, PER_REQUEST, REQUESTS, TAVILY, total

_SUBSCRIPTION = examples.subscription("2026-01-01")
_JANUARY = examples.segment(_SUBSCRIPTION, "2026-01-01", "2026-02-01")


def _rate(catalogue: Catalogue, *totals: SegmentTotal) -> list[WantedLine]:
    return usage_lines(SegmentUsage(_SUBSCRIPTION, _JANUARY, totals, {}), catalogue)


def _count(quantity: str, *prices: Price) -> list[WantedLine]:
    return _rate(examples.catalogue(*prices), total(REQUESTS, quantity, {"region": "fra"}))


def test_kept_cost_is_charged_once_rounded_with_everything_it_was_made_of() -> None:
    # 18,059,974 x 1.25 / 1,000,000 + 245,896 x 10 / 1,000,000 = 22.5749675 + 2.45896 = 25.0339275
    rows = [
        examples.list_price("output", "10.00", valid_from=make.at("2025-01-01")),
        examples.list_price("input", "1.25", valid_from=make.at("2025-01-01")),
        examples.list_price("input", "9", valid_from=make.at("2024-01-01"), valid_to=make.at("2026-01-01")),
        examples.list_price("input", "8", valid_from=make.at("2026-02-01")),
    ]
    usage = SegmentUsage(
        _SUBSCRIPTION,
        _JANUARY,
        [
            total(COST, "25.0339275", GEMINI, events=8819),
            total(INPUT, "18059974", GEMINI, events=8819),
            total(OUTPUT, "245896", GEMINI, events=8819),
            total(INPUT, "5", TAVILY),
        ],
        {("gemini", "gemini-2.5-pro"): rows},
    )
    [line] = usage_lines(usage, examples.catalogue())
    assert line.amount_minor == 2503
    assert line.description == "LLM usage: gemini / gemini-2.5-pro, 1 Jan 2026 – 1 Feb 2026"  # noqa: RUF001 - a range
    assert (line.quantity, line.unit) == (total(COST, "25.0339275").quantity, "USD")
    facts = line.derivation
    assert (facts["model"], facts["cost"], facts["multiplier"]) == ("dynamic", "25.0339275", "1.00")
    assert (facts["exact_amount"], facts["amount_minor"]) == ("25.0339275", 2503)
    assert (facts["rounding"], facts["plan_version"]) == ("half up to 2 digits", 3)
    assert facts["counted"] == {"input_tokens": "18059974", "output_tokens": "245896"}
    assert (facts["events"], facts["digest"]) == (8819, f"{8819:064x}")
    assert facts["share_of_time"] == "1"
    # The rows of before and after January are not shown.
    assert [(row["pool"], row["amount"], row["per"]) for row in facts["rates"]] == [
        ("input", "1.25", "1000000"),
        ("output", "10", "1000000"),
    ]


def test_each_combination_of_dimensions_has_a_line_of_its_own() -> None:
    lines = _rate(examples.catalogue(), total(COST, "1.004", GEMINI), total(COST, "0.005", TAVILY))
    # 1.004 rounds to 1.00; 0.005 is half a cent and rounds up to 0.01.
    assert [line.amount_minor for line in lines] == [100, 1]
    assert len({line.identity for line in lines}) == 2


def test_rows_for_any_model_explain_a_model_without_rows() -> None:
    row = examples.list_price("request", "1000", valid_from=make.at("2025-01-01"), model="*")
    usage = SegmentUsage(_SUBSCRIPTION, _JANUARY, [total(COST, "0.001", GEMINI)], {("gemini", "*"): [row]})
    [line] = usage_lines(usage, examples.catalogue())
    assert [shown["pool"] for shown in line.derivation["rates"]] == ["request"]


def test_a_million_calls_at_a_fraction_of_a_cent_are_not_rounded_one_by_one() -> None:
    [line] = _count("1000000", PER_REQUEST)
    assert line.amount_minor == 30_000  # 1,000,000 x 0.0003 = 300.00


def test_a_line_is_rounded_half_up() -> None:
    [up] = _count("50", PER_REQUEST)  # 50 x 0.0003 = 0.015 -> 0.02
    [down] = _count("49", PER_REQUEST)  # 49 x 0.0003 = 0.0147 -> 0.01
    assert (up.amount_minor, down.amount_minor) == (2, 1)
    assert up.derivation["exact_amount"] == "0.015"


def test_a_count_is_one_line_summed_over_its_dimensions() -> None:
    [line] = _rate(
        examples.catalogue(PER_REQUEST),
        total(REQUESTS, "600000", {"region": "fra"}, events=3),
        total(REQUESTS, "400000", {"region": "iad"}, events=4),
    )
    assert (line.amount_minor, line.identity.dimension_key) == (30_000, "")
    assert (line.derivation["events"], line.derivation["digest"]) == (7, f"{7:064x}")


def test_a_graduated_price_walks_its_tiers() -> None:
    tiers = [{"up_to": "100", "unit_amount": "0.05"}, {"up_to": None, "unit_amount": "0.03"}]
    price = examples._price("requests", "graduated", {"tiers": tiers}, REQUESTS)
    [line] = _count("150", price)
    assert line.amount_minor == 650  # 100 x 0.05 + 50 x 0.03 = 5.00 + 1.50
    assert [tier["amount"] for tier in line.derivation["tiers"]] == ["5", "1.5"]


def test_nothing_counted_gives_no_line_unless_something_is_due_for_it() -> None:
    assert _rate(examples.catalogue(PER_REQUEST)) == []
    assert _rate(examples.catalogue()) == []
    tiers = [{"up_to": None, "unit_amount": "0.03", "flat_amount": "2"}]
    [line] = _rate(examples.catalogue(examples._price("requests", "graduated", {"tiers": tiers}, REQUESTS)))
    assert (line.amount_minor, line.quantity) == (200, Decimal(0))


def test_usage_that_costs_nothing_keeps_its_line_with_the_quantity() -> None:
    free = examples._price("usage", "dynamic", {"multiplier": "0"}, COST)
    [line] = _rate(examples.catalogue(free), total(COST, "25.0339275", GEMINI))
    assert (line.amount_minor, line.quantity) == (0, total(COST, "25.0339275").quantity)


def test_what_lies_above_the_monthly_cost_cap_is_taken_off_by_one_line() -> None:
    lines = _rate(examples.catalogue(cap="150"), total(COST, "120.456", GEMINI), total(COST, "50.111", TAVILY))
    # 120.46 + 50.11 = 170.57; 170.57 - 150.00 = 20.57 is not charged.
    assert [(line.identity.kind, line.amount_minor) for line in lines] == [
        (LineKind.USAGE, 12_046),
        (LineKind.USAGE, 5_011),
        (LineKind.CAP, -2_057),
    ]
    assert sum(line.amount_minor for line in lines) == 15_000
    assert lines[2].derivation["cap"] == "150"
    assert lines[2].derivation["charged_minor"] == 17_057
    assert "above the monthly cost cap, not charged" in lines[2].description


def test_usage_that_reaches_the_cap_exactly_is_charged_whole() -> None:
    lines = _rate(examples.catalogue(cap="150"), total(COST, "150", GEMINI))
    assert [line.amount_minor for line in lines] == [15_000]


def test_the_cap_of_a_part_of_the_period_is_that_share_of_it() -> None:
    # 1 to 11 January of 1 January to 1 February: 10 of 31 days. 150 x 10/31 = 48.387..., so 100.00 - 48.39 = 51.61.
    part = examples.segment(_SUBSCRIPTION, "2026-01-01", "2026-01-11", period=("2026-01-01", "2026-02-01"))
    usage = SegmentUsage(_SUBSCRIPTION, part, [total(COST, "100", GEMINI)], {})
    lines = usage_lines(usage, examples.catalogue(cap="150"))
    assert [line.amount_minor for line in lines] == [10_000, -5_161]
    assert lines[1].derivation["share_of_time"] == "10/31"
    assert lines[1].derivation["cap_of_segment"] == "1500/31"


def test_a_cap_of_nothing_charges_nothing() -> None:
    lines = _rate(examples.catalogue(cap="0"), total(COST, "3.21", GEMINI))
    assert [line.amount_minor for line in lines] == [321, -321]


def test_a_matrix_prices_each_combination_in_one_line() -> None:
    cells = [{"when": {"region": "fra"}, "unit_amount": "0.02"}, {"when": {"region": "iad"}, "unit_amount": "0.01"}]
    price = examples.usage_price("matrix", {"cells": cells, "default_unit_amount": "0.05"}, REQUESTS)
    totals = [total(REQUESTS, quantity, {"region": region}) for region, quantity in (("sin", "10"), ("fra", "100"))]
    [line] = _rate(examples.catalogue(price), *totals)
    # 100 x 0.02 + 10 x 0.05 = 2.50, with the combinations in order.
    assert (line.amount_minor, line.quantity) == (250, Decimal(110))
    assert [(cell["values"]["region"], cell["amount"]) for cell in line.derivation["cells"]] == [
        ("fra", "2"),
        ("sin", "0.5"),
    ]


def test_a_percentage_prices_each_event() -> None:
    price = examples.usage_price("percentage", {"rate_percent": "2", "max_per_event": "1"}, REQUESTS)
    catalogue = examples.catalogue(price)
    assert meters_by_event(examples.VERSION, "USD", catalogue) == [REQUESTS]
    values = {REQUESTS.id: [Decimal(20), Decimal(100)]}
    totals = [total(REQUESTS, "120", {"region": "fra"}, events=2)]
    [line] = usage_lines(SegmentUsage(_SUBSCRIPTION, _JANUARY, totals, {}, values), catalogue)
    # 2 % of 20 are 0.40, 2 % of 100 are 2.00 and capped at 1.00.
    assert line.amount_minor == 140


def test_part_of_a_period_grants_that_part_of_its_included_units() -> None:
    price = examples.usage_price("per_unit", {"unit_amount": "0.10", "included_units": "300"}, REQUESTS)
    half = examples.segment(_SUBSCRIPTION, "2026-04-01", "2026-04-16", period=("2026-04-01", "2026-05-01"))
    usage = SegmentUsage(_SUBSCRIPTION, half, [total(REQUESTS, "200", {"region": "fra"})], {})
    [line] = usage_lines(usage, examples.catalogue(price))
    # 15 of 30 days: 150 of the 300 units are included, 50 are charged at 0.10.
    assert line.amount_minor == 500


def test_days_on_a_line_are_the_customers_own() -> None:
    vienna = examples.subscription("2026-01-01", zone="Europe/Vienna")
    segment = examples.segment(vienna, "2026-01-31T23:00", "2026-02-28T23:00")
    usage = SegmentUsage(vienna, segment, [total(COST, "1", GEMINI)], {})
    [line] = usage_lines(usage, examples.catalogue(DYNAMIC))
    assert line.description.endswith("1 Feb 2026 – 1 Mar 2026")  # noqa: RUF001 - a range


# April has 30 days: 10 of them under the price, 10 under another one, and the last 10 under the price again.
_APRIL = ("2026-04-01", "2026-05-01")
_FIRST = examples.segment(_SUBSCRIPTION, "2026-04-01", "2026-04-11", period=_APRIL)
_THIRD = examples.segment(_SUBSCRIPTION, "2026-04-21", "2026-05-01", period=_APRIL)


def _rate_together(catalogue: Catalogue, first: list[SegmentTotal], third: list[SegmentTotal]) -> list[WantedLine]:
    totals = {_FIRST.id: first, _THIRD.id: third}
    usage = usage_of(_SUBSCRIPTION, [_FIRST, _THIRD], totals, added_up([*first, *third]))
    return usage_lines(usage, catalogue)


def test_a_package_is_started_once_over_the_segments_that_keep_its_price() -> None:
    price = examples.usage_price(
        "package", {"package_size": "100", "package_amount": "5", "free_units": "30"}, REQUESTS
    )
    first = [total(REQUESTS, "60", {"region": "fra"}, events=2)]
    third = [total(REQUESTS, "40", {"region": "fra"}), total(REQUESTS, "10", {"region": "iad"})]
    [line] = _rate_together(examples.catalogue(price), first, third)
    # 110 less 20 of 30 days' share of 30 are 90: one package. Apart, 60 - 10 and 50 - 10 would start two.
    assert (line.amount_minor, line.quantity) == (500, Decimal(110))
    facts = line.derivation
    assert (facts["share_of_time"], facts["events"], facts["digest"]) == ("2/3", 4, f"{4:064x}")
    # The first segment names the line: whatever comes under the price later leaves its identity alone.
    assert (line.identity.segment_id, facts["segment_id"]) == (_FIRST.id, encode("segment", _FIRST.id))
    assert line.identity.period == Period(_FIRST.during.start, _THIRD.during.end)
    assert line.description.endswith("1 Apr 2026 – 11 Apr 2026, 21 Apr 2026 – 1 May 2026")  # noqa: RUF001 - ranges
    assert facts["segments"] == [
        {
            "segment_id": encode("segment", _FIRST.id),
            "start": "2026-04-01T00:00:00+00:00",
            "end": "2026-04-11T00:00:00+00:00",
            "share_of_time": "1/3",
            "quantity": "60",
            "events": 2,
            "digest": f"{2:064x}",
        },
        {
            "segment_id": encode("segment", _THIRD.id),
            "start": "2026-04-21T00:00:00+00:00",
            "end": "2026-05-01T00:00:00+00:00",
            "share_of_time": "1/3",
            "quantity": "50",
            "events": 2,
            "digest": f"{2:064x}",
        },
    ]


def test_tiers_are_walked_once_over_the_segments_that_keep_their_price() -> None:
    tiers = [
        {"up_to": "300", "unit_amount": "0.05", "flat_amount": "3"},
        {"up_to": None, "unit_amount": "0.01", "flat_amount": "6"},
    ]
    price = examples.usage_price("graduated", {"tiers": tiers}, REQUESTS)
    fra = {"region": "fra"}
    [line] = _rate_together(examples.catalogue(price), [total(REQUESTS, "190", fra)], [total(REQUESTS, "10", fra)])
    # Two thirds of the bound are 200, and of the first flat fee 2.00: 200 x 0.05 + 2. Apart, the first 100 would leave
    # 90 in the second tier.
    assert line.amount_minor == 1200


def test_a_segment_without_usage_brings_its_share_of_what_is_granted() -> None:
    price = examples.usage_price("per_unit", {"unit_amount": "0.10", "included_units": "300"}, REQUESTS)
    [line] = _rate_together(examples.catalogue(price), [total(REQUESTS, "250", {"region": "fra"})], [])
    # 100 are included for the first segment and 100 for the last.
    assert line.amount_minor == 500
    assert [part["quantity"] for part in line.derivation["segments"]] == ["250", "0"]


def test_kept_costs_are_added_up_by_combination_under_one_cap() -> None:
    first = [total(COST, "40.004", GEMINI), total(COST, "1", TAVILY), total(INPUT, "7", GEMINI)]
    third = [total(COST, "80.004", GEMINI, events=2), total(INPUT, "5", GEMINI)]
    lines = _rate_together(examples.catalogue(cap="150"), first, third)
    # 120.008 and 1.00; the cap is 2/3 of 150, so 121.01 - 100.00 is not charged.
    assert [(line.identity.kind, line.amount_minor) for line in lines] == [
        (LineKind.USAGE, 12_001),
        (LineKind.USAGE, 100),
        (LineKind.CAP, -2_101),
    ]
    gemini, tavily, cap = (line.derivation for line in lines)
    assert [part["quantity"] for part in gemini["segments"]] == ["40.004", "80.004"]
    assert [part["quantity"] for part in tavily["segments"]] == ["1", "0"]
    assert gemini["counted"] == {"input_tokens": "12"}
    assert [part["share_of_time"] for part in cap["segments"]] == ["1/3", "1/3"]
    assert {line.identity.segment_id for line in lines} == {_FIRST.id}


def test_only_rates_in_force_in_one_of_the_segments_explain_them() -> None:
    between = examples.list_price("input", "9", valid_from=make.at("2026-04-12"), valid_to=make.at("2026-04-15"))
    after = examples.list_price("input", "8", valid_from=make.at("2026-04-15"))
    totals = [total(COST, "1", GEMINI)]
    usage = usage_of(_SUBSCRIPTION, [_FIRST, _THIRD], {_THIRD.id: totals}, totals)
    rates = {("gemini", "gemini-2.5-pro"): [between, after]}
    [line] = usage_lines(replace(usage, rates=rates), examples.catalogue())
    assert [row["amount"] for row in line.derivation["rates"]] == ["8"]
