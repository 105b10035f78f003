"""docs/sandbox.md names every test method and every order."""

import re
from pathlib import Path

from sandbox.behaviours import DECLINING_CARDS, TEST_METHODS
from sandbox.control import ACTIONS

_PAGE = (Path(__file__).parents[2] / "docs/sandbox.md").read_text(encoding="utf-8")


def test_every_test_method_is_on_the_page_and_no_other() -> None:
    named = set(re.findall(r"`(pm_[A-Za-z_]+)`", _PAGE))
    declining = {f"{prefix}{name}" for prefix in ("pm_card_", "pm_card_visa_") for name in DECLINING_CARDS}
    assert named - declining == set(TEST_METHODS) - declining
    for name in DECLINING_CARDS:
        assert f"`{name.removeprefix('chargeDeclined') or 'pm_card_chargeDeclined'}`" in _PAGE


def test_every_order_is_on_the_page_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z_]+)(/\{[a-z ]+\})?` \|", _PAGE, re.MULTILINE)
    assert {f"POST {name}{'/*' if target else ''}" for name, target in rows} == {
        key for key in ACTIONS if key.startswith("POST ")
    }
    for key in ACTIONS:
        verb, _, name = key.partition(" ")
        assert verb == "POST" or f"{name}`" in _PAGE
