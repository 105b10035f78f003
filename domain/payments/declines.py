"""Why a payment was declined and what that means for the next one: a table, and the rule that reads it."""

from enum import StrEnum

from domain.kernel.values import dataclass


class DeclineClass(StrEnum):
    """What may be done after a decline, from the strictest to the mildest."""

    HARD = "hard"  # never again on this method
    CUSTOMER = "customer"  # the customer has to authenticate
    DATA = "data"  # the customer has to correct or renew the method
    SOFT = "soft"  # a later retry may succeed


@dataclass(frozen=True, slots=True)
class Decline:
    """A refusal in the gateway's words and its class in ours. All codes are optional: not every network gives them."""

    kind: DeclineClass
    code: str | None = None
    decline_code: str | None = None
    advice_code: str | None = None
    network_decline_code: str | None = None
    network_advice_code: str | None = None


# The outcome of an attempt could not be found out before its key expired; nothing was charged.
OUTCOME_LOST = "outcome_lost"
# The method of an ordered attempt was detached before it was charged.
METHOD_DETACHED = "payment_method_detached"
# Staff had recorded the payment and took it back.
PAYMENT_REVERSED = "payment_reversed"
# The customer did not confirm the payment at the bank while it could be.
NOT_CONFIRMED = "not_confirmed_in_time"

_BY_CODE = {
    **dict.fromkeys(
        "incorrect_number lost_card pickup_card stolen_card revocation_of_authorization "
        "revocation_of_all_authorizations highest_risk_level transaction_not_allowed "
        "fraudulent merchant_blacklist".split(),
        DeclineClass.HARD,
    ),
    "authentication_required": DeclineClass.CUSTOMER,
    **dict.fromkeys(
        "expired_card incorrect_cvc invalid_cvc invalid_expiry_month invalid_expiry_year".split(), DeclineClass.DATA
    ),
}
_BY_ADVICE = {"do_not_try_again": DeclineClass.HARD, "confirm_card_data": DeclineClass.DATA}
_BY_NETWORK_CODE = dict.fromkeys("04 07 14 41 43 46 57 R0 R1 R3".split(), DeclineClass.HARD)
_BY_NETWORK_ADVICE = dict.fromkeys("03 21".split(), DeclineClass.HARD)
_STRICTEST_FIRST = tuple(DeclineClass)


def classify(
    code: str | None,
    *,
    decline_code: str | None = None,
    advice_code: str | None = None,
    network_decline_code: str | None = None,
    network_advice_code: str | None = None,
) -> Decline:
    """Put a decline into its class: the strictest one that any of its codes names, soft where none says anything."""
    named = {
        _BY_CODE.get(code or ""),
        _BY_CODE.get(decline_code or ""),
        _BY_ADVICE.get(advice_code or ""),
        _BY_NETWORK_CODE.get(network_decline_code or ""),
        _BY_NETWORK_ADVICE.get(network_advice_code or ""),
    }
    kind = next((found for found in _STRICTEST_FIRST if found in named), DeclineClass.SOFT)
    return Decline(kind, code, decline_code, advice_code, network_decline_code, network_advice_code)


def advice(decline: Decline) -> str:
    """Say to the customer what to do. It never tells why a hard decline happened: that may be a fraud rule."""
    if decline.kind is DeclineClass.DATA:
        return "The details of the payment method are out of date. Please update them."
    if decline.kind is DeclineClass.CUSTOMER:
        return "Your bank asks you to confirm the payment."
    if "insufficient_funds" in (decline.code, decline.decline_code):
        return "The account did not have enough funds."
    return "The payment method was declined. Please use another one or speak to your bank."
