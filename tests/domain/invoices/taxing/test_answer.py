"""What was answered about taxes is stored and read again."""

import json
from decimal import Decimal

from domain.invoices.tax import NoTax, Rate
from domain.invoices.taxing.answer import answer_json, answer_of
from domain.invoices.taxing.port import TaxAnswer, TaxShare


def test_an_answer_is_read_as_it_was_stored_rates_and_reasons_for_none_alike() -> None:
    vat = Rate("VAT", Decimal("19.00"), country="DE")
    city = Rate("Sales tax", Decimal("8.875"), country="US", region="NY")
    answer = TaxAnswer(
        "taxcalc_1",
        (
            [TaxShare(vat, 10_000, 1_900)],
            [TaxShare(NoTax.REVERSE_CHARGE, 5_000, 0), TaxShare(city, -400, -36)],
        ),
    )
    assert answer_of(json.loads(json.dumps(answer_json(answer)))) == answer
