"""Which accounts a cause moves, and what makes an entry."""

import pytest

from domain.kernel.money import Money
from domain.ledger import account as accounts
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


def _sums(*entries: list[Posting]) -> dict[str, int]:
    """Add entries up by account, each balanced; accounts of zero are left out."""
    found: dict[str, int] = {}
    for entry in entries:
        check_balanced(entry)
        for line in entry:
            found[line.account] = found.get(line.account, 0) + line.amount.minor
    return {name: minor for name, minor in found.items() if minor}


def test_a_dispute_holds_money_apart_and_gives_it_back_or_not() -> None:
    paid, held = collected(_usd(2900)), accounts.disputed(_usd(2900))
    assert _sums(paid, held) == {"receivable": -2900, "disputed": 2900}
    assert _sums(paid, held, accounts.disputed(_usd(-2900))) == _sums(paid)
    lost = accounts.lost(_usd(2900), _usd(0))
    assert _sums(paid, held, lost) == {"receivable": -2900, "bad_debt": 2900}
    assert _sums(paid, held, lost, accounts.reinstated(_usd(0), _usd(2900))) == _sums(paid)
    assert _sums(paid, held, lost, accounts.asked_again(_usd(2900)), collected(_usd(2900))) == _sums(paid)


def test_a_returned_debit_is_owed_again_but_for_what_is_too_little() -> None:
    paid, held = collected(_usd(2900)), accounts.disputed(_usd(2900))
    assert _sums(paid, held, accounts.returned(_usd(2900), _usd(0), _usd(0))) == {}
    less = accounts.returned(_usd(2800), _usd(100), _usd(0))
    assert _sums(paid, held, less) == {"receivable": -100, "bad_debt": 100}
    # What came back was asked for again meanwhile: 28.00 are the customer's.
    back = accounts.reinstated(_usd(2800), _usd(100))
    assert _sums(back) == {"cash": 2900, "unapplied_cash": -2800, "bad_debt": -100}


def test_money_that_no_invoice_could_take_is_the_customers_until_a_bank_takes_it() -> None:
    came, held = accounts.transferred(_usd(2900)), accounts.disputed(_usd(2900))
    assert _sums(came) == {"cash": 2900, "unapplied_cash": -2900}
    # Nothing was applied: nothing is lost. Of 29.00 of which 10.00 had paid another invoice, 10.00 are a loss.
    assert _sums(came, held, accounts.lost(_usd(0), _usd(2900))) == {}
    used = accounts.transferred(_usd(-1000)) + collected(_usd(1000))
    lost = {"receivable": -1000, "bad_debt": 1000}
    assert _sums(came, used, held, accounts.lost(_usd(1000), _usd(1900))) == lost
    assert _sums(came, used, held, accounts.returned(_usd(0), _usd(1000), _usd(1900))) == lost


def test_prepaid_credit_is_pending_while_its_payment_is_disputed() -> None:
    bought = accounts.ordered(_usd(500)) + collected(_usd(500)) + accounts.funded(_usd(500))
    assert _sums(bought, accounts.unfunded(_usd(300))) == {"cash": 500, "prepaid": -200, "prepaid_pending": -300}
    assert _sums(bought, accounts.unfunded(_usd(300)), accounts.funded(_usd(300))) == _sums(bought)
    ended = accounts.refunded_as_credit(_usd(300))
    assert _sums(bought, accounts.unfunded(_usd(300)), ended) == {
        "cash": 500,
        "prepaid": -200,
        "customer_credit": -300,
    }
