"""Ledger entries as rows of a file that spreadsheets do not act on."""

from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, EntryId, encode
from domain.kernel.money import Money
from domain.ledger.account import Account, Posting
from domain.ledger.sheet import csv_text, rows_of
from domain.ledger.store import Entry
from tests import make


def test_each_line_of_an_entry_is_a_row_and_amounts_stay_numbers() -> None:
    customer, entry = CustomerId(make.new_id()), EntryId(make.new_id())
    lines = (Posting(Account.RECEIVABLE, Money(2_900, "USD")), Posting(Account.REVENUE, Money(-2_900, "USD")))
    posted = Entry(customer, entry, Environment.TEST, make.at("2026-01-31"), "invoice_opened", "inv_1", lines)
    head = (
        f"{encode('entry', entry)},{encode('customer', customer)},test,2026-01-31T00:00:00+00:00,invoice_opened,inv_1"
    )
    assert csv_text(rows_of([posted])).splitlines() == [
        f"{head},1,receivable,29.00,USD",
        f"{head},2,revenue,-29.00,USD",
    ]


def test_what_could_be_a_formula_is_marked_as_text() -> None:
    cells = ["=1+1", "+1", "-1-1", "@sum", "\ttab", "-12", "-1.50", "1", "plain", 'a "quoted", b']
    assert csv_text([cells]) == ('\'=1+1,\'+1,\'-1-1,\'@sum,\'\ttab,-12,-1.50,1,plain,"a ""quoted"", b"\r\n')
