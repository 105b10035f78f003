"""Ids: uuidv7 inside, a prefix and 26 letters at the edges (`cus_01jb…`); a type each so that they do not mix."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NewType
from uuid import UUID

from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass

CustomerId = NewType("CustomerId", UUID)
ClockId = NewType("ClockId", UUID)
ProductId = NewType("ProductId", UUID)
PlanId = NewType("PlanId", UUID)
PlanVersionId = NewType("PlanVersionId", UUID)
PriceId = NewType("PriceId", UUID)
MeterId = NewType("MeterId", UUID)
ProviderPriceId = NewType("ProviderPriceId", UUID)
SubscriptionId = NewType("SubscriptionId", UUID)
SegmentId = NewType("SegmentId", UUID)
ChangeId = NewType("ChangeId", UUID)
StartId = NewType("StartId", UUID)
EventId = NewType("EventId", UUID)
InvoiceId = NewType("InvoiceId", UUID)
LineId = NewType("LineId", UUID)
CouponId = NewType("CouponId", UUID)
PromotionCodeId = NewType("PromotionCodeId", UUID)
AppliedCouponId = NewType("AppliedCouponId", UUID)
GrantId = NewType("GrantId", UUID)
WalletId = NewType("WalletId", UUID)
WalletGrantId = NewType("WalletGrantId", UUID)
TopUpId = NewType("TopUpId", UUID)
MethodId = NewType("MethodId", UUID)
CreditNoteId = NewType("CreditNoteId", UUID)
OneOffChargeId = NewType("OneOffChargeId", UUID)
RefundId = NewType("RefundId", UUID)
DisputeId = NewType("DisputeId", UUID)
UnappliedPaymentId = NewType("UnappliedPaymentId", UUID)
UnappliedCreditId = NewType("UnappliedCreditId", UUID)
AttemptId = NewType("AttemptId", UUID)
EntryId = NewType("EntryId", UUID)
KeyId = NewType("KeyId", UUID)
JobId = NewType("JobId", UUID)
AlertId = NewType("AlertId", UUID)
TaxRateId = NewType("TaxRateId", UUID)
RegistrationId = NewType("RegistrationId", UUID)
DocumentId = NewType("DocumentId", UUID)
CaseId = NewType("CaseId", UUID)
PolicyId = NewType("PolicyId", UUID)
EndpointId = NewType("EndpointId", UUID)
StaffAlertId = NewType("StaffAlertId", UUID)

# Rows that belong to no customer carry this id where customer-owned ones carry theirs.
NOBODY = CustomerId(UUID(int=0))

PREFIXES = {
    "customer": "cus",
    "clock": "clk",
    "product": "prod",
    "plan": "plan",
    "plan_version": "plv",
    "price": "price",
    "meter": "mtr",
    "provider_price": "pp",
    "subscription": "sub",
    "segment": "seg",
    "change": "chg",
    "scheduled_start": "sst",
    "event": "evt",
    "invoice": "inv",
    "line": "line",
    "coupon": "cpn",
    "promotion_code": "promo",
    "applied_coupon": "apc",
    "grant": "grt",
    "wallet": "wal",
    "wallet_grant": "wgr",
    "top_up": "top",
    "credit_note": "cn",
    "one_off_charge": "oneoff",
    "method": "pm",
    "attempt": "att",
    "refund": "rfd",
    "dispute": "dsp",
    "unapplied_payment": "uap",
    "unapplied_credit": "uac",
    "entry": "led",
    "key": "key",
    "job": "job",
    "audit": "aud",
    "inbox_event": "ibx",
    "reconciliation": "rec",
    "finding": "drf",
    "billing_event": "bev",
    "reservation": "rsv",
    "decision": "dec",
    "override": "lov",
    "alert": "alr",
    "tax_rate": "txr",
    "registration": "reg",
    "document": "doc",
    "dunning_case": "dun",
    "dunning_policy": "dpl",
    "webhook_endpoint": "whe",
    "delivery": "dlv",
    "webhook_replay": "rpl",
    "staff_alert": "sal",
    "mail": "mail",
    "export": "exp",
}

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u.
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_LENGTH = 26
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_PAIR_SHIFTS = range((_LENGTH - 2) * 5, -1, -10)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_INSTANTS = (1 << 48) - 1
# In the 80 bits of a uuidv7 below its instant: those that are random, and those that say what it is.
_VERSION_7 = 0x7 << 76 | 0x2 << 62
_RANDOM = (1 << 80) - 1 & ~(0xF << 76 | 0x3 << 62)


@dataclass(eq=False)
class IdMalformed(DomainError):
    """That is no {noun} id: one looks like {prefix}_ followed by 26 letters and digits."""

    code = "id_malformed"
    kind = Kind.INVALID
    noun: str
    prefix: str


def uuid7(at: datetime, entropy: Callable[[int], bytes]) -> UUID:
    """Make a uuidv7: 48 bits of milliseconds, then 74 random bits from `entropy(10)` (RFC 9562, 5.7)."""
    milliseconds = (at - _EPOCH) // _MILLISECOND
    noise = int.from_bytes(entropy(10), "big")
    return UUID(int=(milliseconds & _INSTANTS) << 80 | noise & _RANDOM | _VERSION_7)


def encode(noun: str, value: UUID) -> str:
    """Write an id for the outside: `encode("customer", id)` is `cus_…`."""
    number = value.int
    return f"{PREFIXES[noun]}_{''.join([_PAIRS[number >> shift & 1023] for shift in _PAIR_SHIFTS])}"


def decode(noun: str, text: str) -> UUID:
    """Read an id from the outside. Raises IdMalformed."""
    prefix = PREFIXES[noun]
    head, _, letters = text.partition("_")
    if head != prefix or len(letters) != _LENGTH or any(letter not in _VALUES for letter in letters):
        raise IdMalformed(noun.replace("_", " "), prefix)
    number = 0
    for letter in letters:
        number = number << 5 | _VALUES[letter]
    if number >> 128:
        raise IdMalformed(noun.replace("_", " "), prefix)
    return UUID(int=number)
