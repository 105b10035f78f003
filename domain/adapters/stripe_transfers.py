"""Stripe's funding instructions and cash balances."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from domain.adapters.stripe_errors import errors
from domain.adapters.stripe_objects import id_of, instant
from domain.payments.listed import Page
from domain.payments.transfer import GatewayAccount, GatewayCash

if TYPE_CHECKING:
    import stripe

PAGE = 100
# The currencies in which Stripe gives customers accounts to transfer to. In euros it wants a country for them.
TRANSFERS: Mapping[str, Mapping[str, Any]] = {
    "USD": {"type": "us_bank_transfer"},
    "EUR": {"type": "eu_bank_transfer", "eu_bank_transfer": {"country": "DE"}},
    "GBP": {"type": "gb_bank_transfer"},
    "JPY": {"type": "jp_bank_transfer"},
    "MXN": {"type": "mx_bank_transfer"},
}
# What of a financial address a transfer needs, in the order in which banks ask for it.
_NEEDED = (
    *("account_holder_name", "bank_name", "iban", "bic", "account_number", "routing_number", "sort_code", "clabe"),
    *("swift_code", "bank_code", "branch_name", "branch_code", "account_type"),
)
_NUMBERS = ("iban", "account_number", "clabe")


class StripeTransfers:
    """Bank transfers at Stripe; it speaks through the gateway's client."""

    def __init__(self, api: "Callable[[], stripe.StripeClient]") -> None:
        """Open nothing."""
        self._api = api

    async def fetch_account(self, gateway_customer_id: str, currency: str, *, key: str) -> GatewayAccount | None:
        """Ask for the customer's virtual account, which Stripe makes at the first time."""
        if currency not in TRANSFERS:
            return None
        given: Any = {
            "bank_transfer": TRANSFERS[currency],
            "currency": currency.lower(),
            "funding_type": "bank_transfer",
        }
        with errors():
            found = await self._api().v1.customers.funding_instructions.create_async(
                gateway_customer_id, given, {"idempotency_key": key}
            )
        return _account(found.to_dict())

    async def list_cash(self, gateway_customer_id: str, *, after: str | None) -> Page[GatewayCash]:
        """List the transactions of the cash balance."""
        given: Any = {"limit": PAGE} | ({"starting_after": after} if after else {})
        with errors():
            page = await self._api().v1.customers.cash_balance_transactions.list_async(gateway_customer_id, given)
        items = [_cash(each.to_dict()) for each in page.data]
        return Page(items, items[-1].id if page.has_more and items else None)


def payment_settings(currency: str) -> Mapping[str, Any]:
    """Return by what a sent invoice may be paid: a transfer, or on its page a card. Elsewhere Stripe's own choice."""
    if currency not in TRANSFERS:
        return {}
    kinds = ["customer_balance", "card", *(["us_bank_account"] if currency == "USD" else [])]
    options = {"customer_balance": {"funding_type": "bank_transfer", "bank_transfer": TRANSFERS[currency]}}
    return {"payment_settings": {"payment_method_types": kinds, "payment_method_options": options}}


def _account(found: Mapping[str, Any]) -> GatewayAccount | None:
    transfer = found["bank_transfer"]
    address = next(iter(transfer["financial_addresses"]), None)
    if address is None:
        return None
    shown = address[address["type"]]
    details = tuple((name, str(shown[name])) for name in _NEEDED if shown.get(name))
    number = next((str(shown[name]) for name in _NUMBERS if shown.get(name)), "")
    country, bank = transfer["country"], shown.get("bank_name")
    return GatewayAccount(str(found["currency"]).upper(), country, bank, number[-4:], details)


def _cash(found: Mapping[str, Any]) -> GatewayCash:
    details = found.get(found["type"]) or {}
    return GatewayCash(
        id=found["id"],
        kind=found["type"],
        amount_minor=found["net_amount"],
        currency=str(found["currency"]).upper(),
        gateway_payment_id=id_of(details.get("payment_intent")),
        moved_at=instant(found["created"]),
    )
