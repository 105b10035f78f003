"""Price files: what is read, what is written, and where a fault is."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from api.pricing.files import PriceFileRefused, read_file, write_csv, write_json
from domain.kernel.ids import ProviderPriceId
from domain.plans.provider_price import PriceSet, ProviderPrice
from tests import make

_HEAD = "provider,model,pool,amount,per,valid_from,valid_to,source\n"
_INPUT = "gemini,gemini-3,input,1.25,1000000,2026-08-01T00:00:00Z,,list\n"
_OUTPUT = "gemini,gemini-3,output,10,1000000,2026-08-01T02:00:00+02:00,,list\n"
_OTHER = 'exa,*,request,0.003,1,2026-08-01T00:00:00Z,2026-09-01T00:00:00Z,"a ""list"", dated"\n'
_SETS = [
    PriceSet(
        "gemini",
        "gemini-3",
        make.at("2026-08-01"),
        None,
        "list",
        (("input", Decimal("1.25"), Decimal(1_000_000)), ("output", Decimal(10), Decimal(1_000_000))),
    ),
    PriceSet(
        "exa",
        "*",
        make.at("2026-08-01"),
        make.at("2026-09-01"),
        'a "list", dated',
        (("request", Decimal("0.003"), Decimal(1)),),
    ),
]


_LONG = "gemini,gemini-3,input,200000,2.5,1000000,2026-08-01T00:00:00Z,,list\n"


def _rows(sets: Sequence[PriceSet] = _SETS) -> list[ProviderPrice]:
    return [
        ProviderPrice(
            ProviderPriceId(UUID(int=number)),
            each.provider,
            each.model,
            pool,
            amount.quantize(Decimal("1e-18")),
            per,
            "USD",
            each.valid_from,
            each.valid_to,
            each.source,
            above,
        )
        for number, (each, (pool, above, amount, per)) in enumerate((s, row) for s in sets for row in s.rows)
    ]


@pytest.mark.parametrize("head", [_HEAD, "\ufeff" + _HEAD.replace("\n", "\r\n")])
def test_rows_of_one_model_and_interval_are_one_set(head: str) -> None:
    assert read_file((head + _INPUT + _OTHER + _OUTPUT).encode()) == _SETS


def test_what_is_written_is_read_again() -> None:
    assert read_file(write_csv(_rows()).encode()) == _SETS
    assert read_file(write_json(_rows()).encode()) == _SETS
    assert _INPUT.replace("input,", "input,0,") in write_csv(_rows())


def test_prices_of_long_calls_are_written_and_read_again() -> None:
    sets = [replace(_SETS[0], tiers=(("input", 200_000, Decimal("2.5"), Decimal(1_000_000)),))]
    assert _LONG in write_csv(_rows(sets))
    assert read_file(write_csv(_rows(sets)).encode()) == sets
    assert read_file(write_json(_rows(sets)).encode()) == sets


@pytest.mark.parametrize(
    ("text", "place", "fault"),
    [
        ("", "its first line", "has no column"),
        ("provider,model\nx,y\n", "its first line", "amount, per, pool, source, valid_from"),
        (_HEAD, "it", "has 0 rows"),
        (_HEAD + _INPUT + "gemini,gemini-3,input\n", "row 2, column valid_from", "offset"),
        (_HEAD + _INPUT.replace("list", "list,more"), "row 1", "other columns"),
        (_HEAD.replace("source", "source,note") + _INPUT.replace("list", "list,more"), "row 1", "unknown"),
        (_HEAD + _INPUT.replace("1.25", "-1"), "row 1, column amount", "at least 0"),
        (_HEAD + _INPUT.replace("1.25", "1e3"), "row 1, column amount", "decimal"),
        (_HEAD + _INPUT.replace("00Z", "00"), "row 1, column valid_from", "offset"),
        (_HEAD + _INPUT + _OUTPUT.replace("list", "other"), "row 2", "mixes sources"),
        (_HEAD.replace("source", "source,above") + _INPUT.replace("list", "list,-1"), "row 1, column above", "whole"),
        (_HEAD + '"', "it", "is not CSV"),
        ('[{"provider": "x"}]', "it", "malformed"),
        ('[{"provider": "x", "odd": 1}]', "it", "malformed"),
        ("[", "it", "malformed"),
        ("[]", "it", "has 0 rows"),
    ],
)
def test_a_fault_is_told_with_its_place(text: str, place: str, fault: str) -> None:
    with pytest.raises(PriceFileRefused) as refused:
        read_file(text.encode())
    assert refused.value.place == place
    assert fault in refused.value.fault
