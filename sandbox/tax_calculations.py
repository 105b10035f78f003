"""Tax calculations: one made-up rate in every country, on top of the amounts, unless the customer is exempt.

Stripe's own rates are Stripe's to know; what is kept here is the form of its answers, and what it refuses.
"""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox import ids
from sandbox.addresses import address
from sandbox.call import Call, operation
from sandbox.errors import invalid
from sandbox.money import bounded, currency
from sandbox.presenting import listed
from sandbox.store import Document

PERCENT = Decimal(10)
LIVES_S = 90 * 86_400
COUNTRY_LENGTH = 2
_OVERRIDES = {"customer_exempt": "customer_exempt", "reverse_charge": "reverse_charge"}


@operation("post", "/v1/tax/calculations", takes="currency customer_details line_items tax_date")
def create(call: Call) -> Document:
    """Compute the taxes of some line items; nothing is charged and nothing is reported."""
    details: Any = call.params.get("customer_details") or {}
    place = address(details.get("address"))
    if place is None or len(place["country"] or "") != COUNTRY_LENGTH:
        raise invalid(
            "The customer's location isn't recognized. Set a valid customer address.",
            code="customer_tax_location_invalid",
            param="customer_details[address]",
        )
    reason = _OVERRIDES.get(details.get("taxability_override", "none"), "standard_rated")
    identifier = ids.new("taxcalc")
    items = [_item(given, index, reason, place) for index, given in enumerate(call.params["line_items"])]
    tax = sum(item["amount_tax"] for item in items)
    url = f"/v1/tax/calculations/{identifier}/line_items"
    return {
        "id": identifier,
        "object": "tax.calculation",
        "amount_total": sum(item["amount"] for item in items) + tax,
        "currency": currency(call.params["currency"]),
        "customer": None,
        "customer_details": {
            "address": place,
            "address_source": details.get("address_source"),
            "ip_address": None,
            "tax_ids": details.get("tax_ids", []),
            "taxability_override": details.get("taxability_override", "none"),
        },
        "expires_at": call.now + LIVES_S,
        "line_items": listed(url, items, has_more=False),
        "livemode": False,
        "ship_from_details": None,
        "shipping_cost": None,
        "tax_amount_exclusive": tax,
        "tax_amount_inclusive": 0,
        "tax_breakdown": [],
        "tax_date": call.params.get("tax_date") or call.now,
    }


def _item(given: Any, index: int, reason: str, place: Document) -> Document:
    amount, param = given["amount"], f"line_items[{index}]"
    if given.get("tax_behavior", "exclusive") != "exclusive":
        raise invalid("The sandbox computes taxes on top of amounts only.", param=f"{param}[tax_behavior]")
    if amount < 0:
        raise invalid("Invalid positive integer", param=f"{param}[amount]")
    is_taxed = reason == "standard_rated"
    tax = int((amount * PERCENT / 100).quantize(Decimal(1), ROUND_HALF_UP)) if is_taxed else 0
    return {
        "id": ids.new("tax_li"),
        "object": "tax.calculation_line_item",
        "amount": bounded(amount, f"{param}[amount]"),
        "amount_tax": tax,
        "livemode": False,
        "metadata": {},
        "product": None,
        "quantity": given.get("quantity", 1),
        "reference": given.get("reference") or f"L{index + 1}",
        "tax_behavior": "exclusive",
        "tax_breakdown": [_breakdown(amount, tax, reason, place)],
        "tax_code": given.get("tax_code") or "txcd_10000000",
    }


def _breakdown(amount: int, tax: int, reason: str, place: Document) -> Document:
    rate = {"display_name": "Sandbox tax", "percentage_decimal": str(PERCENT), "tax_type": "vat"}
    return {
        "amount": tax,
        "jurisdiction": {
            "country": place["country"],
            "display_name": place["country"],
            "level": "country",
            "state": None,
        },
        "sourcing": "destination",
        "tax_rate_details": rate if reason == "standard_rated" else None,
        "taxability_reason": reason,
        "taxable_amount": amount if reason == "standard_rated" else 0,
    }
