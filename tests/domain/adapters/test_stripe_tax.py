"""Stripe's tax calculations, against the sandbox, which takes 10 % everywhere."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.adapters import stripe_tax
from domain.adapters.stripe import StripeGateway
from domain.adapters.stripe_tax import StripeTax
from domain.customers.profiles.profile import Address, TaxStatus
from domain.invoices.tax import NoTax, Rate
from domain.invoices.taxing.port import AskedGroup, TaxQuestion, TaxRefused, TaxShare, TaxUnavailable
from domain.kernel.call import Environment
from tests import make
from tests.domain.payments.gateways import API_KEY, SandboxProbe

_QUESTION = TaxQuestion(
    environment=Environment.TEST,
    currency="USD",
    groups=(AskedGroup(None, 7_905), AskedGroup("txcd_10103001", -1_000), AskedGroup("txcd_10000000", 0)),
    address=Address("Allee 1", "", "Berlin", "10115", None, "DE"),
    vat_number="DE136695976",
    status=TaxStatus.TAXABLE,
    at=make.at("2026-03-01"),
)
_RATE = Rate("Sandbox tax", Decimal(10), country="DE")


@pytest.fixture
async def calculator(sandbox: SandboxProbe, sandbox_url: str) -> Any:
    """Speak to the sandbox."""
    assert sandbox is not None
    gateway = StripeGateway(API_KEY, api_base=sandbox_url)
    yield StripeTax(gateway)
    await gateway.close()


async def test_each_group_is_taxed_and_a_credit_lowers_the_tax(calculator: StripeTax) -> None:
    answer = await calculator.calculate(_QUESTION, key="tax:1")
    # 79.05 x 0.1 = 7.905, rounded away from zero; nothing is asked for nothing.
    assert list(answer.groups) == [[TaxShare(_RATE, 7_905, 791)], [TaxShare(_RATE, -1_000, -100)], []]
    assert answer.reference.startswith("taxcalc_")
    again = await calculator.calculate(_QUESTION, key="tax:1")
    assert again == answer


async def test_who_is_exempt_or_reversed_is_not_taxed_and_the_reason_is_told(calculator: StripeTax) -> None:
    for status, reason in ((TaxStatus.EXEMPT, NoTax.EXEMPT), (TaxStatus.REVERSE_CHARGE, NoTax.REVERSE_CHARGE)):
        answer = await calculator.calculate(
            replace(_QUESTION, status=status, groups=_QUESTION.groups[:1]), key=f"tax:{status}"
        )
        assert [(share.stated, share.tax_minor) for share in answer.groups[0]] == [(reason, 0)]


async def test_a_place_that_stripe_does_not_know_is_refused(calculator: StripeTax) -> None:
    nowhere = replace(_QUESTION, address=Address(country="Atlantis"))
    with pytest.raises(TaxRefused, match="customer_tax_location_invalid"):
        await calculator.calculate(nowhere, key="tax:nowhere")


async def test_a_lost_answer_is_repeated_under_its_key(calculator: StripeTax, sandbox: SandboxProbe) -> None:
    fault = '{"kind": "drop", "operation": "POST /v1/tax/calculations", "when": "after"}'
    await sandbox.ask("POST", "/_sandbox/faults", content=fault)
    answer = await calculator.calculate(_QUESTION, key="tax:lost")
    assert (await calculator.calculate(_QUESTION, key="tax:lost")).reference == answer.reference


async def test_without_an_answer_the_taxes_are_not_known(calculator: StripeTax, sandbox: SandboxProbe) -> None:
    fault = '{"kind": "error", "operation": "POST /v1/tax/calculations", "when": "before"}'
    await sandbox.ask("POST", "/_sandbox/faults", content=fault)
    with pytest.raises(TaxUnavailable):
        await calculator.calculate(_QUESTION, key="tax:down")
    assert (await calculator.calculate(_QUESTION, key="tax:up")).groups[0] == [TaxShare(_RATE, 7_905, 791)]


async def test_nothing_is_asked_for_nothing_or_for_the_other_environment(calculator: StripeTax) -> None:
    nothing = replace(_QUESTION, groups=_QUESTION.groups[2:])
    assert (await calculator.calculate(nothing, key="tax:nothing")).groups == ([],)
    with pytest.raises(TaxRefused, match="environment"):
        await calculator.calculate(replace(_QUESTION, environment=Environment.LIVE), key="tax:live")


def _made(tax: int, *parts: tuple[int, str, str | None]) -> dict[str, Any]:
    """Write an answer about the first group: parts of (tax, reason, percent)."""
    breakdown = [
        {
            "amount": amount,
            "taxable_amount": 7_905,
            "taxability_reason": reason,
            "jurisdiction": {"country": "US", "state": "CA"},
            "tax_rate_details": {"display_name": "Sales Tax", "percentage_decimal": percent} if percent else None,
        }
        for amount, reason, percent in parts
    ]
    item = {"reference": "0", "amount_tax": tax, "tax_breakdown": breakdown}
    return {"id": "taxcalc_1", "tax_amount_exclusive": tax, "line_items": {"data": [item]}}


def test_jurisdictions_with_one_rate_are_one_and_others_stand_apart() -> None:
    question = replace(_QUESTION, groups=_QUESTION.groups[:1])
    made = _made(30, (10, "standard_rated", "0.125"), (10, "standard_rated", "0.125"), (10, "reduced_rated", "0.13"))
    answer = stripe_tax._answer(question, made)
    assert [(share.base_minor, share.tax_minor) for share in answer.groups[0]] == [(7_905, 20), (7_905, 10)]
    made = _made(0, (0, "not_collecting", None), (0, "excluded_territory", None))
    assert [share.stated for share in stripe_tax._answer(question, made).groups[0]] == [
        NoTax.NOT_REGISTERED,
        NoTax.NO_RATE,
    ]


def test_an_answer_that_does_not_add_up_is_refused() -> None:
    question = replace(_QUESTION, groups=_QUESTION.groups[:1])
    with pytest.raises(TaxRefused, match="sum"):
        stripe_tax._answer(question, _made(31, (30, "standard_rated", "10")))
    with pytest.raises(TaxRefused, match="sum"):
        stripe_tax._answer(question, _made(30, (30, "standard_rated", "10")) | {"tax_amount_exclusive": 31})
