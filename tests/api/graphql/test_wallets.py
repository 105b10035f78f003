"""Wallets over GraphQL: staff open and fill them, invoices draw, customers see their own."""

from typing import Any

import pytest

from domain.customers.customer import Customer
from domain.kernel.ids import encode
from tests.api.graphql.site import Site

SAVED = """... on WalletSaved { wallet { id name currency priority kinds balance { amount }
    grants { id source name amount { amount } balance { amount } voidedAt } } }"""
HELD = """query($id: ID!, $wallet: ID!) {
    wallets(customerId: $id) { id balance { amount currency } grants { balance { amount } } }
    walletMoves(customerId: $id, walletId: $wallet, first: 2) {
        nodes { kind amount { amount } invoiceId } pageInfo { hasNextPage }
    }
}"""


@pytest.fixture
async def ada(shared: Site) -> Customer:
    """Make a customer of the test's own."""
    return await shared.world.customer(on="2026-01-31", card=None)


async def _opened(site: Site, customer: Customer, **chosen: Any) -> dict[str, Any]:
    given = {"customerId": encode("customer", customer.id), "name": "Prepaid", "currency": "USD", **chosen}
    made = await site.change("createWallet", SAVED, site.staff("finance"), **given, idempotencyKey="w1")
    again = await site.change("createWallet", SAVED, site.staff("finance"), **given, idempotencyKey="w1")
    assert made == again
    return dict(made["wallet"])


async def test_staff_fill_a_wallet_once_and_its_customer_sees_what_an_invoice_drew(shared: Site, ada: Customer) -> None:
    wallet = await _opened(shared, ada)
    given = {
        "customerId": encode("customer", ada.id),
        "walletId": wallet["id"],
        "name": "Welcome",
        "amount": {"amount": "100.00", "currency": "USD"},
        "rolloverMax": {"amount": "50.00", "currency": "USD"},
        "idempotencyKey": "g1",
    }
    filled = await shared.change("grantWalletCredit", SAVED, shared.staff("finance"), **given)
    assert filled["wallet"]["balance"] == {"amount": "100.00"}
    assert await shared.change("grantWalletCredit", SAVED, shared.staff("finance"), **given) == filled
    await shared.world.subscribe(ada, "pro")  # 79.00
    held = await shared.read(HELD, shared.member(ada.id), id=given["customerId"], wallet=wallet["id"])
    assert held["wallets"] == [
        {
            "id": wallet["id"],
            "balance": {"amount": "21.00", "currency": "USD"},
            "grants": [{"balance": {"amount": "21.00"}}],
        }
    ]
    [used, granted] = held["walletMoves"]["nodes"]
    assert (used["kind"], used["amount"], used["invoiceId"][:4]) == ("USED", {"amount": "-79.00"}, "inv_")
    assert (granted["kind"], granted["invoiceId"]) == ("GRANTED", None)
    assert not held["walletMoves"]["pageInfo"]["hasNextPage"]
    grant = filled["wallet"]["grants"][0]["id"]
    voiding = {"customerId": given["customerId"], "walletId": wallet["id"], "grantId": grant}
    voided = await shared.change("voidWalletCredit", SAVED, shared.staff("finance"), **voiding)
    assert voided["wallet"]["balance"] == {"amount": "0.00"}
    assert voided["wallet"]["grants"][0]["voidedAt"] is not None


@pytest.mark.parametrize("bound", ["rolloverMax", "rolloverMin"])
async def test_a_bound_in_another_currency_than_the_wallets_is_refused(shared: Site, ada: Customer, bound: str) -> None:
    wallet = await _opened(shared, ada)
    given = {
        "customerId": encode("customer", ada.id),
        "walletId": wallet["id"],
        "name": "Welcome",
        "amount": {"amount": "100.00", "currency": "USD"},
        bound: {"amount": "50", "currency": "JPY"},
        "idempotencyKey": "g1",
    }
    refused = await shared.change("grantWalletCredit", SAVED, shared.staff("finance"), **given)
    assert (refused["__typename"], refused["code"]) == ("InvalidInput", "currency_mismatch")
    held = await shared.read(HELD, shared.member(ada.id), id=given["customerId"], wallet=wallet["id"])
    assert held["wallets"][0]["grants"] == []


