"""What is refused because no payment attempt can be like that."""

import pytest

from domain.payments.attempt import AttemptState
from domain.payments.listing.filter import PaymentFilter, PaymentFilterRefused, check
from tests import make

_AT = make.at("2026-02-01")


def test_what_fits_together_is_taken() -> None:
    check(PaymentFilter())
    check(PaymentFilter(states=frozenset((AttemptState.FAILED,)), gateway_payment_id="pi_1", ended_from=_AT))
    check(PaymentFilter(ended_from=make.at("2026-01-31"), ended_before=_AT))


@pytest.mark.parametrize(
    "wanted",
    [
        PaymentFilter(ended_from=_AT, ended_before=_AT),
        PaymentFilter(gateway_payment_id=""),
        PaymentFilter(gateway_payment_id="p" * 256),
        PaymentFilter(gateway_payment_id="pi_\0"),
    ],
)
def test_what_no_attempt_can_be_is_refused(wanted: PaymentFilter) -> None:
    with pytest.raises(PaymentFilterRefused):
        check(wanted)
