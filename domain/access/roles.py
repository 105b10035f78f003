"""Roles and what they may do: one table."""

from enum import StrEnum

from domain.kernel.call import Principal, PrincipalKind
from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass


class Permission(StrEnum):
    """What a use case can ask of its caller. Whose rows it then sees is said by the caller's scope."""

    CATALOGUE_READ = "catalogue:read"
    CATALOGUE_WRITE = "catalogue:write"
    PRICE_READ = "price:read"
    PRICE_WRITE = "price:write"
    CUSTOMER_READ = "customer:read"
    CUSTOMER_WRITE = "customer:write"
    SUBSCRIPTION_READ = "subscription:read"
    SUBSCRIPTION_WRITE = "subscription:write"
    SUBSCRIPTION_OVERRIDE = "subscription:override"
    USAGE_READ = "usage:read"
    USAGE_WRITE = "usage:write"
    USAGE_CORRECT = "usage:correct"
    EVENT_READ = "event:read"
    EVENT_WRITE = "event:write"
    INVOICE_READ = "invoice:read"
    INVOICE_WRITE = "invoice:write"
    CHARGE_READ = "charge:read"
    CHARGE_WRITE = "charge:write"
    PAYMENT_READ = "payment:read"
    PAYMENT_WRITE = "payment:write"
    KEY_READ = "key:read"
    KEY_WRITE = "key:write"
    CLOCK_READ = "clock:read"
    CLOCK_WRITE = "clock:write"
    AUDIT_READ = "audit:read"
    JOB_READ = "job:read"
    JOB_WRITE = "job:write"
    DUNNING_READ = "dunning:read"
    DUNNING_WRITE = "dunning:write"
    LEDGER_READ = "ledger:read"
    LIMIT_READ = "limit:read"
    LIMIT_CHECK = "limit:check"
    LIMIT_WRITE = "limit:write"
    ALERT_READ = "alert:read"
    ALERT_WRITE = "alert:write"
    PROFILE_READ = "profile:read"
    PROFILE_WRITE = "profile:write"
    TAX_READ = "tax:read"
    TAX_WRITE = "tax:write"
    CREDIT_READ = "credit:read"
    CREDIT_WRITE = "credit:write"
    CREDIT_REDEEM = "credit:redeem"
    GATEWAY = "gateway"
    FEED_READ = "feed:read"
    WEBHOOK_READ = "webhook:read"
    WEBHOOK_WRITE = "webhook:write"
    STAFF_ALERT_READ = "staff_alert:read"
    STAFF_ALERT_WRITE = "staff_alert:write"
    MAIL_READ = "mail:read"
    MAIL_WRITE = "mail:write"
    REVENUE_READ = "revenue:read"
    REVENUE_WRITE = "revenue:write"
    PRIVACY_EXPORT = "privacy:export"
    PRIVACY_ERASE = "privacy:erase"


@dataclass(eq=False)
class RoleUnknown(DomainError):
    """There is no such role for this kind of user."""

    code = "role_unknown"
    kind = Kind.INVALID


CUSTOMER_ROLES = ("owner", "billing_admin", "viewer")
STAFF_ROLES = ("admin", "finance", "support", "viewer")

_P = Permission
# What a person may read about a customer: their own, for a member.
_READS = frozenset(
    (
        _P.CATALOGUE_READ,
        _P.PRICE_READ,
        _P.CUSTOMER_READ,
        _P.SUBSCRIPTION_READ,
        _P.USAGE_READ,
        _P.EVENT_READ,
        _P.INVOICE_READ,
        _P.PAYMENT_READ,
        _P.DUNNING_READ,
        _P.LIMIT_READ,
        _P.ALERT_READ,
        _P.PROFILE_READ,
        _P.CREDIT_READ,
    )
)
_MEMBER_WRITES = (
    _READS
    | {_P.SUBSCRIPTION_WRITE, _P.PAYMENT_WRITE, _P.AUDIT_READ, _P.ALERT_WRITE}
    | {
        _P.PROFILE_WRITE,
        _P.CREDIT_REDEEM,
    }
)
_ALL = frozenset(Permission)

