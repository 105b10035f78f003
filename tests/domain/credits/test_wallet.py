"""What a wallet and a grant may be."""

from typing import Any

import pytest

from domain.credits.unit_grant import Refill
from domain.credits.wallet import WalletGrantMalformed, WalletMalformed, check_grant, check_wallet
from domain.kernel.ids import ProductId
from tests import make
from tests.domain.credits.wallet_examples import STARTED, day, grant, wallet


def test_usual_wallets_and_grants_are_taken() -> None:
    check_wallet(wallet(priority=0))
    check_grant(grant(1, 1, expires_at=day(2), rollover_max_minor=5, rollover_min_minor=5, refill=Refill.DAY), STARTED)
    check_grant(grant(1, 1, paid=True, expires_at=day(2)), STARTED)


@pytest.mark.parametrize(
    "changed",
    [
        {"name": ""},
        {"name": " x"},
        {"name": "x" * 201},
        {"name": "a\nb"},
        {"priority": -1},
        {"priority": 101},
        {"product_ids": frozenset(ProductId(make.new_id()) for _ in range(101))},
    ],
)
def test_a_wallet_that_could_not_work_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(WalletMalformed):
        check_wallet(wallet(**changed))


@pytest.mark.parametrize(
    "changed",
    [
        {"name": ""},
        {"amount_minor": 0},
        {"amount_minor": 10**15 + 1},
        {"priority": 101},
        {"effective_at": day(31, month=1).replace(year=2025)},
        {"expires_at": STARTED},
        {"rollover_min_minor": -1},
        {"rollover_min_minor": 6, "rollover_max_minor": 5},
    ],
)
def test_a_grant_that_could_not_work_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(WalletGrantMalformed):
        check_grant(grant(1, 100, **changed), STARTED)


@pytest.mark.parametrize("changed", [{"rollover_max_minor": 5}, {"rollover_min_minor": 5}, {"refill": Refill.DAY}])
def test_what_was_paid_for_is_neither_cut_nor_filled_up(changed: dict[str, Any]) -> None:
    with pytest.raises(WalletGrantMalformed):
        check_grant(grant(1, 100, paid=True, **changed), STARTED)
    check_grant(grant(1, 100, **changed), STARTED)


def test_a_grant_has_ended_when_it_expired_or_was_voided() -> None:
    assert not grant(1, 5, expires_at=day(2)).has_ended(day(1))
    assert grant(1, 5, expires_at=day(2)).has_ended(day(2))
    assert grant(1, 5, voided_at=day(1)).has_ended(day(1))
