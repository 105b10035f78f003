"""A product as an operator writes it: the shape of a catalogue file, and what is refused before it is published."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from domain.kernel.money import CurrencyUnknown, exponent
from domain.kernel.unreadable import UNREADABLE
from domain.plans.exact import DefinitionRefused, decimal_at, malformed
from domain.plans.meter_definition import (
    LIMITED,
    TEXT_LENGTH_MAX,
    MeterDefinition,
    check_key,
    check_meter,
    check_text,
    check_unique,
)
from domain.plans.models.matrix import check_dimensions
from domain.plans.plan import (
    NET_DAYS_MAX,
    CancelCredit,
    EntitlementKind,
    Existing,
    Interval,
    OnFailure,
    Policy,
    PriceKind,
    PriceModel,
    Proration,
    Source,
)
from domain.plans.price import MODELS, check_definition
from domain.plans.provider_price import LIST_CURRENCY
from domain.plans.start import AT_ONCE, Sold, Start, check_start

T = TypeVar("T")

FILE_BYTES_MAX = 1_000_000
PLANS_MAX = 100
METERS_MAX = 100
PRICES_MAX = 200
ENTITLEMENTS_MAX = 200
GRACE_S_MAX = 30 * 86_400
GRACE_HOURS_MAX = 31 * 24
SOFT_PERCENT_MAX = 1_000
RANK_MAX = 1_000_000
FEATURES_MAX = 100
WORDS_LENGTH_MAX = 500
TAX_CODE_LENGTH_MAX = 40

# JSON has it as an escape only, and PostgreSQL stores it in no text.
_NUL = b"\\u0000"
_TAX_CODE = re.compile(r"[a-z0-9][a-z0-9_.-]*")


class PriceDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """See `domain.plans.plan.Price`; the meter is named by its key."""

    key: str
    kind: PriceKind
    currency: str
    model: PriceModel
    definition: dict[str, Any]
    description: str
    interval: Interval | None = None
    meter: str | None = None


class EntitlementDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """See `domain.plans.plan.Entitlement`; the meter is named by its key."""

    key: str
    description: str
    source: Source = "ours"
    kind: EntitlementKind = "limit"
    meter: str | None = None
    money: bool = False
    dimension_filter: dict[str, str] | None = None
    amount: str | None = None
    currency: str | None = None
    policy: Policy | None = None
    soft_percent: int | None = None
    grace_hours: int | None = None
    on_failure: OnFailure = "open"


class PlanDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plan and its newest version."""

    key: str
    name: str
    rank: int
    prices: tuple[PriceDefinition, ...]
    entitlements: tuple[EntitlementDefinition, ...] = ()
    support: str = ""
    features: tuple[str, ...] = ()
    invoice_grace_s: int = 0
    existing: Existing = "stay"
    proration: Proration = "second"
    tax_code: str | None = None
    start: Start = AT_ONCE
    cancel_credit: CancelCredit = "none"
    net_days: int | None = None


class ProductDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A product with all its meters and plans."""

    key: str
    name: str
    meters: tuple[MeterDefinition, ...]
    plans: tuple[PlanDefinition, ...]


def read_product(text: bytes) -> ProductDefinition:
    """Read and check a catalogue file (JSON). Raises DefinitionRefused with the path to the first fault."""
    product = decoded(text, ProductDefinition)
    check_product(product)
    check_storable(text)
    return product


def check_storable(text: bytes) -> None:
    """Refuse JSON with a text that PostgreSQL would not store, wherever it stands. Raises DefinitionRefused."""
    if _NUL in text:
        raise DefinitionRefused("$", "holds a NUL character, which no text may")


def decoded(text: bytes, kind: type[T]) -> T:
    """Read JSON. Raises DefinitionRefused with the path to the first fault."""
    if len(text) > FILE_BYTES_MAX:
        raise DefinitionRefused("$", f"is larger than {FILE_BYTES_MAX} bytes")
    try:
        return msgspec.json.decode(text, type=kind)
    except UNREADABLE as error:
        raise malformed(error) from error


# Settings that came later than the first versions: at their default, a version's digest is what it was without them.
_YOUNGER = {
    "proration": "second",
    "tax_code": None,
    "start": msgspec.to_builtins(AT_ONCE),
    "cancel_credit": "none",
    "net_days": None,
}


def plan_digest(plan: PlanDefinition) -> bytes:
    """Digest what a version of the plan would hold; name and rank belong to the plan and are not part of it."""
    content = msgspec.to_builtins(plan)
    for outside in ("key", "name", "rank"):
        del content[outside]
    for setting, default in _YOUNGER.items():
        if content[setting] == default:
            del content[setting]
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).digest()


def check_product(product: ProductDefinition) -> None:
    """Refuse a product that could not be billed as written. Raises DefinitionRefused with the path to the fault."""
    check_key(product.key, "$.key")
    check_text(product.name, TEXT_LENGTH_MAX, "$.name")
    _check_count(product.meters, METERS_MAX, "$.meters")
    _check_count(product.plans, PLANS_MAX, "$.plans")
    check_unique((meter.key for meter in product.meters), "$.meters", "key")
    check_unique((plan.key for plan in product.plans), "$.plans", "key")
    for index, meter in enumerate(product.meters):
        check_key(meter.key, f"$.meters[{index}].key")
        check_meter(meter, f"$.meters[{index}]")
    meters = {meter.key: meter for meter in product.meters}
    for index, plan in enumerate(product.plans):
        check_plan(plan, meters, f"$.plans[{index}]")
        others = {each.key: _sold(each, free=True) for each in product.plans if each.key != plan.key}
        check_start(plan.start, _sold(plan), others, f"$.plans[{index}].start")


def _sold(plan: PlanDefinition, *, free: bool = False) -> Sold:
    """Return how often and in which currency a plan is sold, or only how it is for nothing."""
    fees = (price for price in plan.prices if price.kind == "fee")
    return frozenset(
        (price.interval, price.currency)
        for price in fees
        if not free or (price.model == "flat" and not Decimal(price.definition["amount"]))
    )


def is_tax_code(text: str) -> bool:
    """Whether a text can be a tax code, such as saas or Stripe's txcd_10103001."""
    return len(text) <= TAX_CODE_LENGTH_MAX and bool(_TAX_CODE.fullmatch(text))


