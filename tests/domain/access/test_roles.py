"""The table of roles, written out."""

import pytest

from domain.access.roles import (
    CUSTOMER_KEY_SCOPES,
    CUSTOMER_ROLES,
    KEY_SCOPES,
    STAFF_ROLES,
    Permission,
    RoleUnknown,
    permissions_of,
    system_principal,
)
from domain.kernel.call import PrincipalKind

_READS = {
    "catalogue:read",
    "price:read",
    "customer:read",
    "subscription:read",
    "usage:read",
    "event:read",
    "invoice:read",
    "payment:read",
    "dunning:read",
    "limit:read",
    "alert:read",
    "profile:read",
    "credit:read",
}
_MEMBER_WRITES = {
    "subscription:write",
    "payment:write",
    "audit:read",
    "alert:write",
    "profile:write",
    "credit:redeem",
}
_MERCHANT_READS = {"feed:read", "webhook:read", "staff_alert:read", "mail:read"}
_EXPECTED = {
    ("member", "owner"): _READS | _MEMBER_WRITES,
    ("member", "billing_admin"): _READS | _MEMBER_WRITES,
    ("member", "viewer"): _READS,
    ("staff", "admin"): _READS
    | _MERCHANT_READS
    | {"webhook:write", "staff_alert:write", "mail:write"}
    | {"privacy:export", "privacy:erase", "revenue:read", "revenue:write"}
    | {"customer:write", "subscription:write", "payment:write", "key:read", "key:write", "clock:read", "clock:write"}
    | {
        "audit:read",
        "job:read",
        "job:write",
        "ledger:read",
        "dunning:write",
        "price:write",
        "catalogue:write",
        "event:write",
        "limit:write",
        "alert:write",
        "profile:write",
        "tax:read",
        "tax:write",
        "credit:redeem",
        "credit:write",
        "invoice:write",
        "subscription:override",
        "charge:read",
        "charge:write",
    },
    ("staff", "finance"): _READS
    | _MERCHANT_READS
    | {"staff_alert:write", "revenue:read", "revenue:write"}
    | {
        "subscription:write",
        "payment:write",
        "dunning:write",
        "clock:read",
        "audit:read",
        "job:read",
        "ledger:read",
        "price:write",
        "catalogue:write",
        "event:write",
        "limit:write",
        "profile:write",
        "tax:read",
        "tax:write",
        "credit:redeem",
        "credit:write",
        "invoice:write",
        "subscription:override",
        "charge:read",
        "charge:write",
    },
    ("staff", "support"): _READS
    | {"customer:write", "subscription:write", "clock:read", "clock:write", "key:read", "job:read", "alert:write"}
    | {"profile:write", "tax:read", "charge:read"}
    | _MERCHANT_READS
    | {"staff_alert:write", "mail:write"},
    ("staff", "viewer"): _READS | {"clock:read", "tax:read", "charge:read"},
}


@pytest.mark.parametrize(("kind", "role"), sorted(_EXPECTED))
def test_a_role_holds_exactly_these_permissions(kind: str, role: str) -> None:
    assert permissions_of(PrincipalKind(kind), role) == _EXPECTED[kind, role]


def test_every_role_is_in_the_table() -> None:
    named = {("member", role) for role in CUSTOMER_ROLES} | {("staff", role) for role in STAFF_ROLES}
    assert named == set(_EXPECTED)


@pytest.mark.parametrize(
    ("kind", "role"),
    [
        (PrincipalKind.MEMBER, "admin"),
        (PrincipalKind.STAFF, "owner"),
        (PrincipalKind.STAFF, ""),
        (PrincipalKind.SYSTEM, "system"),
        (PrincipalKind.KEY, "key"),
    ],
)
def test_a_role_of_another_kind_is_refused(kind: PrincipalKind, role: str) -> None:
    with pytest.raises(RoleUnknown):
        permissions_of(kind, role)


def test_nobody_but_a_product_key_and_the_system_reports_usage() -> None:
    for permission in ("usage:write", "usage:correct", "limit:check", "gateway"):
        assert not any(permission in permissions for permissions in _EXPECTED.values())
        assert permission in KEY_SCOPES
    assert "usage:write" in CUSTOMER_KEY_SCOPES


def test_no_key_makes_keys_and_a_key_of_one_customer_reaches_no_further() -> None:
    assert "key:write" not in KEY_SCOPES
    assert _EXPECTED["member", "owner"] | {"usage:write", "limit:check", "gateway", "feed:read"} == CUSTOMER_KEY_SCOPES


def test_the_system_holds_every_permission_and_sees_every_customer() -> None:
    system = system_principal("relay")
    assert system.permissions == frozenset(Permission)
    assert (system.id, system.customer_id, system.environment) == ("system:relay", None, None)
