"""Postal addresses and billing details, with every field that Stripe answers."""

from typing import Any

from sandbox.store import Document

FIELDS = ("city", "country", "line1", "line2", "postal_code", "state")


def address(given: Any) -> Document | None:
    """Give an address with all its fields, or None when it is unset."""
    return {name: given.get(name) for name in FIELDS} if given else None


def billing_details(given: Any) -> Document:
    """Give the billing details of a payment method; the address is always an object there."""
    given = given or {}
    details = {name: given.get(name) or None for name in ("email", "name", "phone", "tax_id")}
    return {"address": address(given.get("address")) or dict.fromkeys(FIELDS)} | details
