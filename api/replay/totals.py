"""What Tollgate counted of a run, as its public API shows it: from usage while a period is open, from lines after."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Self

from domain.kernel.values import dataclass

# Stripe collects no less than this; a draft below it waits for the next invoice and is not waited for.
COLLECTED_MIN = Decimal("0.50")


@dataclass(frozen=True, slots=True)
class Totals:
    """Tokens, and cost at list price in USD, exact."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal = Decimal(0)

    def __add__(self, other: Self) -> "Totals":
        return Totals(
            self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens, self.cost + other.cost
        )

    @property
    def cost_text(self) -> str:
        """The cost without needless zeros."""
        return plain(self.cost)


@dataclass(frozen=True, slots=True)
class Bills:
    """The invoices of a run: how many, how many of them are not settled, and what was paid."""

    invoices: int = 0
    unsettled: int = 0
    paid: Decimal = Decimal(0)

    def __add__(self, other: Self) -> "Bills":
        return Bills(self.invoices + other.invoices, self.unsettled + other.unsettled, self.paid + other.paid)


def of_usage(usage: Mapping[str, Any], subscription_id: str) -> Totals:
    """Read one subscription's totals from a `usage` of GraphQL."""
    for subscription in usage["subscriptions"]:
        if subscription["subscriptionId"] == subscription_id:
            counted = {each["meter"]["key"]: Decimal(each["quantity"]) for each in subscription["meters"]}
            return Totals(
                int(counted.get("input_tokens", 0)),
                int(counted.get("output_tokens", 0)),
                Decimal(subscription["cost"]["amount"] if subscription["cost"] else 0),
            )
    return Totals()


def of_lines(invoices: Iterable[Mapping[str, Any]], subscription_id: str) -> Totals:
    """Read one subscription's totals from the usage lines of its invoices.

    A later revision of a line holds the difference in quantity, and in its derivation what was counted in all.
    """
    latest: dict[tuple[str, str], Mapping[str, Any]] = {}
    cost = Decimal(0)
    for line in (line for invoice in invoices if invoice["state"] != "VOID" for line in invoice["lines"]):
        derivation = line["derivation"]
        if line["kind"] != "USAGE" or line["subscriptionId"] != subscription_id or derivation.get("meter") != "cost":
            continue
        cost += Decimal(line["quantity"])
        key = (line["period"]["start"], str(derivation.get("dimensions")))
        if key not in latest or latest[key]["revision"] < line["revision"]:
            latest[key] = line
    counted = [line["derivation"].get("counted", {}) for line in latest.values()]
    return Totals(
        sum(int(each.get("input_tokens", 0)) for each in counted),
        sum(int(each.get("output_tokens", 0)) for each in counted),
        cost,
    )


def of_invoices(invoices: Sequence[Mapping[str, Any]]) -> Bills:
    """Count the invoices of a customer. Statements, on which nothing is owed, are none; nor are void ones."""
    counted = [each for each in invoices if each["kind"] == "INVOICE" and each["state"] not in {"VOID", "DRAFT"}]
    drafts = [each for each in invoices if each["state"] == "DRAFT"]
    return Bills(
        len(counted),
        sum(each["state"] != "PAID" for each in counted)
        + sum(Decimal(each["total"]["amount"]) >= COLLECTED_MIN for each in drafts),
        sum((Decimal(each["amountPaid"]["amount"]) for each in counted), Decimal(0)),
    )


def plain(value: Decimal) -> str:
    """Write a decimal without an exponent and needless zeros: 25.0339275, 0, 100."""
    short = value.normalize()
    return format(short or Decimal(0), "f")
