"""The merchant's accounts, and which of them each cause moves."""

from collections import defaultdict
from collections.abc import Sequence
from enum import StrEnum

from domain.kernel.call import Environment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.money import Money
from domain.kernel.values import dataclass


class Account(StrEnum):
    """Where money stands. Receivable, cash, disputed, bad debt and promotion grow by debits, the others by credits.

    Prepaid is what customers have paid for and not used; prepaid pending is ordered and not paid for yet, or its
    payment is disputed. Promotion is what was given away and paid invoices, breakage what was paid for and never used.
    Disputed is what banks hold until a dispute is decided. Unapplied cash came from customers and has paid no invoice
    yet: transfers, and money that no invoice could take.
    """

    RECEIVABLE = "receivable"
    REVENUE = "revenue"
    TAX_PAYABLE = "tax_payable"
    CASH = "cash"
    CUSTOMER_CREDIT = "customer_credit"
    BAD_DEBT = "bad_debt"
    PREPAID = "prepaid"
    PREPAID_PENDING = "prepaid_pending"
    PROMOTION = "promotion"
    BREAKAGE = "breakage"
    DISPUTED = "disputed"
    UNAPPLIED_CASH = "unapplied_cash"


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of an entry: a positive amount is a debit, a negative one a credit. Never zero."""

    account: Account
    amount: Money


@dataclass(frozen=True, slots=True)
class Books:
    """The balance of each account and currency of one environment, and how many entries are no entries."""

    environment: Environment
    balances: tuple[tuple[Account, Money], ...]
    unbalanced: int

    @property
    def differences(self) -> dict[str, int]:
        """What the accounts add up to in each currency, in minor units, where that is not zero."""
        sums: dict[str, int] = defaultdict(int)
        for _, amount in self.balances:
            sums[amount.currency] += amount.minor
        return {currency: total for currency, total in sums.items() if total}

    @property
    def hold(self) -> bool:
        """Whether every entry is balanced, and so is their sum."""
        return not self.differences and not self.unbalanced


@dataclass(eq=False)
class EntryUnbalanced(DomainError):
    """A ledger entry needs at least two lines that add up to zero in each currency; none of them may be zero."""

    code = "entry_unbalanced"
    kind = Kind.INVALID


def check_balanced(postings: Sequence[Posting]) -> None:
    """Refuse lines that make no entry; the database refuses them once more. Raises EntryUnbalanced."""
    sums: dict[str, int] = defaultdict(int)
    for posting in postings:
        sums[posting.amount.currency] += posting.amount.minor
    if len(postings) < 2 or any(sums.values()) or not all(posting.amount.minor for posting in postings):
        raise EntryUnbalanced


def invoiced(net: Money, tax: Money) -> list[Posting]:
    """Post an opened invoice: the customer owes net and tax; the net is revenue, the tax is owed to the state."""
    lines = (
        Posting(Account.RECEIVABLE, net + tax),
        Posting(Account.REVENUE, -net),
        Posting(Account.TAX_PAYABLE, -tax),
    )
    return [line for line in lines if line.amount.minor]


def collected(amount: Money, *, written_off: bool = False) -> list[Posting]:
    """Post a payment of what was receivable, or had been written off as a bad debt."""
    return [Posting(Account.CASH, amount), Posting(Account.BAD_DEBT if written_off else Account.RECEIVABLE, -amount)]


def transferred(amount: Money) -> list[Posting]:
    """Post money of a customer that paid no invoice yet: owed to it until one uses it; below zero, it was used or left.

    It was transferred, or came for an invoice that could not take it.
    """
    return [Posting(Account.CASH, amount), Posting(Account.UNAPPLIED_CASH, -amount)]


def paid_back(amount: Money) -> list[Posting]:
    """Post a refund whose money has left, against what is owed to the customer; below zero, that it came back."""
    return [Posting(Account.RECEIVABLE, amount), Posting(Account.CASH, -amount)]


def applied(amount: Money) -> list[Posting]:
    """Post what the customer's credit paid of an invoice."""
    return [Posting(Account.CUSTOMER_CREDIT, amount), Posting(Account.RECEIVABLE, -amount)]


def kept(amount: Money) -> list[Posting]:
    """Post what the merchant owes for an invoice below zero as customer credit."""
    return [Posting(Account.RECEIVABLE, amount), Posting(Account.CUSTOMER_CREDIT, -amount)]


def credited(amount: Money) -> list[Posting]:
    """Post that money which no invoice could take becomes the customer's credit."""
    return [Posting(Account.UNAPPLIED_CASH, amount), Posting(Account.CUSTOMER_CREDIT, -amount)]


