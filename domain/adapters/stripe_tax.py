"""Stripe's tax calculations: one amount for each tax code is sent, tax on top, and the rates that Stripe found read.

Stripe takes positive amounts only: a group in which credits weigh more is asked for as a charge and turned round.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from domain.adapters.stripe import StripeGateway
from domain.adapters.stripe_errors import errors
from domain.customers.profiles.profile import TaxStatus
from domain.invoices.tax import NoTax, Rate
from domain.invoices.taxing.port import TaxAnswer, TaxQuestion, TaxRefused, TaxShare, TaxUnavailable
from domain.payments.port import GatewayRefused, GatewayUnavailable

_OVERRIDES = {TaxStatus.EXEMPT: "customer_exempt", TaxStatus.REVERSE_CHARGE: "reverse_charge"}
_REASONS = {
    "customer_exempt": NoTax.EXEMPT,
    "reverse_charge": NoTax.REVERSE_CHARGE,
    "not_collecting": NoTax.NOT_REGISTERED,
    "not_supported": NoTax.NO_RATE,
    "not_subject_to_tax": NoTax.NO_RATE,
    "product_exempt": NoTax.NO_RATE,
    "product_exempt_holiday": NoTax.NO_RATE,
}
# Countries whose VAT numbers Stripe knows under a type of their own; those of the Union share one.
_TAX_ID_TYPES = {"GB": "gb_vat", "CH": "ch_vat", "NO": "no_vat"}
_UNION = frozenset("AT BE BG CY CZ DE DK EE EL ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK XI".split())


class StripeTax:
    """Computes taxes through Stripe, over the gateway's connection."""

    def __init__(self, gateway: StripeGateway) -> None:
        """Open no connection yet."""
        self._gateway = gateway

    async def calculate(self, question: TaxQuestion, *, key: str) -> TaxAnswer:
        """Ask Stripe, within the gateway's time limit and number of tries."""
        if question.environment is not self._gateway.environment:
            raise TaxRefused("environment")
        asked = [group for group in question.groups if group.amount_minor]
        if not asked:
            return TaxAnswer("none", tuple([] for _ in question.groups))
        try:
            with errors():
                made = await self._gateway.api.v1.tax.calculations.create_async(
                    _params(question), {"idempotency_key": key}
                )
        except GatewayUnavailable as error:
            raise TaxUnavailable(error.reason) from error
        except GatewayRefused as error:
            raise TaxRefused(error.reason) from error
        return _answer(question, made.to_dict())

    async def close(self) -> None:
        """Close nothing: the connection is the gateway's."""


def _params(question: TaxQuestion) -> Any:
    lines = [
        {
            "amount": abs(group.amount_minor),
            "reference": str(index),
            "tax_behavior": "exclusive",
            **({"tax_code": group.tax_code} if group.tax_code else {}),
        }
        for index, group in enumerate(question.groups)
        if group.amount_minor
    ]
    address = question.address
    given = {
        "line1": address.line1,
        "line2": address.line2,
        "city": address.city,
        "postal_code": address.postal_code,
        "state": address.region,
        "country": address.country,
    }
    details: dict[str, Any] = {
        "address": {name: value for name, value in given.items() if value},
        "address_source": "billing",
        "taxability_override": _OVERRIDES.get(question.status, "none"),
    }
    if question.vat_number:
        prefix = question.vat_number[:2]
        kind = "eu_vat" if prefix in _UNION else _TAX_ID_TYPES.get(prefix)
        if kind:
            details["tax_ids"] = [{"type": kind, "value": question.vat_number}]
    return {
        "currency": question.currency.lower(),
        "line_items": lines,
        "customer_details": details,
        "tax_date": int(question.at.timestamp()),
        "expand": ["line_items.data.tax_breakdown"],
    }


def _answer(question: TaxQuestion, made: dict[str, Any]) -> TaxAnswer:
    """Read the taxes of each group. What does not add up to Stripe's own sum is no answer."""
    found = {item["reference"]: item for item in made["line_items"]["data"]}
    groups: list[list[TaxShare]] = []
    for index, group in enumerate(question.groups):
        item = found.get(str(index), {"amount_tax": 0, "tax_breakdown": []})
        sign = -1 if group.amount_minor < 0 else 1
        shares = [_share(part, sign) for part in item["tax_breakdown"]]
        if sum(share.tax_minor for share in shares) != sign * item["amount_tax"]:
            raise TaxRefused("sum")
        groups.append(_joined(shares))
    if sum(item["amount_tax"] for item in found.values()) != made["tax_amount_exclusive"]:
        raise TaxRefused("sum")
    return TaxAnswer(made["id"], tuple(groups))


def _share(part: dict[str, Any], sign: int) -> TaxShare:
    reason = _REASONS.get(part["taxability_reason"])
    base, details = sign * part["taxable_amount"], part.get("tax_rate_details")
    if reason is not None or details is None:
        return TaxShare(reason or NoTax.NO_RATE, base, sign * part["amount"])
    place = part.get("jurisdiction") or {}
    rate = Rate(
        details.get("display_name") or "Tax",
        Decimal(details["percentage_decimal"]),
        country=place.get("country"),
        region=place.get("state"),
    )
    return TaxShare(rate, base, sign * part["amount"])


def _joined(shares: Iterable[TaxShare]) -> list[TaxShare]:
    """State a rate once for a group, also where several jurisdictions have it under one name."""
    found: dict[Rate | NoTax, TaxShare] = {}
    for share in shares:
        before = found.get(share.stated)
        tax = share.tax_minor + (before.tax_minor if before else 0)
        found[share.stated] = TaxShare(share.stated, before.base_minor if before else share.base_minor, tax)
    return list(found.values())
