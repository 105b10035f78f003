"""A payment method and the choice of the one to charge."""

from collections.abc import Sequence
from datetime import datetime

from domain.kernel.ids import CustomerId, MethodId
from domain.kernel.values import dataclass
from domain.payments.attempt import Attempt, is_lost
from domain.payments.declines import DeclineClass
from domain.payments.port import GatewayMethod

# Words of the gateway that are no names as they stand, even with a capital letter.
_NAMES = {
    "amex": "American Express",
    "diners": "Diners Club",
    "jcb": "JCB",
    "sepa_debit": "SEPA debit",
    "unionpay": "UnionPay",
    "unknown": "Card",
    "us_bank_account": "US bank account",
}


@dataclass(frozen=True, slots=True)
class PaymentMethod:
    """What a customer pays with. `kind` is the gateway's word: card, us_bank_account, customer_balance.

    `blocked` says why its bank or its owner does not let it be charged any more; such a one is passed over.
    `warned_month` is the expiry of which its owner was warned, as twelve times the year plus the month.
    """

    customer_id: CustomerId
    id: MethodId
    gateway_method_id: str
    kind: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    fingerprint: str | None
    is_default: bool
    created_at: datetime
    detached_at: datetime | None
    version: int = 1
    blocked: str | None = None
    warned_month: int | None = None


def attached(
    customer_id: CustomerId, method_id: MethodId, seen: GatewayMethod, *, is_default: bool, at: datetime
) -> PaymentMethod:
    """Return our row of a method that the gateway has attached: nothing of a card but what names it to its owner."""
    return PaymentMethod(
        customer_id=customer_id,
        id=method_id,
        gateway_method_id=seen.id,
        kind=seen.kind,
        brand=seen.brand,
        last4=seen.last4,
        exp_month=seen.exp_month,
        exp_year=seen.exp_year,
        fingerprint=seen.fingerprint,
        is_default=is_default,
        created_at=at,
        detached_at=None,
        blocked=seen.blocked,
    )


def method_to_charge(methods: Sequence[PaymentMethod], last: Attempt | None) -> PaymentMethod | None:
    """Return the method of the next attempt, or None where nothing is left to try without being asked.

    The default one first. After an attempt on it, only a method that was attached since: no method is tried twice by
    itself, and no older one without the customer's wish. An attempt that left no trace counts for none. `methods` are
    the attached ones.
    """
    methods = [method for method in methods if method.blocked is None]
    default = next((method for method in methods if method.is_default), None)
    untried = last is None or last.method_id is None or is_lost(last)
    if last is None or untried or default is None:
        return default
    if default.id != last.method_id and default.created_at > last.created_at:
        return default
    newer = [method for method in methods if method.created_at > last.created_at and method.id != last.method_id]
    return max(newer, key=lambda method: method.created_at, default=None)


def method_to_retry(methods: Sequence[PaymentMethod], attempts: Sequence[Attempt]) -> PaymentMethod | None:
    """Return the method that a retry charges, or None where none may be charged without the customer.

    The one that was tried last, then the default one, then any other; but none whose last attempt on this invoice was
    refused for more than the moment. `attempts` are the invoice's, the newest first, `methods` the attached ones.
    """
    newest: dict[MethodId, Attempt] = {}
    for each in attempts:
        if each.method_id is not None and not is_lost(each):
            newest.setdefault(each.method_id, each)
    usable = {method.id: method for method in methods if method.blocked is None and _may_repeat(newest.get(method.id))}
    tried = next((usable[method_id] for method_id in newest if method_id in usable), None)
    default = next((method for method in usable.values() if method.is_default), None)
    return tried or default or next(iter(usable.values()), None)


def _may_repeat(last: Attempt | None) -> bool:
    """Whether a method may be charged again without its owner, after its last attempt."""
    if last is None:
        return True
    return last.decline is not None and last.decline.kind is DeclineClass.SOFT


def label(method: PaymentMethod) -> str:
    """Name a method for its owner: "Visa ending in 4242". A bank is spelt as the gateway spells it."""
    word = method.brand or method.kind
    name = _NAMES.get(word) or (word.replace("_", " ").strip().capitalize() if word.islower() else word)
    return f"{name} ending in {method.last4}" if method.last4 else name
