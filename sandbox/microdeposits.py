"""Small deposits by which a bank account is verified, with the amounts and codes of Stripe's test mode."""

from datetime import UTC, datetime, timedelta

from sandbox.call import Call
from sandbox.errors import StripeError, invalid
from sandbox.events import emit
from sandbox.store import Document

ARRIVE_DAYS = 2
ATTEMPTS_MAX = 10
AMOUNTS = [32, 45]
CODE = "SM11AA"
_MISMATCH = "payment_method_microdeposit_verification_{0}_mismatch"
_INVALID = "payment_method_microdeposit_verification_{0}_invalid"
_EXCEEDED = "payment_method_microdeposit_verification_attempts_exceeded"


def wanted(setup: Document) -> bool:
    """Tell whether a setup intent verifies bank accounts by deposits."""
    options = setup["payment_method_options"].get("us_bank_account") or {}
    return options.get("verification_method") == "microdeposits"


def sent(call: Call, setup: Document) -> Document:
    """Send the deposits: the intent waits for what the customer reads on the statement."""
    arrival = datetime.fromtimestamp(call.now, UTC) + timedelta(days=ARRIVE_DAYS)
    action = {
        "type": "verify_with_microdeposits",
        "verify_with_microdeposits": {
            "arrival_date": int(arrival.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()),
            "hosted_verification_url": f"https://payments.stripe.com/microdeposit/{setup['id']}",
            "microdeposit_type": "amounts",
        },
    }
    after = call.store.put(setup | {"status": "requires_action", "next_action": action, "_verifications": 0})
    emit(call, "setup_intent.requires_action", after)
    return after


def check(call: Call, setup: Document) -> None:
    """Refuse deposits that did not come. Raises StripeError; wrong tries are counted."""
    amounts, code = call.params.get("amounts"), call.params.get("descriptor_code")
    if (amounts is None) == (code is None):
        raise invalid("Specify exactly one of amounts and descriptor_code.", code="parameter_missing", param="amounts")
    kind = "amounts" if code is None else "descriptor_code"
    if setup["_verifications"] >= ATTEMPTS_MAX:
        raise _refused("You have exceeded the number of allowed verification attempts.", _EXCEEDED, kind)
    if amounts is not None and len(amounts) != len(AMOUNTS):
        raise _refused("You must provide exactly two amounts.", _INVALID.format(kind), kind)
    if (sorted(amounts) != AMOUNTS) if amounts is not None else (code != CODE):
        call.store.put(setup | {"_verifications": setup["_verifications"] + 1})
        raise _refused("The deposits provided do not match those that were sent.", _MISMATCH.format(kind), kind)


def _refused(message: str, code: str, param: str) -> StripeError:
    return StripeError(400, "invalid_request_error", message, keep=True, facts={"code": code, "param": param})