def check_plan(plan: PlanDefinition, meters: Mapping[str, MeterDefinition], path: str) -> None:
    """Refuse a plan that could not be billed as written, its trial aside. Raises DefinitionRefused."""
    check_key(plan.key, f"{path}.key")
    _check_words(plan, path)
    if not 0 <= plan.invoice_grace_s <= GRACE_S_MAX:
        raise DefinitionRefused(f"{path}.invoice_grace_s", f"is not between 0 and {GRACE_S_MAX} seconds")
    if plan.tax_code is not None and not is_tax_code(plan.tax_code):
        raise DefinitionRefused(f"{path}.tax_code", f"is not at most {TAX_CODE_LENGTH_MAX} of a-z, 0-9, . _ -")
    _check_terms(plan, path)
    _check_count(plan.prices, PRICES_MAX, f"{path}.prices")
    _check_count(plan.entitlements, ENTITLEMENTS_MAX, f"{path}.entitlements")
    check_unique((price.key for price in plan.prices), f"{path}.prices", "key")
    check_unique((entitlement.key for entitlement in plan.entitlements), f"{path}.entitlements", "key")
    for index, price in enumerate(plan.prices):
        _check_price(price, meters, f"{path}.prices[{index}]")
    _check_prices_together(plan.prices, f"{path}.prices")
    for index, entitlement in enumerate(plan.entitlements):
        _check_entitlement(entitlement, meters, f"{path}.entitlements[{index}]")


def _check_words(plan: PlanDefinition, path: str) -> None:
    check_text(plan.name, TEXT_LENGTH_MAX, f"{path}.name")
    if not -RANK_MAX <= plan.rank <= RANK_MAX:
        raise DefinitionRefused(f"{path}.rank", f"is not between -{RANK_MAX} and {RANK_MAX}")
    if plan.support:
        check_text(plan.support, WORDS_LENGTH_MAX, f"{path}.support")
    _check_count(plan.features, FEATURES_MAX, f"{path}.features")
    for index, feature in enumerate(plan.features):
        check_text(feature, WORDS_LENGTH_MAX, f"{path}.features[{index}]")
    for name in ("prices", "entitlements"):
        for index, part in enumerate(getattr(plan, name)):
            check_text(part.description, WORDS_LENGTH_MAX, f"{path}.{name}[{index}].description")


def _check_terms(plan: PlanDefinition, path: str) -> None:
    if plan.net_days is None:
        return
    if not 0 <= plan.net_days <= NET_DAYS_MAX:
        raise DefinitionRefused(f"{path}.net_days", f"is not between 0 and {NET_DAYS_MAX}")
    if plan.net_days and plan.start.when_paid:
        raise DefinitionRefused(f"{path}.start.when_paid", "does not fit: its first invoice is not due at its start")


def _check_price(price: PriceDefinition, meters: Mapping[str, MeterDefinition], path: str) -> None:
    check_key(price.key, f"{path}.key")
    _check_currency(price.currency, f"{path}.currency")
    if (price.interval is not None) != (price.kind == "fee"):
        raise DefinitionRefused(f"{path}.interval", "does not fit: a fee has an interval, a usage price has none")
    if (price.meter is not None) != (price.kind == "usage"):
        raise DefinitionRefused(f"{path}.meter", "does not fit: a usage price has a meter, a fee has none")
    meter = None if price.meter is None else _meter_at(price.meter, meters, f"{path}.meter")
    _check_model(price, meter, path)
    check_definition(price.model, price.definition, f"{path}.definition")
    if price.model == "matrix" and meter is not None:
        check_dimensions(price.definition, meter.dimensions, f"{path}.definition")
    _check_price_currency(price, path)