def written_off(amount: Money) -> list[Posting]:
    """Post what is given up of an open invoice."""
    return [Posting(Account.BAD_DEBT, amount), Posting(Account.RECEIVABLE, -amount)]


def ordered(amount: Money) -> list[Posting]:
    """Post an opened top-up invoice: no revenue yet, and nothing that could be used yet."""
    return [Posting(Account.RECEIVABLE, amount), Posting(Account.PREPAID_PENDING, -amount)]


def funded(amount: Money) -> list[Posting]:
    """Post that a top-up was paid: from now on it can be used."""
    return [Posting(Account.PREPAID_PENDING, amount), Posting(Account.PREPAID, -amount)]


def unfunded(amount: Money) -> list[Posting]:
    """Post that prepaid credit cannot be used while its payment is disputed."""
    return [Posting(Account.PREPAID_PENDING, -amount), Posting(Account.PREPAID, amount)]


def refunded_as_credit(amount: Money) -> list[Posting]:
    """Post that prepaid credit whose grant has ended meanwhile becomes customer credit."""
    return [Posting(Account.PREPAID_PENDING, amount), Posting(Account.CUSTOMER_CREDIT, -amount)]


def disputed(amount: Money) -> list[Posting]:
    """Post that a bank has taken a payment back until a dispute is decided; below zero, that it gave it back."""
    return [Posting(Account.DISPUTED, amount), Posting(Account.CASH, -amount)]


def lost(rest: Money, unapplied: Money) -> list[Posting]:
    """Post that what a bank had taken is gone: the customer's own where it was unapplied, a loss for the rest."""
    lines = (
        Posting(Account.BAD_DEBT, rest),
        Posting(Account.UNAPPLIED_CASH, unapplied),
        Posting(Account.DISPUTED, -(rest + unapplied)),
    )
    return [line for line in lines if line.amount.minor]


def returned(owed: Money, rest: Money, unapplied: Money) -> list[Posting]:
    """Post that a bank has returned a debit: `owed` is asked for again; of the rest as for what is lost."""
    lines = (
        Posting(Account.RECEIVABLE, owed),
        Posting(Account.BAD_DEBT, rest),
        Posting(Account.UNAPPLIED_CASH, unapplied),
        Posting(Account.DISPUTED, -(owed + rest + unapplied)),
    )
    return [line for line in lines if line.amount.minor]


def reinstated(unapplied: Money, from_bad_debt: Money) -> list[Posting]:
    """Post that a bank gave back what was lost: what no invoice misses any more is the customer's, unapplied."""
    lines = (
        Posting(Account.CASH, unapplied + from_bad_debt),
        Posting(Account.UNAPPLIED_CASH, -unapplied),
        Posting(Account.BAD_DEBT, -from_bad_debt),
    )
    return [line for line in lines if line.amount.minor]


def asked_again(amount: Money) -> list[Posting]:
    """Post that what was lost is asked for again."""
    return [Posting(Account.RECEIVABLE, amount), Posting(Account.BAD_DEBT, -amount)]


def drawn(prepaid: Money, promotion: Money) -> list[Posting]:
    """Post what wallets paid of an invoice: what had been paid for, and what had been given away."""
    lines = (
        Posting(Account.PREPAID, prepaid),
        Posting(Account.PROMOTION, promotion),
        Posting(Account.RECEIVABLE, -(prepaid + promotion)),
    )
    return [line for line in lines if line.amount.minor]


def lapsed(amount: Money) -> list[Posting]:
    """Post what was paid for and will never be used: it expired, or was voided."""
    return [Posting(Account.PREPAID, amount), Posting(Account.BREAKAGE, -amount)]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where what was paid of an invoice goes back to; the parts add up to what is given back."""

    due: Money
    credit: Money
    refund: Money
    prepaid: Money
    promotion: Money


def given_back(
    net: Money, tax: Money, to: Sources, *, written_off: bool, earned: Account = Account.REVENUE
) -> list[Posting]:
    """Post what is taken back of an invoice: its net and tax, against what was due and what had been paid.

    `earned` is where its net stands: a top-up earned no revenue. A refund is owed to the customer until the money has
    left: it stands as a receivable below zero till then.
    """
    lines = (
        Posting(earned, net),
        Posting(Account.TAX_PAYABLE, tax),
        Posting(Account.BAD_DEBT if written_off else Account.RECEIVABLE, -to.due),
        Posting(Account.CUSTOMER_CREDIT, -to.credit),
        Posting(Account.PREPAID, -to.prepaid),
        Posting(Account.PROMOTION, -to.promotion),
        Posting(Account.RECEIVABLE, -to.refund),
    )
    return [line for line in lines if line.amount.minor]
