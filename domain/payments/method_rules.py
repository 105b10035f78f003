"""What may be said about payment methods without asking anybody: ids, deposits, the last one, a new default."""

import dataclasses
import re
from collections.abc import Sequence

from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import MethodId
from domain.kernel.values import dataclass
from domain.payments.method import PaymentMethod

# A mandate that ended: the account cannot be debited until its owner gives another one.
MANDATE_ENDED = "mandate_ended"
DEPOSIT_MINOR_MAX = 99
_SETUP_ID = re.compile(r"seti_[A-Za-z0-9_]{1,250}")
_CODE = re.compile(r"SM[A-Z0-9]{4}")


@dataclass(eq=False)
class PaymentMethodNotFound(DomainError):
    """There is no such payment method. See the list of payment methods."""

    code = "payment_method_not_found"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class LastPaymentMethod(DomainError):
    """This is the only payment method, and a subscription is paid by it. Add another one first."""

    code = "last_payment_method"
    kind = Kind.CONFLICT


@dataclass(eq=False)
class PaymentMethodBlocked(DomainError):
    """The bank does not allow this payment method to be charged any more. Use another one."""

    code = "payment_method_blocked"
    kind = Kind.CONFLICT


@dataclass(eq=False)
class PaymentSetupNotFound(DomainError):
    """There is no such set-up of a payment method. Begin another one."""

    code = "payment_setup_not_found"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class DepositsMalformed(DomainError):
    """Tell either the two amounts that came, each from 1 to {minor_max} cents, or the code of six characters."""

    code = "deposits_malformed"
    kind = Kind.INVALID
    minor_max: int


def check_setup_id(text: str) -> str:
    """Return an id of the gateway that may be asked for. Raises PaymentSetupNotFound."""
    if not _SETUP_ID.fullmatch(text):
        raise PaymentSetupNotFound
    return text


def check_deposits(amounts: Sequence[int] | None, code: str | None) -> tuple[tuple[int, int] | None, str | None]:
    """Return what a customer tells of small deposits: amounts or a code. Raises DepositsMalformed."""
    if (amounts is None) == (code is None):
        raise DepositsMalformed(DEPOSIT_MINOR_MAX)
    if code is not None:
        said = code.strip().upper()
        if not _CODE.fullmatch(said):
            raise DepositsMalformed(DEPOSIT_MINOR_MAX)
        return None, said
    assert amounts is not None, "one of the two is given"
    if len(amounts) != 2 or not all(1 <= each <= DEPOSIT_MINOR_MAX for each in amounts):
        raise DepositsMalformed(DEPOSIT_MINOR_MAX)
    return (amounts[0], amounts[1]), None


def find(methods: Sequence[PaymentMethod], method_id: MethodId) -> PaymentMethod:
    """Return one of a customer's attached methods. Raises PaymentMethodNotFound, whoever else may have it."""
    for each in methods:
        if each.id == method_id:
            return each
    raise PaymentMethodNotFound


def check_removal(methods: Sequence[PaymentMethod], gone: PaymentMethod, *, pays: bool) -> None:
    """Refuse to remove the last method that can be charged while a subscription is paid. Raises LastPaymentMethod."""
    left = [each for each in methods if each.id != gone.id and each.blocked is None]
    if pays and not left:
        raise LastPaymentMethod


def successor(methods: Sequence[PaymentMethod], gone: PaymentMethod) -> PaymentMethod | None:
    """Return the method that takes over as the default: the newest one that can be charged, or None.

    None too where the removed one was no default, or another default stands.
    """
    left = [each for each in methods if each.id != gone.id]
    if not gone.is_default or any(each.is_default for each in left):
        return None
    usable = [each for each in left if each.blocked is None]
    return max(usable, key=lambda each: (each.created_at, each.id), default=None)


def chosen(methods: Sequence[PaymentMethod], wanted: PaymentMethod) -> list[tuple[PaymentMethod, PaymentMethod]]:
    """Return the changes, before and after, that make a method the only default; the old default comes first.

    Raises PaymentMethodBlocked.
    """
    if wanted.blocked is not None:
        raise PaymentMethodBlocked
    olds = [each for each in methods if each.is_default and each.id != wanted.id]
    changes = [(each, dataclasses.replace(each, is_default=False)) for each in olds]
    return changes if wanted.is_default else [*changes, (wanted, dataclasses.replace(wanted, is_default=True))]
