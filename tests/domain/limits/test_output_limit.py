"""The tokens that a plan lets a call write which says nothing of it itself."""

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.limits.output_limit import output_limit_of
from domain.plans.plan import Entitlement
from tests.domain.invoices.examples import VERSION, catalogue, cost_cap


def _named(key: str, amount: str | None) -> Entitlement:
    named = None if amount is None else Decimal(amount)
    return replace(cost_cap("150"), key=key, kind="feature", meter_id=None, policy=None, money=False, amount=named)


@pytest.mark.parametrize(
    ("entitlements", "tokens"),
    [
        ((), None),
        ((_named("output_limit", "4096"),), 4_096),
        ((_named("output_limit", None),), None),
        ((_named("sso", "1"), _named("output_limit", "8192")), 8_192),
        # A limit of that name holds back what is used; it says nothing of one call.
        ((replace(cost_cap("150"), key="output_limit"),), None),
    ],
)
def test_the_output_limit_is_the_number_of_that_feature(
    entitlements: tuple[Entitlement, ...], tokens: int | None
) -> None:
    version = replace(catalogue().version(VERSION), entitlements=entitlements)
    assert output_limit_of(version) == tokens
