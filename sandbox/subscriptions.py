"""Subscriptions made in Stripe itself: created with a first invoice, updated, cancelled. They do not renew here."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from dateutil.relativedelta import relativedelta

from sandbox import collecting, ids, intents, prices, subscription_states
from sandbox.call import Call, operation
from sandbox.errors import invalid, not_implemented
from sandbox.events import emit, emit_update
from sandbox.invoice_drafts import made
from sandbox.invoice_lines import counted, put_line
from sandbox.invoice_states import default_method, finalized
from sandbox.listing import PAGING, page
from sandbox.metadata import merged
from sandbox.payment_methods import usable
from sandbox.presenting import embedded, listed
from sandbox.store import Document, Store

ITEMS_MAX = 20
DAY_S = 86_400
SHARED = "cancel_at cancel_at_period_end default_payment_method description metadata items off_session"
CREATE = f"{SHARED} customer collection_method days_until_due payment_behavior trial_end trial_period_days"


@operation("post", "/v1/subscriptions", takes=CREATE)
def create(call: Call) -> Document:
    """Create a subscription and its first invoice, and collect it unless it is sent or `default_incomplete`.

    A decline leaves the subscription incomplete, or refuses the whole request with `error_if_incomplete`.
    """
    given = call.params
    if not given.get("customer") or not given.get("items"):
        param = "items" if given.get("customer") else "customer"
        raise invalid(f"Missing required param: {param}.", code="parameter_missing", param=param)
    customer = call.document("customer", given["customer"], param="customer")
    subscription = _changed(call, _blank(call, customer), given)
    trial_end = _trial_end(call)
    subscription["_items"] = _items(call, subscription, given["items"], trial_end)
    first = subscription["_items"][0]["price"]
    subscription |= {
        "currency": first["currency"],
        "trial_start": call.now if trial_end else None,
        "trial_end": trial_end,
    }
    invoice = _first_invoice(call, customer, subscription)
    subscription |= {"latest_invoice": invoice["id"], "status": "trialing" if trial_end else "active"}
    subscription = call.store.put(_collected(call, subscription, invoice))
    emit(call, "customer.subscription.created", subscription)
    return subscription


def _blank(call: Call, customer: Document) -> Document:
    given = call.params
    return {
        "id": ids.new("sub"),
        "object": "subscription",
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": call.now,
        "billing_cycle_anchor_config": None,
        "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible"},
        "billing_schedules": [],
        "billing_thresholds": None,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": given.get("collection_method", "charge_automatically"),
        "created": call.now,
        "customer": customer["id"],
        "days_until_due": given.get("days_until_due"),
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "ended_at": None,
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
        "livemode": False,
        "metadata": {},
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "pause_collection": None,
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "schedule": None,
        "start_date": call.now,
        "status": "incomplete",
        "test_clock": None,
        "transfer_data": None,
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
    }


def _changed(call: Call, subscription: Document, given: Any) -> Document:
    """Apply the parameters that creating and updating share."""
    after = subscription | {"metadata": merged(subscription["metadata"], given.get("metadata"))}
    if "description" in given:
        after["description"] = given["description"] or None
    if "default_payment_method" in given:
        method = given["default_payment_method"]
        param = "default_payment_method"
        after[param] = usable(call, method, after["customer"], param=param)["id"] if method else None
    if "cancel_at_period_end" in given:
        after["cancel_at_period_end"] = given["cancel_at_period_end"]
        after["canceled_at"] = call.now if given["cancel_at_period_end"] else None
    if "cancel_at" in given:
        after |= _cancel_at(call, given["cancel_at"])
    return after


def _cancel_at(call: Call, given: Any) -> Document:
    if given and not isinstance(given, int):
        raise not_implemented(f"cancel_at={given}")
    return {"cancel_at": given or None, "canceled_at": call.now if given else None}


def _trial_end(call: Call) -> int | None:
    given = call.params
    if "trial_end" in given and "trial_period_days" in given:
        raise invalid("Pass only one of trial_end and trial_period_days.", code="parameters_exclusive")
    if given.get("trial_end") == "now":
        return None
    end = given.get("trial_end") or call.now + given.get("trial_period_days", 0) * DAY_S
    return int(end) if end > call.now else None


def _items(call: Call, subscription: Document, given: list[Any], trial_end: int | None) -> list[Document]:
    if len(given) > ITEMS_MAX:
        raise invalid(f"A subscription can have at most {ITEMS_MAX} items.", param="items")
    items = [_item(call, subscription, each, f"items[{place}]", trial_end) for place, each in enumerate(given)]
    terms = {(each["plan"]["interval"], each["plan"]["interval_count"], each["price"]["currency"]) for each in items}
    if len(terms) > 1:
        raise invalid("All items of a subscription must share interval and currency.", param="items")
    return items


def _item(call: Call, subscription: Document, given: Any, param: str, trial_end: int | None) -> Document:
    if bool(given.get("price")) == bool(given.get("price_data")):
        raise invalid("Specify exactly one of price and price_data.", code="parameter_missing", param=f"{param}[price]")
    if given.get("price"):
        price = call.document("price", given["price"], param=f"{param}[price]")
    else:
        price = prices.made(call, given["price_data"], active=False)
    if price["type"] != "recurring":
        raise invalid("The price specified is set to `type=one_time` but this field only accepts recurring prices.")
    return {
        "id": ids.new("si"),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": call.now,
        "current_period_end": trial_end or _period_end(price, call.now),
        "current_period_start": call.now,
        "discounts": [],
        "metadata": merged({}, given.get("metadata")),
        "plan": prices.plan(price),
        "price": price,
        "quantity": given.get("quantity", 1),
        "subscription": subscription["id"],
        "tax_rates": [],
    }


def _period_end(price: Document, start: int) -> int:
    recurring = price["recurring"]
    step = relativedelta(**{recurring["interval"] + "s": recurring["interval_count"]})
    return int((datetime.fromtimestamp(start, UTC) + step).timestamp())


@embedded("subscription", "items")
def _shown_items(_store: Store, subscription: Document) -> Document:
    url = f"/v1/subscription_items?subscription={subscription['id']}"
    return listed(url, subscription["_items"], has_more=False)


def _first_invoice(call: Call, customer: Document, subscription: Document) -> Document:
    details = {
        "metadata": subscription["metadata"],
        "subscription": subscription["id"],
        "subscription_proration_date": None,
    }
    draft = made(call, customer, subscription["currency"]) | {
        "billing_reason": "subscription_create",
        "collection_method": subscription["collection_method"],
        "default_payment_method": subscription["default_payment_method"],
        "parent": {"quote_details": None, "subscription_details": details, "type": "subscription_details"},
        "_days_until_due": subscription["days_until_due"],
        "_subscription": subscription["id"],
    }
    if draft["collection_method"] == "send_invoice" and draft["_days_until_due"] is None:
        raise invalid("If collection_method=send_invoice, you must pass days_until_due.", param="days_until_due")
    call.store.put(draft)
    for item in subscription["_items"]:
        _line(call, draft, subscription, item)
    draft = counted(call, draft)
    emit(call, "invoice.created", draft)
    return finalized(call, draft)


def _line(call: Call, draft: Document, subscription: Document, item: Document) -> None:
    price, quantity = item["price"], item["quantity"]
    billed = {
        "amount": 0 if subscription["trial_end"] else prices.total(price, Decimal(quantity)),
        "currency": price["currency"],
        "description": f"Trial period for {quantity} x" if subscription["trial_end"] else f"{quantity} x",
        "discountable": True,
        "id": None,
        "metadata": subscription["metadata"],
        "period": {"end": item["current_period_end"], "start": item["current_period_start"]},
        "pricing": prices.pricing(price),
        "quantity": quantity,
        "quantity_decimal": str(quantity),
    }
    parent = {
        "invoice_item_details": None,
        "subscription_item_details": {
            "invoice_item": None,
            "proration": False,
            "proration_details": {"credited_items": None},
            "subscription": subscription["id"],
            "subscription_item": item["id"],
        },
        "type": "subscription_item_details",
    }
    put_line(call, draft, billed, [], parent=parent, subscription=subscription["id"])


def _collected(call: Call, subscription: Document, invoice: Document) -> Document:
    """Collect the first invoice; the subscription is incomplete until that has succeeded."""
    if invoice["status"] == "paid" or invoice["collection_method"] == "send_invoice":
        return subscription
    behaviour = call.params.get("payment_behavior", "allow_incomplete")
    if behaviour == "pending_if_incomplete":
        raise not_implemented("payment_behavior=pending_if_incomplete")
    if behaviour == "default_incomplete":
        return subscription | {"status": "incomplete"}
    method = usable(call, default_method(call, invoice), subscription["customer"])
    intent = call.document("payment_intent", invoice["_intent"])
    off_session = call.params.get("off_session", False)
    intent, refusal = intents.attempt(call, intent, method, off_session=off_session)
    collecting.result(call, intent, refusal)
    if intent["status"] in {"succeeded", "processing"}:
        return subscription
    if refusal is not None and behaviour == "error_if_incomplete":
        refused = intents.refused(call.store, intent, refusal)
        refused.keep = False
        raise refused
    return subscription | {"status": "incomplete"}


@operation(
    "post",
    "/v1/subscriptions/{subscription_exposed_id}",
    takes=f"{SHARED} proration_behavior cancellation_details",
)
def update(call: Call) -> Document:
    """Change what is given; items only without prorations."""
    before = _live(call)
    after = _changed(call, before, call.params)
    if "items" in call.params:
        if call.params.get("proration_behavior") != "none":
            raise not_implemented("changing items with prorations; pass proration_behavior=none")
        after["_items"] = _changed_items(call, before, call.params["items"])
    details = call.params.get("cancellation_details")
    if details:
        after["cancellation_details"] = before["cancellation_details"] | details
    call.store.put(after)
    emit_update(call, "customer.subscription.updated", after, before)
    return after


def _changed_items(call: Call, subscription: Document, given: list[Any]) -> list[Document]:
    items = {item["id"]: item for item in subscription["_items"]}
    for place, each in enumerate(given):
        param = f"items[{place}]"
        old = items.get(each.get("id"))
        if each.get("id") and old is None:
            raise invalid(f"No such subscription item: '{each['id']}'", code="resource_missing", param=f"{param}[id]")
        if old is None:
            new = _item(call, subscription, each, param, None)
        elif each.get("deleted"):
            del items[old["id"]]
            continue
        else:
            given_price = each if each.get("price") or each.get("price_data") else {"price": old["price"]["id"]}
            kept = {name: old[name] for name in ("id", "created", "current_period_start", "current_period_end")}
            new = _item(call, subscription, {"quantity": old["quantity"], **each, **given_price}, param, None) | kept
        items[new["id"]] = new
    if not items:
        raise invalid("A subscription must have at least one item.", param="items")
    return list(items.values())


def _live(call: Call) -> Document:
    subscription = call.target("subscription")
    if subscription["status"] in subscription_states.ENDED:
        raise invalid("A canceled subscription can only update its cancellation_details and metadata.")
    return subscription


@operation(
    "delete",
    "/v1/subscriptions/{subscription_exposed_id}",
    takes="cancellation_details invoice_now prorate",
)
def cancel(call: Call) -> Document:
    """Cancel a subscription now."""
    for name in ("invoice_now", "prorate"):
        if call.params.get(name):
            raise not_implemented(f"{name}=true")
    subscription = call.target("subscription")
    if subscription["status"] in subscription_states.ENDED:
        raise invalid(f"No such subscription: '{subscription['id']}'", code="resource_missing", param="id")
    reason = {"reason": "cancellation_requested"}
    return subscription_states.end(call, subscription, reason | call.params.get("cancellation_details", {}))


@operation("get", "/v1/subscriptions/{subscription_exposed_id}")
def retrieve(call: Call) -> Document:
    """Read a subscription, ended or not."""
    return call.target("subscription")


@operation("get", "/v1/subscriptions", takes=f"customer status collection_method created {PAGING}")
def list_subscriptions(call: Call) -> Document:
    """List subscriptions; cancelled ones only when `status` asks for them or for `all`."""
    status = call.params.get("status")
    if status == "ended":
        raise not_implemented("status=ended")
    fields = {name: call.params.get(name) for name in ("customer", "collection_method")}
    fields["status"] = None if status == "all" else status
    absent = "ended_at" if status is None else None
    return page(call, "subscription", "/v1/subscriptions", fields=fields, absent=absent)
