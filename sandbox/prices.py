"""Products and prices, as little as subscriptions and invoice items need: per-unit prices, one-time or recurring."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox import ids
from sandbox.call import Call, operation
from sandbox.errors import invalid, not_implemented
from sandbox.events import emit, emit_update
from sandbox.listing import PAGING, page
from sandbox.metadata import merged
from sandbox.money import bounded, currency
from sandbox.store import Document

PRODUCT_FIELDS = "active description images metadata name statement_descriptor unit_label url"
PRICE_FIELDS = "active currency lookup_key metadata nickname product product_data recurring tax_behavior unit_amount"


@operation("post", "/v1/products", takes=f"{PRODUCT_FIELDS} id")
def create_product(call: Call) -> Document:
    """Create a product, under an id of the caller's choice if one is given."""
    identifier = call.params.get("id")
    if identifier and call.store.find(identifier):
        raise invalid(f"Product already exists: {identifier}", code="resource_already_exists", param="id")
    product = _product(call, call.params, identifier or ids.new("prod"))
    emit(call, "product.created", product)
    return product


def _product(call: Call, given: Any, identifier: str) -> Document:
    product: Document = {
        "id": identifier,
        "object": "product",
        "active": given.get("active", True),
        "created": call.now,
        "default_price": None,
        "images": given.get("images", []),
        "livemode": False,
        "marketing_features": [],
        "metadata": merged({}, given.get("metadata")),
        "name": given["name"],
        "package_dimensions": None,
        "shippable": None,
        "tax_code": None,
        "type": "service",
        "updated": call.now,
    }
    optional = ("description", "statement_descriptor", "unit_label", "url")
    return call.store.put(product | {name: given.get(name) for name in optional})


@operation("post", "/v1/products/{id}", takes=PRODUCT_FIELDS)
def update_product(call: Call) -> Document:
    """Change what is given of a product."""
    before = call.target("product")
    changed = {name: value for name, value in call.params.items() if name in PRODUCT_FIELDS.split()}
    after = (
        before | changed | {"metadata": merged(before["metadata"], call.params.get("metadata")), "updated": call.now}
    )
    call.store.put(after)
    emit_update(call, "product.updated", after, before)
    return after


@operation("get", "/v1/products/{id}")
def retrieve_product(call: Call) -> Document:
    """Read a product."""
    return call.target("product")


@operation("get", "/v1/products", takes=f"active created {PAGING}")
def list_products(call: Call) -> Document:
    """List products."""
    return page(call, "product", "/v1/products", fields={"active": call.params.get("active")})


@operation("post", "/v1/prices", takes=f"{PRICE_FIELDS} unit_amount_decimal")
def create_price(call: Call) -> Document:
    """Create a per-unit price of a product, or of a new product made from `product_data`."""
    lookup_key = call.params.get("lookup_key")
    if lookup_key and page(call, "price", "/v1/prices", fields={"lookup_key": lookup_key})["data"]:
        raise invalid(f"A price with the lookup key {lookup_key} already exists.", param="lookup_key")
    price = made(call, call.params, active=call.params.get("active", True))
    emit(call, "price.created", price)
    return price


def made(call: Call, given: Any, *, active: bool) -> Document:
    """Store a price from `price_data` or the parameters of its own creation."""
    if ("unit_amount" in given) == ("unit_amount_decimal" in given):
        raise invalid("Specify exactly one of unit_amount and unit_amount_decimal.", param="unit_amount")
    exact = Decimal(given.get("unit_amount", given.get("unit_amount_decimal")))
    if exact < 0:
        raise invalid("Invalid non-negative integer.", code="parameter_invalid_integer", param="unit_amount")
    whole = exact == exact.to_integral_value()
    return call.store.put(
        {
            "id": ids.new("price"),
            "object": "price",
            "active": active,
            "billing_scheme": "per_unit",
            "created": call.now,
            "currency": currency(given["currency"]),
            "custom_unit_amount": None,
            "livemode": False,
            "lookup_key": given.get("lookup_key"),
            "metadata": merged({}, given.get("metadata")),
            "nickname": given.get("nickname"),
            "product": _product_of(call, given),
            "recurring": _recurring(given.get("recurring")),
            "tax_behavior": given.get("tax_behavior", "unspecified"),
            "tiers_mode": None,
            "transform_quantity": None,
            "type": "recurring" if given.get("recurring") else "one_time",
            "unit_amount": int(exact) if whole else None,
            "unit_amount_decimal": str(exact),
        },
    )


def _product_of(call: Call, given: Any) -> str:
    if given.get("product_data"):
        return str(_product(call, given["product_data"], ids.new("prod"))["id"])
    if not given.get("product"):
        raise invalid("One of product and product_data is required.", code="parameter_missing", param="product")
    return str(call.document("product", given["product"], param="product")["id"])


def _recurring(given: Any) -> Document | None:
    if not given:
        return None
    if given.get("usage_type", "licensed") != "licensed" or given.get("meter"):
        raise not_implemented("metered prices")
    return {
        "interval": given["interval"],
        "interval_count": given.get("interval_count", 1),
        "meter": None,
        "trial_period_days": given.get("trial_period_days"),
        "usage_type": "licensed",
    }


def total(price: Document, quantity: Decimal) -> int:
    """Give the amount of a quantity at a price, rounded half up to the minor unit."""
    exact = Decimal(price["unit_amount_decimal"]) * quantity
    return bounded(int(exact.quantize(Decimal(1), ROUND_HALF_UP)))


def pricing(price: Document) -> Document:
    """Describe a price as lines and invoice items do."""
    return {
        "price_details": {"price": price["id"], "product": price["product"]},
        "type": "price_details",
        "unit_amount_decimal": price["unit_amount_decimal"],
    }


def plan(price: Document) -> Document:
    """Describe a recurring price as the plan that subscription items still carry."""
    recurring = price["recurring"]
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": "per_unit",
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": False,
        "metadata": price["metadata"],
        "meter": None,
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


@operation("get", "/v1/prices/{price}")
def retrieve_price(call: Call) -> Document:
    """Read a price."""
    return call.target("price")


@operation("post", "/v1/prices/{price}", takes="active metadata nickname")
def update_price(call: Call) -> Document:
    """Change what is given of a price; its amount never changes."""
    before = call.target("price")
    changed = {name: call.params[name] for name in ("active", "nickname") if name in call.params}
    after = before | changed | {"metadata": merged(before["metadata"], call.params.get("metadata"))}
    call.store.put(after)
    emit_update(call, "price.updated", after, before)
    return after


@operation("get", "/v1/prices", takes=f"active currency product type lookup_keys created {PAGING}")
def list_prices(call: Call) -> Document:
    """List prices; `lookup_keys` takes one key here."""
    keys = call.params.get("lookup_keys", [])
    if len(keys) > 1:
        raise not_implemented("more than one of lookup_keys")
    fields = {name: call.params.get(name) for name in ("active", "currency", "product", "type")}
    fields["lookup_key"] = keys[0] if keys else None
    return page(call, "price", "/v1/prices", fields=fields)
