"""The table of declines."""

import pytest

from domain.payments.declines import Decline, DeclineClass, advice, classify


@pytest.mark.parametrize(
    ("code", "more", "kind"),
    [
        ("card_declined", {"decline_code": "insufficient_funds", "network_decline_code": "51"}, "soft"),
        ("card_declined", {"decline_code": "do_not_honor", "network_decline_code": "05"}, "soft"),
        ("card_declined", {"decline_code": "lost_card"}, "hard"),
        ("card_declined", {"decline_code": "transaction_not_allowed"}, "hard"),
        ("card_declined", {"decline_code": "fraudulent"}, "hard"),
        ("card_declined", {"decline_code": "generic_decline", "advice_code": "do_not_try_again"}, "hard"),
        ("card_declined", {"decline_code": "generic_decline", "network_decline_code": "14"}, "hard"),
        ("card_declined", {"decline_code": "generic_decline", "network_decline_code": "41"}, "hard"),
        ("card_declined", {"decline_code": "generic_decline", "network_decline_code": "43"}, "hard"),
        ("card_declined", {"decline_code": "generic_decline", "network_advice_code": "21"}, "hard"),
        ("card_declined", {"decline_code": "generic_decline", "advice_code": "confirm_card_data"}, "data"),
        ("expired_card", {"decline_code": "expired_card"}, "data"),
        ("expired_card", {"decline_code": "expired_card", "advice_code": "do_not_try_again"}, "hard"),
        ("authentication_required", {"decline_code": "authentication_required"}, "customer"),
        ("a_code_of_next_year", {}, "soft"),
        (None, {}, "soft"),
    ],
)
def test_a_decline_is_as_strict_as_its_strictest_code(code: str | None, more: dict[str, str], kind: str) -> None:
    decline = classify(code, **more)
    assert decline.kind == kind
    assert decline.code == code
    assert decline.decline_code == more.get("decline_code")


def test_the_customer_never_reads_that_a_card_was_reported_stolen() -> None:
    told = {advice(classify("card_declined", decline_code=code)) for code in ("stolen_card", "fraudulent", "lost_card")}
    assert told == {"The payment method was declined. Please use another one or speak to your bank."}


def test_the_customer_reads_what_helps() -> None:
    assert "out of date" in advice(Decline(DeclineClass.DATA))
    assert "confirm" in advice(Decline(DeclineClass.CUSTOMER))
    assert "funds" in advice(classify("card_declined", decline_code="insufficient_funds"))
