"""A payment method that a customer is about to give, and the mandate to debit an account."""

from dataclasses import field
from datetime import datetime
from enum import StrEnum

from domain.kernel.values import dataclass


class SetupWay(StrEnum):
    """How a customer gives a method. A bank account is verified at once through the bank, or by small deposits."""

    CARD = "card"
    ACH_INSTANT = "ach_instant"
    ACH_DEPOSITS = "ach_deposits"


class SetupState(StrEnum):
    """Where giving a method stands."""

    WAITING = "waiting"  # for what the customer enters on the gateway's form
    ACTION_REQUIRED = "action_required"  # the customer has to confirm it at the bank
    DEPOSITS_SENT = "deposits_sent"  # the customer has to tell which small deposits came
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


class DepositKind(StrEnum):
    """What the customer reads on the bank statement: two amounts, or a code that begins with SM."""

    AMOUNTS = "amounts"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class GatewaySetup:
    """A method that a customer is about to give, as the gateway has it now.

    `client_secret` opens the gateway's form in the customer's browser, and nothing else: it is never stored.
    `deposits_at` is about when small deposits arrive, `verification_url` the gateway's own page to tell them on.
    """

    id: str
    state: SetupState
    gateway_customer_id: str | None
    gateway_method_id: str | None
    client_secret: str | None = field(default=None, repr=False)
    deposit_kind: DepositKind | None = None
    deposits_at: datetime | None = None
    verification_url: str | None = None


@dataclass(frozen=True, slots=True)
class GatewayMandate:
    """A customer's permission to debit a bank account, as it stands now."""

    id: str
    gateway_method_id: str
    is_active: bool
