"""Tax per rate on the sum of the net lines. Figures from the worked cases of the rules."""

from decimal import Decimal

import pytest

from domain.invoices.tax import NoTax, Rate, Taxable, TaxableLine, Treatment, spread, tax_invoice, taxes


def _taxes(*lines: tuple[int, str | None]) -> list[int]:
    return taxes([TaxableLine(net, None if rate is None else Decimal(rate)) for net, rate in lines])


def _treatment(percent: str | None) -> Treatment:
    return Treatment((Rate("VAT", Decimal(percent)),)) if percent else Treatment(reason=NoTax.EXEMPT)


@pytest.mark.parametrize(
    ("lines", "total"),
    [
        ([(999, "21")], 210),  # 209.79
        ([(10000, "20"), (5000, "20"), (8000, "5")], 3400),  # 3,000 + 400
        ([(6833, "20")] * 4, 5466),  # 27,332 x 0.2 = 5,466.4, where each line alone would give 1,367 x 4 = 5,468
        ([(124, "10"), (124, "10")], 25),  # 24.8, where each line alone would give 12 + 12
        ([(10000, None), (5000, "0")], 0),
        ([], 0),
    ],
)
def test_tax_is_taken_once_per_rate(lines: list[tuple[int, str | None]], total: int) -> None:
    assert sum(_taxes(*lines)) == total


def test_tax_is_spread_over_its_lines_by_largest_remainder() -> None:
    # 27,332 x 0.2 = 5,466.4 -> 5,466 = 4 x 1,366 + 2: the first two lines take the cents.
    assert _taxes(*[(6833, "20")] * 4) == [1367, 1367, 1366, 1366]
    assert _taxes((9500, "10"), (4750, "0"), (2850, "20"), (1900, "20")) == [950, 0, 570, 380]


def test_a_line_that_takes_off_lowers_the_tax() -> None:
    # (17,057 - 2,057) x 20 % = 3,000; the credit of 2,057 takes back 411.4 -> 411, the charges bear 3,411.
    shares = _taxes((12046, "20"), (5011, "20"), (-2057, "20"))
    assert sum(shares) == 3000
    assert shares[2] == -411
    # Charges and credits that cancel out bear no tax together.
    assert sum(_taxes((321, "20"), (-321, "20"))) == 0


def test_an_invoice_states_each_rate_with_its_base_and_each_reason_for_none() -> None:
    lines = [(10000, "19"), (5000, None), (333, "7"), (1000, "19")]
    stated = tax_invoice([Taxable(net, _treatment(rate)) for net, rate in lines])
    # 11,000 x 0.19 = 2,090; 333 x 0.07 = 23.31.
    assert [(tax.stated, tax.base_minor, tax.tax_minor) for tax in stated] == [
        (Rate("VAT", Decimal(19)), 11000, 2090),
        (NoTax.EXEMPT, 5000, 0),
        (Rate("VAT", Decimal(7)), 333, 23),
    ]


def test_a_tax_that_prices_contain_is_the_gross_less_the_net() -> None:
    inclusive = Treatment((Rate("VAT", Decimal(19), inclusive=True),))
    [stated] = tax_invoice([Taxable(2900, inclusive), Taxable(1000, inclusive), Taxable(-500, inclusive)])
    # 3,400 / 1.19 = 2,857.14 -> 2,857 net, so 543 tax. Credits: -500 / 1.19 = -420.17 -> -420, so -80 of it.
    assert (stated.base_minor, stated.tax_minor, stated.is_included) == (2857, 543, True)
    # 623 over 2,900 and 1,000: 463.26 and 159.74; the cent goes to the larger remainder.
    assert [part.tax_minor for part in stated.parts] == [463, 160, -80]


def test_rates_that_are_taken_together_are_each_taken_of_the_net() -> None:
    both = Treatment((Rate("GST", Decimal(5)), Rate("QST", Decimal("9.975"))))
    gst, qst = tax_invoice([Taxable(10000, both)])
    assert (gst.base_minor, gst.tax_minor, qst.base_minor, qst.tax_minor) == (10000, 500, 10000, 998)
    inclusive = Treatment(
        (Rate("GST", Decimal(5), inclusive=True), Rate("PST", Decimal(7), inclusive=True)),
    )
    # 11,200 / 1.12 = 10,000: 1,200 are split 5 : 7.
    gst, pst = tax_invoice([Taxable(11200, inclusive)])
    assert (gst.base_minor, gst.tax_minor, pst.base_minor, pst.tax_minor) == (10000, 500, 10000, 700)


def test_a_tax_that_was_computed_elsewhere_is_spread_over_charges_and_credits_apart() -> None:
    # 90 on 900: the credit of 300 bears -30, the charges of 800 and 400 bear 80 and 40.
    assert spread(90, [800, 400, -300]) == [80, 40, -30]
    assert spread(0, [500, -500]) == [0, 0]
