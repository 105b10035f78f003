"""Wallets and grants for tests of pure rules."""

from datetime import datetime
from typing import Any
from uuid import UUID

from domain.credits.purse import Purse
from domain.credits.wallet import GrantSource, Wallet, WalletGrant
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, InvoiceId, WalletGrantId, WalletId
from tests import make

OWNER = CustomerId(UUID(int=0))
STARTED = make.at("2026-01-01")


def wallet(number: int = 1, **changed: Any) -> Wallet:
    """Make a wallet, begun on 1 January 2026."""
    values: dict[str, Any] = {
        "customer_id": OWNER,
        "id": WalletId(UUID(int=number)),
        "environment": Environment.TEST,
        "currency": "USD",
        "name": f"Wallet {number}",
        "priority": 50,
        "product_ids": frozenset(),
        "kinds": frozenset(),
        "zone": "UTC",
        "created_at": STARTED,
        "carried_to": STARTED,
    }
    return Wallet(**{**values, **changed})


def grant(number: int, minor: int, *, paid: bool = False, **changed: Any) -> WalletGrant:
    """Make a grant of the first wallet that began with it."""
    values: dict[str, Any] = {
        "customer_id": OWNER,
        "id": WalletGrantId(UUID(int=number)),
        "wallet_id": WalletId(UUID(int=1)),
        "source": GrantSource.PURCHASED if paid else GrantSource.PROMOTIONAL,
        "name": f"Grant {number}",
        "amount_minor": minor,
        "balance_minor": minor,
        "priority": 50,
        "effective_at": STARTED,
        "expires_at": None,
        "voided_at": None,
        "rollover_max_minor": None,
        "rollover_min_minor": 0,
        "refill": None,
        "invoice_id": InvoiceId(UUID(int=number)) if paid else None,
        "created_at": STARTED,
    }
    return WalletGrant(**{**values, **changed})


def purse(*grants: WalletGrant, **changed: Any) -> Purse:
    """Put grants into a wallet."""
    return Purse(wallet(**changed), grants)


def day(number: int, *, month: int = 1) -> datetime:
    """Return a day of 2026."""
    return make.at(f"2026-{month:02}-{number:02}")
