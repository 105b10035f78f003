"""One warning for each fall of a wallet to its threshold."""

from domain.credits.low_balance import watched
from domain.credits.wallet import Wallet
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, WalletId
from tests import make

_MONDAY, _TUESDAY = make.at("2026-02-02"), make.at("2026-02-03")


def _wallet(threshold: int | None) -> Wallet:
    return Wallet(
        customer_id=CustomerId(make.new_id()),
        id=WalletId(make.new_id()),
        environment=Environment.TEST,
        currency="USD",
        name="Prepaid",
        priority=50,
        product_ids=frozenset(),
        kinds=frozenset(),
        zone="UTC",
        created_at=_MONDAY,
        carried_to=_MONDAY,
        warn_below_minor=threshold,
    )


def test_a_fall_to_the_threshold_is_warned_of_once_and_again_after_a_rise_above_it() -> None:
    above = _wallet(1_000)
    assert watched(above, 1_001, _MONDAY) == above
    fallen = watched(above, 1_000, _MONDAY)
    assert fallen.warned_at == _MONDAY
    assert watched(fallen, -500, _TUESDAY) == fallen
    assert watched(fallen, 1_000, _TUESDAY) == fallen
    risen = watched(fallen, 1_001, _TUESDAY)
    assert risen == above
    assert watched(risen, 999, _TUESDAY).warned_at == _TUESDAY


def test_without_a_threshold_nothing_is_watched() -> None:
    silent = _wallet(None)
    assert watched(silent, -1, _MONDAY) == silent
