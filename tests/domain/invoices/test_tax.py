"""Tax per rate on the sum of the net lines. Figures from the worked cases of the rules."""

from decimal import Decimal

import pytest

from domain.invoices.tax import TaxableLine, taxes


def _taxes(*lines: tuple[int, str | None]) -> list[int]:
    return taxes([TaxableLine(net, None if rate is None else Decimal(rate)) for net, rate in lines])


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
