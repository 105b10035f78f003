"""Who may be mailed."""

import pytest

from domain.alerts.port import MailPolicy
from domain.kernel.call import Environment

_ALLOWED = frozenset(("ada@example.com", "@tollgate.example"))


@pytest.mark.parametrize(
    ("environment", "recipient", "is_catcher", "allowed"),
    [
        (Environment.LIVE, "anybody@example.org", False, True),
        (Environment.TEST, "anybody@example.org", False, False),
        (Environment.TEST, "anybody@example.org", True, True),
        (Environment.TEST, "Ada@Example.com", False, True),
        (Environment.TEST, "bob@example.com", False, False),
        (Environment.TEST, "bob@tollgate.example", False, True),
        (Environment.TEST, "bob@evil.tollgate.example", False, False),
        (Environment.TEST, "bob@tollgate.example.org", False, False),
    ],
)
def test_test_customers_are_mailed_only_through_a_catcher_or_when_listed(
    environment: Environment, recipient: str, *, is_catcher: bool, allowed: bool
) -> None:
    policy = MailPolicy("billing@example.com", "Merchant", is_catcher, _ALLOWED)
    assert policy.allows(environment, recipient) is allowed
