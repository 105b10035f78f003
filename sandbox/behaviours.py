"""What test payment methods do: Stripe's documented test ids and card numbers, and the declines behind them.

Stripe refuses to attach the cards named `chargeDeclined…` at all (use `pm_card_chargeCustomerFail` there to get a card
that attaches and then declines). Here a plain attach of them succeeds, so that every decline can be had from a saved
card; a SetupIntent refuses them as Stripe does.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decline:
    """How a refused payment is reported. `code` is the error's, `decline_code` the issuer's, None for bank debits."""

    code: str
    decline_code: str | None
    message: str
    advice_code: str | None = None
    network_decline_code: str | None = None


@dataclass(frozen=True, slots=True)
class TestMethod:
    """A test payment method: `number` is a card or account number, `charge` and `setup` name a behaviour."""

    kind: str
    number: str
    brand: str = "visa"
    charge: str = "succeeds"
    setup: str = "succeeds"
    refund: str = "succeeds"


def _card(decline_code: str, message: str, advice: str | None, network: str, code: str = "card_declined") -> Decline:
    return Decline(code, decline_code, message, advice, network)


LATER, NEVER, CONFIRM = "try_again_later", "do_not_try_again", "confirm_card_data"
PLAIN = "Your card was declined."

DECLINES: dict[str, Decline] = {
    "generic_decline": _card("generic_decline", PLAIN, LATER, "05"),
    "do_not_honor": _card("do_not_honor", PLAIN, LATER, "05"),
    "insufficient_funds": _card("insufficient_funds", "Your card has insufficient funds.", LATER, "51"),
    "card_velocity_exceeded": _card(
        "card_velocity_exceeded",
        "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
        LATER,
        "61",
    ),
    "issuer_not_available": _card("issuer_not_available", PLAIN, LATER, "91"),
    "lost_card": _card("lost_card", PLAIN, NEVER, "41"),
    "stolen_card": _card("stolen_card", PLAIN, NEVER, "43"),
    "pickup_card": _card("pickup_card", PLAIN, NEVER, "04"),
    "transaction_not_allowed": _card("transaction_not_allowed", PLAIN, NEVER, "57"),
    "revocation_of_authorization": _card("revocation_of_authorization", PLAIN, NEVER, "R1"),
    "revocation_of_all_authorizations": _card("revocation_of_all_authorizations", PLAIN, NEVER, "R3"),
    "fraudulent": _card("fraudulent", PLAIN, NEVER, "59"),
    "expired_card": _card("expired_card", "Your card has expired.", CONFIRM, "54", code="expired_card"),
    "incorrect_cvc": _card(
        "incorrect_cvc",
        "Your card's security code is incorrect.",
        CONFIRM,
        "N7",
        code="incorrect_cvc",
    ),
    "incorrect_number": _card(
        "incorrect_number",
        "Your card number is incorrect.",
        CONFIRM,
        "14",
        code="incorrect_number",
    ),
    "processing_error": _card(
        "processing_error",
        "An error occurred while processing your card. Try again in a little bit.",
        LATER,
        "96",
        code="processing_error",
    ),
    "authentication_required": _card(
        "authentication_required",
        "Your card was declined. This transaction requires authentication.",
        None,
        "1A",
        code="authentication_required",
    ),
}
"""Refusals of cards by their decline code."""

RETURNS: dict[str, Decline] = {
    "account_closed": Decline("account_closed", None, "The customer's bank account has been closed."),
    "no_account": Decline("no_account", None, "The customer's bank account could not be located."),
    "insufficient_funds": Decline(
        "insufficient_funds",
        None,
        "The customer's account has insufficient funds to cover this payment.",
    ),
    "debit_not_authorized": Decline(
        "debit_not_authorized",
        None,
        "The customer has notified their bank that this payment was unauthorized.",
    ),
}
"""Failures of bank debits, found only when the debit settles."""

COLLECTING = frozenset({"succeeds", "disputes"})
"""The behaviours that end with the money; `disputes` takes it back right afterwards."""

CHALLENGE = "authentication_required"
CHARGES = {
    "card": frozenset({"succeeds", "disputes", "authenticates", *DECLINES}),
    "us_bank_account": frozenset({"succeeds", "disputes", "hangs", *RETURNS}),
}
"""Every behaviour of a charge by type: `authenticates` asks for authentication every time, `hangs` never settles."""

TEST_METHODS: dict[str, TestMethod] = {
    "pm_card_visa": TestMethod("card", "4242424242424242"),
    "pm_card_visa_debit": TestMethod("card", "4000056655665556"),
    "pm_card_mastercard": TestMethod("card", "5555555555554444", "mastercard"),
    "pm_card_amex": TestMethod("card", "378282246310005", "amex"),
    "pm_card_discover": TestMethod("card", "6011111111111117", "discover"),
    "pm_card_chargeCustomerFail": TestMethod("card", "4000000000000341", charge="generic_decline"),
    "pm_card_createDispute": TestMethod("card", "4000000000000259", charge="disputes"),
    "pm_card_refundFail": TestMethod("card", "4000000000005126", refund="fails"),
    "pm_card_pendingRefund": TestMethod("card", "4000000000007726", refund="pends"),
    "pm_card_authenticationRequired": TestMethod(
        "card",
        "4000002760003184",
        charge="authenticates",
        setup="authenticates",
    ),
    "pm_card_authenticationRequiredOnSetup": TestMethod("card", "4000002500003155", setup="authenticates"),
    "pm_usBankAccount_success": TestMethod("us_bank_account", "000123456789"),
    "pm_usBankAccount_accountClosed": TestMethod("us_bank_account", "000111111113", charge="account_closed"),
    "pm_usBankAccount_noAccount": TestMethod("us_bank_account", "000111111116", charge="no_account"),
    "pm_usBankAccount_insufficientFunds": TestMethod("us_bank_account", "000222222227", charge="insufficient_funds"),
    "pm_usBankAccount_debitNotAuthorized": TestMethod("us_bank_account", "000333333335", charge="debit_not_authorized"),
    "pm_usBankAccount_dispute": TestMethod("us_bank_account", "000555555559", charge="disputes"),
    "pm_usBankAccount_processing": TestMethod("us_bank_account", "000000000009", charge="hangs"),
}

DECLINING_CARDS = {
    "chargeDeclined": ("4000000000000002", "generic_decline"),
    "chargeDeclinedInsufficientFunds": ("4000000000009995", "insufficient_funds"),
    "chargeDeclinedLostCard": ("4000000000009987", "lost_card"),
    "chargeDeclinedStolenCard": ("4000000000009979", "stolen_card"),
    "chargeDeclinedExpiredCard": ("4000000000000069", "expired_card"),
    "chargeDeclinedIncorrectCvc": ("4000000000000127", "incorrect_cvc"),
    "chargeDeclinedProcessingError": ("4000000000000119", "processing_error"),
    "chargeDeclinedFraudulent": ("4100000000000019", "fraudulent"),
    "chargeDeclinedVelocityLimitExceeded": ("4000000000006975", "card_velocity_exceeded"),
}
"""Cards that decline, under both spellings that Stripe uses: `pm_card_…` and `pm_card_visa_…`."""

for _name, (_number, _decline) in DECLINING_CARDS.items():
    for _prefix in ("pm_card_", "pm_card_visa_"):
        TEST_METHODS[_prefix + _name] = TestMethod("card", _number, charge=_decline, setup=_decline)

BY_NUMBER = {method.number: method for method in TEST_METHODS.values()}
"""The same methods by card or account number."""