def _check_model(price: PriceDefinition, meter: MeterDefinition | None, path: str) -> None:
    if meter is None:
        what, fitting = "a fee", [key for key, model in MODELS.items() if model.for_fee]
    elif meter.aggregation == "cost":
        what, fitting = "a cost", [key for key, model in MODELS.items() if model.for_cost]
    else:
        what, fitting = "a quantity", [key for key, model in MODELS.items() if model.for_units]
    if price.model not in fitting:
        raise DefinitionRefused(f"{path}.model", f"does not fit: {what} is priced by {', '.join(fitting)}")
    if meter is not None and MODELS[price.model].by_event and meter.aggregation not in {"count", "sum"}:
        raise DefinitionRefused(f"{path}.model", f"does not fit: it looks at each event, {meter.aggregation} does not")


def _check_price_currency(price: PriceDefinition, path: str) -> None:
    if price.model == "dynamic" and price.currency != LIST_CURRENCY:
        raise DefinitionRefused(
            f"{path}.currency", f"needs a conversion rate: the provider price list is in {LIST_CURRENCY}"
        )
    if price.model == "flat" and Decimal(price.definition["amount"]) % Decimal(1).scaleb(-exponent(price.currency)):
        raise DefinitionRefused(f"{path}.definition.amount", f"has more decimals than {price.currency} has")


def _check_prices_together(prices: Iterable[PriceDefinition], path: str) -> None:
    """Refuse two prices for the same thing, and a currency in which some usage would have no price."""
    seen: set[tuple[str, str | None, str | None]] = set()
    metered: dict[str, set[str]] = {}
    for index, price in enumerate(prices):
        what = (price.currency, price.interval, price.meter)
        if what in seen:
            raise DefinitionRefused(f"{path}[{index}]", "prices the same interval or meter again in its currency")
        seen.add(what)
        found = metered.setdefault(price.currency, set())
        if price.meter is not None:
            found.add(price.meter)
    every = set().union(*metered.values())
    for currency, found in sorted(metered.items()):
        if found != every:
            raise DefinitionRefused(path, f"leaves {', '.join(sorted(every - found))} without a price in {currency}")


def _check_entitlement(entitlement: EntitlementDefinition, meters: Mapping[str, MeterDefinition], path: str) -> None:
    check_key(entitlement.key, f"{path}.key")
    if entitlement.amount is not None:
        decimal_at({"amount": entitlement.amount}, "amount", path)
    if entitlement.kind == "feature":
        if entitlement.meter is not None or entitlement.policy is not None or entitlement.money:
            raise DefinitionRefused(path, "is a feature: it has no meter, money or policy")
        return
    if entitlement.meter is None or entitlement.policy is None:
        raise DefinitionRefused(path, "is a limit: it needs a meter and a policy")
    meter = _meter_at(entitlement.meter, meters, f"{path}.meter")
    if meter.aggregation not in LIMITED:
        raise DefinitionRefused(f"{path}.meter", f"cannot be limited: {meter.key} is a {meter.aggregation}")
    for name in entitlement.dimension_filter or ():
        if name not in meter.dimensions:
            raise DefinitionRefused(f"{path}.dimension_filter.{name}", f"is not a dimension of the meter {meter.key}")
    _check_money(entitlement, meter, path)
    _check_policy(entitlement, path)


def _check_money(entitlement: EntitlementDefinition, meter: MeterDefinition, path: str) -> None:
    if entitlement.money != (meter.aggregation == "cost"):
        raise DefinitionRefused(f"{path}.money", "does not fit: a limit on a cost meter is money, any other is not")
    if entitlement.money != (entitlement.currency is not None):
        raise DefinitionRefused(f"{path}.currency", "does not fit: a limit in money has a currency, any other has none")
    if entitlement.currency is not None and entitlement.currency != LIST_CURRENCY:
        raise DefinitionRefused(f"{path}.currency", f"is not {LIST_CURRENCY}, in which costs are kept")


def _check_policy(entitlement: EntitlementDefinition, path: str) -> None:
    soft = entitlement.policy == "soft"
    percent, hours = entitlement.soft_percent, entitlement.grace_hours
    if soft != (percent is not None) or (percent is not None and not 100 <= percent <= SOFT_PERCENT_MAX):
        raise DefinitionRefused(
            f"{path}.soft_percent", f"does not fit: a soft limit has one of 100 to {SOFT_PERCENT_MAX}, others none"
        )
    if soft != (hours is not None) or (hours is not None and not 0 <= hours <= GRACE_HOURS_MAX):
        raise DefinitionRefused(
            f"{path}.grace_hours", f"does not fit: a soft limit has one of 0 to {GRACE_HOURS_MAX}, others none"
        )


def _meter_at(key: str, meters: Mapping[str, MeterDefinition], path: str) -> MeterDefinition:
    if key not in meters:
        raise DefinitionRefused(path, f"names no meter of the product: {key}")
    return meters[key]


def _check_currency(currency: str, path: str) -> None:
    try:
        exponent(currency)
    except CurrencyUnknown as error:
        raise DefinitionRefused(path, "is not a currency code of ISO 4217") from error


def _check_count(values: tuple[Any, ...], most: int, path: str) -> None:
    if len(values) > most:
        raise DefinitionRefused(path, f"has more than {most} entries")
