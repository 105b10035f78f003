"""Stripe's setup intents, mandates and the removal of payment methods."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from domain.adapters import stripe_objects
from domain.adapters.stripe_errors import errors, or_none
from domain.payments.setup import DepositKind, GatewayMandate, GatewaySetup, SetupState, SetupWay

if TYPE_CHECKING:
    import stripe

# Every kind that the other way would offer: with automatic methods Stripe's form shows what is not excluded.
_EXCLUDED = {SetupWay.CARD: ["us_bank_account"], SetupWay.ACH_INSTANT: ["card"], SetupWay.ACH_DEPOSITS: ["card"]}
_VERIFICATION = {SetupWay.ACH_INSTANT: "instant", SetupWay.ACH_DEPOSITS: "microdeposits"}
_STATES = {
    "requires_payment_method": SetupState.WAITING,
    "requires_confirmation": SetupState.WAITING,
    "requires_action": SetupState.ACTION_REQUIRED,
    "processing": SetupState.PROCESSING,
    "succeeded": SetupState.SUCCEEDED,
    "canceled": SetupState.CANCELED,
}
_DEPOSITS = {"amounts": DepositKind.AMOUNTS, "descriptor_code": DepositKind.CODE}


class StripeDesk:
    """Keeps payment methods at Stripe; it speaks through the gateway's client."""

    def __init__(self, api: "Callable[[], stripe.StripeClient]") -> None:
        """Open nothing."""
        self._api = api

    async def start_setup(self, gateway_customer_id: str, way: SetupWay, *, key: str) -> GatewaySetup:
        """Make a setup intent whose method can be charged off session."""
        given: Any = {
            "customer": gateway_customer_id,
            "usage": "off_session",
            "automatic_payment_methods": {"enabled": True},
            "excluded_payment_method_types": _EXCLUDED[way],
        }
        if way in _VERIFICATION:
            given["payment_method_options"] = {"us_bank_account": {"verification_method": _VERIFICATION[way]}}
        with errors():
            made = await self._api().v1.setup_intents.create_async(given, {"idempotency_key": key})
        return _setup(made.to_dict())

    async def fetch_setup(self, gateway_setup_id: str) -> GatewaySetup | None:
        """Return a setup intent, or None."""
        with errors():
            found = await or_none(self._api().v1.setup_intents.retrieve_async(gateway_setup_id))
        return _setup(found) if found else None

    async def verify_deposits(
        self, gateway_setup_id: str, *, amounts: tuple[int, int] | None, code: str | None, key: str
    ) -> GatewaySetup:
        """Verify the micro-deposits of a setup intent."""
        given: Any = {"amounts": list(amounts)} if amounts is not None else {"descriptor_code": code}
        with errors():
            done = await self._api().v1.setup_intents.verify_microdeposits_async(
                gateway_setup_id, given, {"idempotency_key": key}
            )
        return _setup(done.to_dict())

    async def detach_method(self, gateway_method_id: str, *, key: str) -> None:
        """Detach a method after a look whether it still is attached: Stripe refuses to do so twice."""
        with errors():
            found = await or_none(self._api().v1.payment_methods.retrieve_async(gateway_method_id))
        if found is None or found.get("customer") is None:
            return
        with errors():
            await self._api().v1.payment_methods.detach_async(gateway_method_id, {}, {"idempotency_key": key})

    async def fetch_mandate(self, gateway_mandate_id: str) -> GatewayMandate | None:
        """Return a mandate, or None."""
        with errors():
            found = await or_none(self._api().v1.mandates.retrieve_async(gateway_mandate_id))
        if found is None:
            return None
        method_id = stripe_objects.id_of(found["payment_method"])
        return GatewayMandate(found["id"], method_id or "", found["status"] == "active")


def _setup(found: Mapping[str, Any]) -> GatewaySetup:
    action = found.get("next_action") or {}
    deposits = action.get("verify_with_microdeposits")
    return GatewaySetup(
        id=found["id"],
        state=SetupState.DEPOSITS_SENT if deposits else _STATES[found["status"]],
        gateway_customer_id=stripe_objects.id_of(found.get("customer")),
        gateway_method_id=stripe_objects.id_of(found.get("payment_method")),
        client_secret=found.get("client_secret"),
        deposit_kind=_DEPOSITS.get(deposits.get("microdeposit_type")) if deposits else None,
        deposits_at=stripe_objects.instant(deposits["arrival_date"]) if deposits else None,
        verification_url=deposits.get("hosted_verification_url") if deposits else None,
    )
