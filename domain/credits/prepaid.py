"""Whether the books hold what wallets do: the account of prepaid money against the balances of what was paid for."""

from collections.abc import Iterable

from domain.kernel.money import Money
from domain.kernel.values import dataclass
from domain.ledger.account import Account


@dataclass(frozen=True, slots=True)
class PrepaidDifference:
    """A currency in which the account of prepaid money (`booked`) is not what is left in wallets (`held`)."""

    booked: Money
    held: Money


def differences(balances: Iterable[tuple[Account, Money]], held: Iterable[Money]) -> list[PrepaidDifference]:
    """Compare the balances of accounts with what is left of all that was paid for, by currency.

    Prepaid money is owed to customers: its account grows below zero.
    """
    booked = {amount.currency: -amount.minor for account, amount in balances if account is Account.PREPAID}
    kept = {amount.currency: amount.minor for amount in held}
    return [
        PrepaidDifference(Money(booked.get(currency, 0), currency), Money(kept.get(currency, 0), currency))
        for currency in sorted(booked.keys() | kept.keys())
        if booked.get(currency, 0) != kept.get(currency, 0)
    ]
