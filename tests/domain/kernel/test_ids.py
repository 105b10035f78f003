"""Ids at the edges."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.kernel.ids import PREFIXES, IdMalformed, decode, encode, uuid7

_FAULTY = (f"cus_{'z' * 26}", f"cus_{'u' * 26}")
_ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


def test_an_id_survives_the_way_out_and_back() -> None:
    for noun, prefix in PREFIXES.items():
        text = encode(noun, _ID)
        assert text.startswith(f"{prefix}_")
        assert len(text) == len(prefix) + 1 + 26
        assert decode(noun, text) == _ID


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cus_",
        "cus",
        encode("invoice", _ID),
        encode("customer", _ID)[:-1],
        encode("customer", _ID).upper(),
        *_FAULTY,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(IdMalformed) as refusal:
        decode("customer", text)
    assert refusal.value.message.startswith("That is no customer id")


def test_a_uuid7_holds_its_instant_and_its_noise() -> None:
    made = uuid7(datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC), lambda size: b"\xff" * size)
    # 2022-02-22T19:22:22Z is 0x017F22E279B0 milliseconds after 1970 (the example of RFC 9562, appendix A.6).
    assert str(made) == "017f22e2-79b0-7fff-bfff-ffffffffffff"
    assert made.version == 7