async def test_a_member_gives_itself_nothing_and_sees_nothing_of_others(shared: Site, ada: Customer) -> None:
    wallet = await _opened(shared, ada, kinds=["USAGE"], priority=10)
    assert (wallet["kinds"], wallet["priority"]) == (["USAGE"], 10)
    eve = await shared.world.customer(on="2026-01-31", card=None)
    own = {"customerId": encode("customer", ada.id), "walletId": wallet["id"]}
    gift = {"name": "Gift", "amount": {"amount": "1.00", "currency": "USD"}, "idempotencyKey": "g9"}
    refused = await shared.change("grantWalletCredit", SAVED, shared.member(ada.id), **own, **gift)
    assert refused["__typename"] == "NotPermitted"
    hidden = await shared.read(HELD, shared.member(eve.id), id=own["customerId"], wallet=wallet["id"])
    assert hidden == {"wallets": None, "walletMoves": None}
    beside = await shared.read(HELD, shared.member(eve.id), id=encode("customer", eve.id), wallet=wallet["id"])
    assert beside == {"wallets": [], "walletMoves": None}
    wrong = {**own, **gift, "amount": {"amount": "1.00", "currency": "EUR"}}
    refused = await shared.change("grantWalletCredit", SAVED, shared.staff("finance"), **wrong)
    assert (refused["__typename"], refused["code"]) == ("InvalidInput", "currency_mismatch")


TOPPED = "... on TopUpSaved { topUp { id state trigger amount { amount } invoiceId } }"
RULE = """... on AutomaticTopUpSaved { automaticTopUp {
    threshold { amount } amount { amount } target { amount } countMax } }"""
GONE = "... on AutomaticTopUpRemoved { walletId }"
BOUGHT = """query($id: ID!) {
    topUps(customerId: $id) { state trigger }
    automaticTopUps(customerId: $id) { paused target { amount } }
    ongoingBalances(customerId: $id) { balance { amount } unbilled { amount } left { amount } }
    customer(id: $id) { invoices { nodes { state lines { kind subscriptionId description } } } }
}"""


async def test_a_member_buys_credit_once_and_has_it_bought_by_itself(shared: Site) -> None:
    eve = await shared.world.customer(on="2026-01-31")
    wallet, token = await _opened(shared, eve, validDays=365), shared.member(eve.id)
    customer_id = encode("customer", eve.id)
    own = {"customerId": customer_id, "walletId": wallet["id"]}
    given = {**own, "amount": {"amount": "100.00", "currency": "USD"}, "idempotencyKey": "t1"}
    made = await shared.change("topUpWallet", TOPPED, token, **given)
    assert (made["topUp"]["state"], made["topUp"]["trigger"]) == ("OPEN", "CUSTOMER")
    await shared.world.drain()
    again = await shared.change("topUpWallet", TOPPED, token, **given)
    assert (again["topUp"]["id"], again["topUp"]["state"]) == (made["topUp"]["id"], "PAID")
    paid = await shared.change("cancelTopUp", TOPPED, token, customerId=customer_id, id=made["topUp"]["id"])
    assert (paid["__typename"], paid["code"]) == ("Conflict", "top_up_ended")
    wish = {"threshold": {"amount": "10", "currency": "USD"}, "target": {"amount": "50", "currency": "USD"}}
    saved = await shared.change("setAutomaticTopUp", RULE, token, **own, **wish)
    assert saved["automaticTopUp"] == {
        "threshold": {"amount": "10.00"},
        "amount": None,
        "target": {"amount": "50.00"},
        "countMax": 3,
    }
    held = await shared.read(BOUGHT, token, id=customer_id)
    assert held["topUps"] == [{"state": "PAID", "trigger": "CUSTOMER"}]
    assert held["automaticTopUps"] == [{"paused": None, "target": {"amount": "50.00"}}]
    assert held["ongoingBalances"] == [
        {"balance": {"amount": "100.00"}, "unbilled": {"amount": "0.00"}, "left": {"amount": "100.00"}}
    ]
    line = {"kind": "TOP_UP", "subscriptionId": None, "description": "Prepaid credit: Prepaid"}
    assert held["customer"]["invoices"]["nodes"] == [{"state": "PAID", "lines": [line]}]
    assert (await shared.change("removeAutomaticTopUp", GONE, token, **own))["walletId"] == wallet["id"]
    grants = (await shared.read(GRANTS, token, id=customer_id))["wallets"][0]["grants"]
    back = {**own, "grantId": grants[0]["id"], "kind": "CUSTOMER_CREDIT", "idempotencyKey": "p1"}
    refused = await shared.change("payBackWalletCredit", SAVED, token, **back)
    assert refused["__typename"] == "NotPermitted"
    done = await shared.change("payBackWalletCredit", SAVED, shared.staff("finance"), **back)
    assert done["wallet"]["balance"] == {"amount": "0.00"}
    assert await shared.change("payBackWalletCredit", SAVED, shared.staff("finance"), **back) == done
    credit = await shared.read("query($id: ID!) { customer(id: $id) { credit { amount } } }", token, id=customer_id)
    assert credit["customer"]["credit"] == [{"amount": "100.00"}]


