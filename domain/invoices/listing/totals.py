"""What invoices and credit notes add up to."""

from domain.invoices.credit_note import CreditKind
from domain.invoices.invoice import State
from domain.kernel.call import Environment
from domain.kernel.money import Money
from domain.kernel.values import dataclass


@dataclass(frozen=True, slots=True)
class InvoiceSum:
    """The invoices of one environment, currency and state: what they ask for, and what of it others took off.

    `applied` is what balances paid, `offset` what notes took off, `due` what is still to be paid.
    """

    environment: Environment
    currency: str
    state: State
    count: int
    net: Money
    tax: Money
    applied: Money
    offset: Money
    due: Money

    @property
    def total(self) -> Money:
        """What was to be paid in all."""
        return self.net + self.tax


@dataclass(frozen=True, slots=True)
class NoteSum:
    """The credit notes of one environment, currency and kind, and where what they give back went."""

    environment: Environment
    currency: str
    kind: CreditKind
    count: int
    net: Money
    tax: Money
    offset: Money
    credit: Money
    refund: Money
    to_wallets: Money

    @property
    def total(self) -> Money:
        """What they give back in all."""
        return self.net + self.tax
