"""Where the account of prepaid money is not what is left in wallets."""

from domain.credits.prepaid import PrepaidDifference, differences
from domain.kernel.money import Money
from domain.ledger.account import Account


def _usd(minor: int) -> Money:
    return Money(minor, "USD")


def test_what_the_account_owes_is_what_wallets_hold() -> None:
    balances = [(Account.CASH, _usd(5_000)), (Account.PREPAID, _usd(-5_000)), (Account.PREPAID, Money(0, "EUR"))]
    assert differences(balances, [_usd(5_000)]) == []


def test_each_currency_that_differs_is_named_also_where_one_side_has_none() -> None:
    balances = [(Account.PREPAID, _usd(-5_000)), (Account.PREPAID, Money(-100, "EUR"))]
    held = [_usd(4_000), Money(7, "JPY")]
    assert differences(balances, held) == [
        PrepaidDifference(Money(100, "EUR"), Money(0, "EUR")),
        PrepaidDifference(Money(0, "JPY"), Money(7, "JPY")),
        PrepaidDifference(_usd(5_000), _usd(4_000)),
    ]