async def test_a_member_says_when_it_is_to_be_warned(shared: Site, ada: Customer) -> None:
    wallet = await _opened(shared, ada)
    given = {"customerId": encode("customer", ada.id), "walletId": wallet["id"]}
    ask = "... on WalletSaved { wallet { warnBelow { amount } } }"
    wish = {**given, "threshold": {"amount": "10.00", "currency": "USD"}}
    saved = await shared.change("setLowBalanceWarning", ask, shared.member(ada.id), **wish)
    assert saved["wallet"] == {"warnBelow": {"amount": "10.00"}}
    for currency, amount, code in (("EUR", "10.00", "currency_mismatch"), ("USD", "-1.00", "wallet_malformed")):
        wrong = {**given, "threshold": {"amount": amount, "currency": currency}}
        refused = await shared.change("setLowBalanceWarning", ask, shared.member(ada.id), **wrong)
        assert (refused["__typename"], refused["code"]) == ("InvalidInput", code)
    viewer = await shared.change("setLowBalanceWarning", ask, shared.member(ada.id, "viewer"), **given)
    assert viewer["__typename"] == "NotPermitted"
    never = await shared.change("setLowBalanceWarning", ask, shared.member(ada.id), **given)
    assert never["wallet"] == {"warnBelow": None}


GRANTS = "query($id: ID!) { wallets(customerId: $id) { grants { id source expiresAt } } }"


async def test_nothing_of_a_stranger_is_bought_or_seen(shared: Site, ada: Customer) -> None:
    wallet = await _opened(shared, ada)
    eve = await shared.world.customer(on="2026-01-31", card=None)
    given = {
        "customerId": encode("customer", ada.id),
        "walletId": wallet["id"],
        "amount": {"amount": "5.00", "currency": "USD"},
        "idempotencyKey": "t2",
    }
    refused = await shared.change("topUpWallet", TOPPED, shared.member(eve.id), **given)
    assert (refused["__typename"], refused["code"]) == ("NotFound", "customer_not_found")
    own = {**given, "customerId": encode("customer", eve.id), "idempotencyKey": "t3"}
    refused = await shared.change("topUpWallet", TOPPED, shared.member(eve.id), **own)
    assert (refused["__typename"], refused["code"]) == ("NotFound", "wallet_not_found")
    hidden = await shared.read(BOUGHT, shared.member(eve.id), id=given["customerId"])
    assert set(hidden.values()) == {None}
