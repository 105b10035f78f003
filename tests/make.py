"""Make values for tests: principals, calls, instants. Nothing here reads a clock."""

import itertools
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from domain.access.roles import system_principal
from domain.alerts.alert import Alert, AlertKind, Wish
from domain.dunning.case import Case, CaseState
from domain.dunning.store import StoredCase
from domain.invoices.invoice import Invoice
from domain.kernel.call import Call, Environment, Principal, PrincipalKind
from domain.kernel.ids import AlertId, CaseId, CustomerId, PolicyId, SubscriptionId
from domain.kernel.period import Period
from domain.limits.thresholds import Severity

_numbers = itertools.count(1)
_FIRST_ID = 0x0190_0000_0000_7000_8000_0000_0000_0000
# The policy that the migrations make.
DEFAULT_POLICY = PolicyId(UUID("00000000-0000-7000-8000-000000000001"))


def new_id() -> UUID:
    """Count on: distinct and in order, the same in every run."""
    return UUID(int=_FIRST_ID + next(_numbers))


def at(text: str) -> datetime:
    """Read an instant or a day in UTC, such as "2026-01-31" or "2026-01-31T09:30"."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def principal(
    *permissions: str,
    kind: PrincipalKind = PrincipalKind.STAFF,
    role: str = "admin",
    customer_id: CustomerId | None = None,
    environment: Environment | None = None,
) -> Principal:
    """Make a principal with exactly these permissions."""
    return Principal(kind, "someone", role, frozenset(permissions), environment, customer_id)


def call(when: str = "2026-01-15T12:00", by: Principal | None = None) -> Call:
    """Make a call at a real instant, by the system unless told."""
    return Call(new_id(), at(when), by or system_principal("test"), new_id)


def dunning_case(invoice: Invoice) -> StoredCase:
    """Make the case of an invoice that is not stored: it failed in February 2026 and is retried two days later."""
    failed_at, retry_at = at("2026-02-10"), at("2026-02-12")
    return StoredCase(
        customer_id=invoice.customer_id,
        id=CaseId(new_id()),
        invoice_id=invoice.id,
        environment=invoice.environment,
        clock_id=None,
        policy_id=DEFAULT_POLICY,
        amount=invoice.total,
        case=Case(CaseState.OPEN, failed_at, 1, retry_at, None),
        due_at=retry_at,
        noted=(1, True),
        recovered_by=None,
        created_at=failed_at,
    )


def alert(customer_id: CustomerId, subscription_id: SubscriptionId, *, step: int = 80) -> Alert:
    """Make an alert that is not stored: 80 of 100 calls in February 2026."""
    return Alert(
        customer_id=customer_id,
        id=AlertId(new_id()),
        subscription_id=subscription_id,
        kind=AlertKind.THRESHOLD,
        limit_key="calls",
        description="Calls a month",
        policy="hard",
        period=Period(at("2026-02-01"), at("2026-03-01")),
        step=step,
        severity=Severity.WARNING,
        used=Decimal(80),
        limit=Decimal(100),
        unit="call",
        resets_at=at("2026-03-01"),
        due_at=None,
        upgrade=None,
        wish=Wish.WANTED,
        raised_at=at("2026-02-10"),
        created_at=at("2026-02-10"),
        read_at=None,
    )
