"""Which accounts a cause moves, and what makes an entry."""

import pytest

from domain.kernel.money import Money
from domain.ledger.account import Account, EntryUnbalanced, Posting, check_balanced, collected, invoiced


def _usd(minor: int) -> Money:
    return Money(minor, "USD")


def test_an_opened_invoice_is_owed_whole_and_parted_into_revenue_and_tax() -> None:
    assert invoiced(_usd(2900), _usd(551)) == [
        Posting(Account.RECEIVABLE, _usd(3451)),  # 29.00 + 5.51
        Posting(Account.REVENUE, _usd(-2900)),
        Posting(Account.TAX_PAYABLE, _usd(-551)),
    ]


def test_no_line_is_posted_where_there_is_no_tax() -> None:
    assert [line.account for line in invoiced(_usd(2900), _usd(0))] == [Account.RECEIVABLE, Account.REVENUE]


def test_a_payment_turns_what_is_owed_into_cash() -> None:
    assert collected(_usd(2900)) == [Posting(Account.CASH, _usd(2900)), Posting(Account.RECEIVABLE, _usd(-2900))]


def test_a_payment_of_what_was_written_off_takes_the_loss_back() -> None:
    assert [line.account for line in collected(_usd(2900), written_off=True)] == [Account.CASH, Account.BAD_DEBT]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [Posting(Account.CASH, _usd(5))],
        [Posting(Account.CASH, _usd(5)), Posting(Account.RECEIVABLE, _usd(-4))],
        [Posting(Account.CASH, _usd(5)), Posting(Account.RECEIVABLE, Money(-5, "EUR"))],
        [Posting(Account.CASH, _usd(0)), Posting(Account.RECEIVABLE, _usd(0))],
    ],
)
def test_lines_that_do_not_balance_in_each_currency_make_no_entry(lines: list[Posting]) -> None:
    with pytest.raises(EntryUnbalanced):
        check_balanced(lines)


def test_an_entry_may_hold_several_currencies_each_balanced() -> None:
    check_balanced(collected(_usd(5)) + collected(Money(7, "EUR")))