_ROLES: dict[tuple[PrincipalKind, str], frozenset[str]] = {
    (PrincipalKind.MEMBER, "owner"): _MEMBER_WRITES,
    (PrincipalKind.MEMBER, "billing_admin"): _MEMBER_WRITES,
    (PrincipalKind.MEMBER, "viewer"): _READS,
    # Usage is reported by a product's key, which gives the identity's source, and calls through the gateway are billed
    # to the customer that a key is bound to; no person does either.
    (PrincipalKind.STAFF, "admin"): _ALL - {_P.USAGE_WRITE, _P.USAGE_CORRECT, _P.LIMIT_CHECK, _P.GATEWAY},
    (PrincipalKind.STAFF, "finance"): _READS
    | {_P.CATALOGUE_WRITE, _P.PRICE_WRITE, _P.EVENT_WRITE}
    | {_P.SUBSCRIPTION_WRITE, _P.INVOICE_WRITE, _P.PAYMENT_WRITE, _P.LIMIT_WRITE}
    | {_P.CREDIT_WRITE, _P.CREDIT_REDEEM, _P.DUNNING_WRITE, _P.CHARGE_READ, _P.CHARGE_WRITE}
    | {_P.SUBSCRIPTION_OVERRIDE}
    | {_P.CLOCK_READ, _P.AUDIT_READ, _P.JOB_READ, _P.LEDGER_READ}
    | {_P.PROFILE_WRITE, _P.TAX_READ, _P.TAX_WRITE, _P.REVENUE_READ, _P.REVENUE_WRITE}
    | {_P.FEED_READ, _P.WEBHOOK_READ, _P.STAFF_ALERT_READ, _P.STAFF_ALERT_WRITE, _P.MAIL_READ},
    (PrincipalKind.STAFF, "support"): _READS
    | {_P.CUSTOMER_WRITE, _P.SUBSCRIPTION_WRITE, _P.ALERT_WRITE, _P.PROFILE_WRITE, _P.TAX_READ, _P.CHARGE_READ}
    | {_P.CLOCK_READ, _P.CLOCK_WRITE, _P.KEY_READ, _P.JOB_READ}
    | {_P.FEED_READ, _P.WEBHOOK_READ, _P.STAFF_ALERT_READ, _P.STAFF_ALERT_WRITE, _P.MAIL_READ, _P.MAIL_WRITE},
    (PrincipalKind.STAFF, "viewer"): _READS | {_P.CLOCK_READ, _P.TAX_READ, _P.CHARGE_READ},
}

# A key cannot make keys: a stolen one must not outlive its own revocation. Nor does one read or erase all
# that is personal, nor says what everybody pays: plans are the same for live and test, and a key is of one of them.
KEY_SCOPES: frozenset[str] = _ALL - {_P.KEY_WRITE, _P.PRIVACY_EXPORT, _P.PRIVACY_ERASE, _P.CATALOGUE_WRITE}
# A key bound to one customer gets nothing that reaches beyond that customer.
CUSTOMER_KEY_SCOPES: frozenset[str] = _MEMBER_WRITES | {_P.USAGE_WRITE, _P.LIMIT_CHECK, _P.GATEWAY, _P.FEED_READ}

# What a person may change after a sign-in with a password alone: it marks as read, and moves no money.
_BY_ONE_FACTOR = frozenset((_P.ALERT_WRITE, _P.STAFF_ALERT_WRITE))


def permissions_of(kind: PrincipalKind, role: str) -> frozenset[str]:
    """Return what a member or a member of staff may do in a role. Raises RoleUnknown."""
    if (kind, role) not in _ROLES:
        raise RoleUnknown
    return _ROLES[kind, role]


def withheld_of(permissions: frozenset[str]) -> frozenset[str]:
    """Return what of a person's permissions takes a sign-in with a second factor: everything that is no reading."""
    return frozenset(each for each in permissions - _BY_ONE_FACTOR if not each.endswith(":read"))


def system_principal(name: str) -> Principal:
    """Make the principal of a worker or a command of the operator: every permission, every customer."""
    return Principal(PrincipalKind.SYSTEM, f"system:{name}", "system", _ALL)
