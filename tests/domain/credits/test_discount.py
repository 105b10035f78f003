"""What coupons take off a line, and how it is stored."""

from domain.credits.discount import Discount, from_json, to_json, total_of
from domain.kernel.money import Money

_FIRST = Discount("app_1", "welcome", "Welcome", Money(300, "EUR"))
_SECOND = Discount("app_2", "loyal", "Loyal", Money(45, "EUR"))


def test_discounts_are_read_as_they_were_written_in_their_order() -> None:
    stored = to_json((_SECOND, _FIRST))
    assert stored == [
        {"applied": "app_2", "coupon": "loyal", "name": "Loyal", "amount_minor": 45},
        {"applied": "app_1", "coupon": "welcome", "name": "Welcome", "amount_minor": 300},
    ]
    assert from_json(stored, "EUR") == (_SECOND, _FIRST)


def test_the_discounts_of_a_line_add_up_and_none_are_zero_in_its_currency() -> None:
    assert total_of((_FIRST, _SECOND), "EUR") == Money(345, "EUR")
    assert total_of((), "JPY") == Money(0, "JPY")
