"""What the gateway knows of bank transfers: the account of a customer, and what moved on it."""

from dataclasses import field
from datetime import datetime

from domain.kernel.values import dataclass


@dataclass(frozen=True, slots=True)
class GatewayAccount:
    """The account that one customer transfers to, for one currency: money that comes there is the customer's.

    `details` are what a transfer needs, as names and values in the gateway's words: account_number, iban, bic ….
    """

    currency: str
    country: str
    bank_name: str | None
    last4: str
    details: tuple[tuple[str, str], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class GatewayCash:
    """A movement of what a customer has transferred and no payment has used yet; below zero, it was used or went back.

    `kind` is the gateway's word: funded, applied_to_payment ….
    """

    id: str
    kind: str
    amount_minor: int
    currency: str
    gateway_payment_id: str | None
    moved_at: datetime
