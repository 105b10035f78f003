"""Which method may be removed, which takes over, and what may be said about small deposits."""

import pytest

from domain.kernel.ids import MethodId
from domain.payments.method import method_to_charge, method_to_retry
from domain.payments.method_rules import (
    DepositsMalformed,
    LastPaymentMethod,
    PaymentMethodBlocked,
    PaymentMethodNotFound,
    PaymentSetupNotFound,
    check_deposits,
    check_removal,
    check_setup_id,
    chosen,
    find,
    successor,
)
from tests import make
from tests.domain.payments.examples import method

OLD = method(make.at("2026-01-01T00:00"))
NEW = method(make.at("2026-01-02T00:00"))
DEFAULT = method(make.at("2026-01-03T00:00"), is_default=True)
BLOCKED = method(make.at("2026-01-04T00:00"), blocked="bank_account_closed")


def test_the_last_method_stays_while_a_subscription_is_paid() -> None:
    check_removal([DEFAULT], DEFAULT, pays=False)
    check_removal([DEFAULT, OLD], DEFAULT, pays=True)
    with pytest.raises(LastPaymentMethod):
        check_removal([DEFAULT], DEFAULT, pays=True)


def test_a_blocked_method_does_not_stand_in_for_the_last_one() -> None:
    with pytest.raises(LastPaymentMethod):
        check_removal([DEFAULT, BLOCKED], DEFAULT, pays=True)
    check_removal([DEFAULT, BLOCKED], BLOCKED, pays=True)


def test_the_newest_one_that_can_be_charged_takes_over_as_the_default() -> None:
    assert successor([DEFAULT, OLD, BLOCKED, NEW], DEFAULT) == NEW
    assert successor([DEFAULT, BLOCKED], DEFAULT) is None
    assert successor([DEFAULT, OLD, NEW], OLD) is None


def test_choosing_a_default_takes_it_from_the_one_before() -> None:
    changes = chosen([DEFAULT, OLD, NEW], OLD)
    assert [(before.id, after.is_default) for before, after in changes] == [(DEFAULT.id, False), (OLD.id, True)]
    assert chosen([DEFAULT, OLD], DEFAULT) == []
    with pytest.raises(PaymentMethodBlocked):
        chosen([DEFAULT, BLOCKED], BLOCKED)


def test_a_method_that_is_not_among_the_customers_own_is_not_found() -> None:
    assert find([OLD, NEW], NEW.id) == NEW
    with pytest.raises(PaymentMethodNotFound):
        find([OLD], MethodId(make.new_id()))


def test_a_blocked_method_is_charged_neither_at_first_nor_again() -> None:
    blocked = method(is_default=True, blocked="mandate_ended")
    assert method_to_charge([blocked], None) is None
    assert method_to_retry([blocked], []) is None
    assert method_to_retry([blocked, OLD], []) == OLD


def test_deposits_are_two_amounts_or_a_code() -> None:
    assert check_deposits([32, 45], None) == ((32, 45), None)
    assert check_deposits(None, " sm11aa ") == (None, "SM11AA")
    for amounts, code in (
        (None, None),
        ([32, 45], "SM11AA"),
        ([32], None),
        ([0, 45], None),
        ([32, 100], None),
        (None, "XX11AA"),
    ):
        with pytest.raises(DepositsMalformed):
            check_deposits(amounts, code)


@pytest.mark.parametrize("text", ["", "seti_", "pi_123", "seti_../x", "seti_é"])
def test_what_is_no_id_of_a_setup_is_not_found(text: str) -> None:
    assert check_setup_id("seti_1Pq_2") == "seti_1Pq_2"
    with pytest.raises(PaymentSetupNotFound):
        check_setup_id(text)
