"""The one line of a top-up invoice. It is taxed when the credit is used, not when it is bought."""

from datetime import timedelta
from decimal import Decimal

from domain.credits.top_up import TopUp
from domain.invoices.derivation import NewLine, WantedLine
from domain.invoices.invoice import Identity, LineKind
from domain.kernel.ids import encode
from domain.kernel.period import Period

UNIT = "top-up"
PREPAID = "Prepaid credit: "
# A service period has an end; what was bought can be used from this instant on.
_INSTANT = timedelta(seconds=1)


def wanted_line(of: TopUp, wallet_name: str) -> WantedLine:
    """Return the line that a top-up's invoice should have."""
    origin = encode("top_up", of.id)
    period = Period(of.created_at, of.created_at + _INSTANT)
    return WantedLine(
        identity=Identity(LineKind.TOP_UP, None, None, None, period, origin=origin),
        description=f"{PREPAID}{wallet_name}",
        quantity=Decimal(1),
        unit=UNIT,
        amount_minor=of.amount.minor,
        derivation={
            "top_up": origin,
            "quantity": "1",
            "exact_amount": of.amount.major,
            "amount_minor": of.amount.minor,
            "currency": of.amount.currency,
        },
    )


def new_line(of: TopUp, wallet_name: str) -> NewLine:
    """Return the same line as it is written."""
    wish = wanted_line(of, wallet_name)
    return NewLine(wish.identity, 0, wish.description, wish.quantity, wish.unit, wish.amount_minor, wish.derivation)
