"""Prepaid wallets on invoices: `domain/credits/purse.py`."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from api.conformance.case import Found, Given
from domain.credits.purse import Payable, Purse, after, draws
from domain.credits.wallet import GrantSource, PayableKind, Wallet, WalletGrant
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, InvoiceId, WalletGrantId, WalletId

CURRENCY = "USD"
PRIORITY = 50
_AT = datetime(2026, 1, 1, tzinfo=UTC)


def _purse(number: int, given: Given) -> Purse:
    """Make a wallet that was bought whole; each is newer than the one before."""
    owner, created_at = CustomerId(UUID(int=0)), _AT + timedelta(hours=number)
    wallet = Wallet(
        customer_id=owner,
        id=WalletId(UUID(int=number)),
        environment=Environment.TEST,
        currency=CURRENCY,
        name=str(given.get("id", number)),
        priority=given.get("priority", PRIORITY),
        product_ids=frozenset(),
        kinds=frozenset(PayableKind(each) for each in given.get("fee_types", ())),
        zone="UTC",
        created_at=created_at,
        carried_to=created_at,
    )
    grant = WalletGrant(
        customer_id=owner,
        id=WalletGrantId(UUID(int=number)),
        wallet_id=wallet.id,
        source=GrantSource.PURCHASED,
        name=wallet.name,
        amount_minor=given["balance_minor"],
        balance_minor=given["balance_minor"],
        priority=PRIORITY,
        effective_at=created_at,
        expires_at=None,
        voided_at=None,
        rollover_max_minor=None,
        rollover_min_minor=0,
        refill=None,
        invoice_id=InvoiceId(UUID(int=number)),
        created_at=created_at,
    )
    return Purse(wallet, (grant,))


def _wallets(given: Given) -> Found:
    purses = [_purse(number, each) for number, each in enumerate(given["wallets"], 1)]
    lines: Sequence[Given] = given.get("fees") or [{"amount_minor": given["invoice_minor"]}]
    payables = [Payable(each["amount_minor"], PayableKind(each["type"]) if "type" in each else None) for each in lines]
    applied: dict[str, int] = {}
    for draw in draws(purses, payables):
        applied[draw.wallet.name] = applied.get(draw.wallet.name, 0) + draw.amount_minor
    return {"applied": applied, "left_to_pay_minor": given["invoice_minor"] - sum(applied.values())}


def _wallet_sequence(given: Given) -> Found:
    purse = _purse(1, {"balance_minor": given["wallet_minor"]})
    balances, due = list[int](), list[int]()
    for minor in given["invoices_minor"]:
        taken = draws([purse], [Payable(minor)])
        purse = after(purse, taken)
        balances.append(purse.balance_minor)
        due.append(minor - sum(each.amount_minor for each in taken))
    return {"balances_minor": balances, "due_minor": due}


KINDS = {"wallets": _wallets, "wallet_sequence": _wallet_sequence}
