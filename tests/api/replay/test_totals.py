"""What Tollgate counted and billed, read from the answers of its API."""

from decimal import Decimal
from typing import Any

from api.replay.totals import Bills, Totals, of_invoices, of_lines, of_usage, plain


def meter(key: str, quantity: str) -> dict[str, Any]:
    return {"meter": {"key": key}, "quantity": quantity}


def line(quantity: str, revision: int, counted: dict[str, str], **others: Any) -> dict[str, Any]:
    return {
        "subscriptionId": "sub_a",
        "kind": "USAGE",
        "quantity": quantity,
        "revision": revision,
        "period": {"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"},
        "derivation": {"meter": "cost", "dimensions": {"model": "m"}, "counted": counted},
        **others,
    }


def invoice(state: str, total: str, paid: str, *lines: dict[str, Any], kind: str = "INVOICE") -> dict[str, Any]:
    return {
        "kind": kind,
        "state": state,
        "total": {"amount": total},
        "amountPaid": {"amount": paid},
        "lines": list(lines),
    }


def test_usage_is_that_of_the_subscription_asked_for() -> None:
    meters = [meter("input_tokens", "110"), meter("output_tokens", "27"), meter("calls", "3")]
    usage = {
        "subscriptions": [
            {"subscriptionId": "sub_other", "cost": None, "meters": [meter("input_tokens", "9")]},
            {"subscriptionId": "sub_a", "cost": {"amount": "0.0004075"}, "meters": meters},
        ]
    }

    assert of_usage(usage, "sub_a") == Totals(110, 27, Decimal("0.0004075"))
    assert of_usage(usage, "sub_other") == Totals(9, 0, Decimal(0))
    assert of_usage(usage, "sub_new") == Totals()


def test_lines_add_up_over_revisions_and_leave_out_fees_and_other_subscriptions() -> None:
    first = line("2.5", 0, {"input_tokens": "100", "output_tokens": "10"})
    late = line("0.5", 1, {"input_tokens": "120", "output_tokens": "12"})
    fee = line("1", 0, {}, kind="FEE")
    other = line("7", 0, {"input_tokens": "7"}, subscriptionId="sub_other")
    void = invoice("VOID", "9", "0", line("9", 0, {"input_tokens": "9"}))

    found = of_lines([invoice("PAID", "3", "3", first, fee, other), invoice("OPEN", "1", "0", late), void], "sub_a")

    # 2.5 + 0.5; the later revision's derivation holds all that was counted.
    assert found == Totals(120, 12, Decimal("3.0"))


def test_bills_leave_out_statements_and_void_ones_and_wait_for_all_but_small_drafts() -> None:
    found = of_invoices(
        [
            invoice("PAID", "49.00", "49.00"),
            invoice("OPEN", "2.51", "0.00"),
            invoice("VOID", "9.00", "0.00"),
            invoice("PAID", "0.00", "0.00", kind="STATEMENT"),
            invoice("DRAFT", "0.49", "0.00"),
            invoice("DRAFT", "0.50", "0.00"),
        ]
    )

    assert found == Bills(invoices=2, unsettled=2, paid=Decimal("49.00"))


def test_decimals_are_written_without_exponent_or_needless_zeros() -> None:
    assert [plain(Decimal(text)) for text in ("25.03392750", "100", "1E+2", "0.00", "0.0000001")] == [
        "25.0339275",
        "100",
        "100",
        "0",
        "0.0000001",
    ]
