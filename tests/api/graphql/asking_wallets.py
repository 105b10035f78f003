"""The inputs of mutations about wallets, for the walks over the schema."""

from typing import Any

_FIVE = {"amount": "5", "currency": "EUR"}

WALLET_INPUTS: dict[str, Any] = {
    "createWallet": lambda t, n: {
        "customerId": t["customer"],
        "name": f"Wallet {n}",
        "currency": "USD",
        "idempotencyKey": f"k{n}",
    },
    "grantWalletCredit": lambda t, n: {
        "customerId": t["customer"],
        "walletId": t["wallet"],
        "name": f"Gift {n}",
        "amount": _FIVE,
        "idempotencyKey": f"k{n}",
    },
    "voidWalletCredit": lambda t, _: {
        "customerId": t["customer"],
        "walletId": t["wallet"],
        "grantId": t["walletGrant"],
    },
    "topUpWallet": lambda t, n: {
        "customerId": t["customer"],
        "walletId": t["wallet"],
        "amount": _FIVE,
        "idempotencyKey": f"k{n}",
    },
    "cancelTopUp": lambda t, _: {"customerId": t["customer"], "id": t["topUp"]},
    "setAutomaticTopUp": lambda t, n: {
        "customerId": t["customer"],
        "walletId": t["wallet"],
        "threshold": {"amount": str(n % 100), "currency": "EUR"},
        "amount": _FIVE,
    },
    "setLowBalanceWarning": lambda t, n: {
        "customerId": t["customer"],
        "walletId": t["wallet"],
        "threshold": {"amount": str(n % 100), "currency": "EUR"},
    },
    "removeAutomaticTopUp": lambda t, _: {"customerId": t["customer"], "walletId": t["wallet"]},
    "payBackWalletCredit": lambda t, n: {
        "customerId": t["customer"],
        "walletId": t["wallet"],
        "grantId": t["bought"],
        "kind": "CUSTOMER_CREDIT",
        "idempotencyKey": f"k{n}",
    },
}
