"""When a wallet's customer is warned that little is left: once for each fall to a threshold or below it."""

from dataclasses import replace
from datetime import datetime

from domain.credits.wallet import Wallet


def watched(wallet: Wallet, left_minor: int, now: datetime) -> Wallet:
    """Return a wallet as it is once what is left in it was looked at, in minor units.

    `warned_at` is when it fell to its threshold, None while it is above: there is one warning for each fall, and the
    next one only after it rose above. Without a threshold nothing is watched.
    """
    threshold = wallet.warn_below_minor
    if threshold is None or left_minor > threshold:
        return replace(wallet, warned_at=None)
    return wallet if wallet.warned_at is not None else replace(wallet, warned_at=now)
