"""Tax rates: made from the `tax_rate_data` of a line's tax amounts, reused when all of it is the same."""

from hashlib import sha256
from typing import Any

import msgspec

from sandbox.call import Call, operation
from sandbox.errors import invalid
from sandbox.listing import PAGING, page
from sandbox.store import Document

PERCENTAGE_MAX = 100
ID_LENGTH = 24
OPTIONAL = ("country", "description", "jurisdiction", "jurisdiction_level", "state", "tax_type")


def found_or_made(call: Call, given: Any, param: str) -> Document:
    """Give the tax rate of some `tax_rate_data`; such rates are archived at once, as Stripe does."""
    if not 0 <= given["percentage"] <= PERCENTAGE_MAX:
        raise invalid("The percentage must be between 0 and 100.", param=f"{param}[percentage]")
    digest = sha256(msgspec.json.encode(sorted((name, str(value)) for name, value in given.items()))).hexdigest()
    identifier = f"txr_{digest[:ID_LENGTH]}"
    rate: Document = {
        "id": identifier,
        "object": "tax_rate",
        "active": False,
        "created": call.now,
        "display_name": given["display_name"],
        "effective_percentage": float(given["percentage"]),
        "flat_amount": None,
        "inclusive": given["inclusive"],
        "livemode": False,
        "metadata": {},
        "percentage": float(given["percentage"]),
        "rate_type": "percentage",
    }
    return call.store.find(identifier) or call.store.put(rate | {name: given.get(name) for name in OPTIONAL})


@operation("get", "/v1/tax_rates/{tax_rate}")
def retrieve(call: Call) -> Document:
    """Read a tax rate."""
    return call.target("tax_rate")


@operation("get", "/v1/tax_rates", takes=f"active inclusive created {PAGING}")
def list_rates(call: Call) -> Document:
    """List tax rates."""
    fields = {name: call.params.get(name) for name in ("active", "inclusive")}
    return page(call, "tax_rate", "/v1/tax_rates", fields=fields)
