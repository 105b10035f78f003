"""The sums of an invoice from its lines: pure calculation in minor units."""

from collections.abc import Iterable

from sandbox.money import minimum
from sandbox.store import Document


def totals(lines: Iterable[Document], balance: int, currency: str) -> Document:
    """Add up lines: subtotal, taxes by rate, total, and what is due after the customer's credit balance.

    `balance` is Stripe's: negative is credit. A total below the least charge is not due now, it goes to the balance.
    """
    kept = list(lines)
    subtotal = sum(line["amount"] for line in kept)
    taxes = _by_rate(tax for line in kept for tax in line["taxes"])
    exclusive = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "exclusive")
    inclusive = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "inclusive")
    total = subtotal + exclusive
    due = due_now(total, balance, currency)
    return {
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal - inclusive,
        "total": total,
        "total_excluding_tax": subtotal - inclusive,
        "total_taxes": taxes,
        "amount_due": due,
        "amount_remaining": due,
    }


def due_now(total: int, balance: int, currency: str) -> int:
    """Give the part of a total that is to be collected now."""
    owed = total + balance
    return owed if owed >= minimum(currency) else 0


def _by_rate(taxes: Iterable[Document]) -> list[Document]:
    joined: dict[str, Document] = {}
    for tax in taxes:
        key = f"{tax['tax_rate_details']['tax_rate']}/{tax['taxability_reason']}"
        before = joined.get(key)
        if before is None:
            joined[key] = dict(tax)
        else:
            before["amount"] += tax["amount"]
            before["taxable_amount"] += tax["taxable_amount"]
    return list(joined.values())
