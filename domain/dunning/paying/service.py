"""Pay an open invoice now: one attempt, however often it is asked for, within the caps of card networks."""

from collections.abc import Sequence

from domain.access.roles import Permission
from domain.contracts.desk.service import Desk
from domain.contracts.owing import service as owing
from domain.customers.erasing import service as erasing
from domain.db import Tx
from domain.dunning import cap
from domain.dunning import case as cases
from domain.dunning.case import CaseState
from domain.dunning.filing import service as filing
from domain.dunning.filing.service import Filed
from domain.dunning.policies import service as policies
from domain.dunning.staff.service import CardCapReached
from domain.invoices import service as invoices
from domain.invoices.invoice import InvoiceNotFound, InvoiceStateRefused, State
from domain.kernel.call import Call, PrincipalKind
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import InvoiceId, MethodId
from domain.kernel.values import dataclass
from domain.payments.attempt import Attempt, Trigger
from domain.payments.method import PaymentMethod
from domain.payments.method_rules import PaymentMethodBlocked, find
from domain.payments.ordering import service as orders
from domain.payments.ordering.service import Standing

CARD = "card"


@dataclass(eq=False)
class PaymentMethodMissing(DomainError):
    """There is no default payment method. Add one, or name the one to pay by."""

    code = "payment_method_missing"
    kind = Kind.CONFLICT


async def pay_now(tx: Tx, call: Call, *, invoice_id: InvoiceId, method_id: MethodId | None = None) -> Attempt:
    """Order a payment of an open invoice by one of its customer's methods, the default one where none is named.

    Where a payment is under way it is returned, so pressing twice charges once. It counts for the card's caps and uses
    no retry. Raises Forbidden, InvoiceNotFound for another customer's too, CustomerErased, InvoiceStateRefused,
    PaymentMethodMissing, PaymentMethodNotFound, PaymentMethodBlocked, CardCapReached.
    """
    call.need(Permission.PAYMENT_WRITE)
    wanted = await invoices.find_invoice(tx, call, invoice_id)
    if wanted is None:
        raise InvoiceNotFound
    await erasing.hold_present(tx, wanted.customer_id)
    desk = await owing.hold(tx, call, wanted.customer_id)
    standing, filed = await filing.take(tx, call, desk, wanted.id)
    if standing.under_way is not None:
        return standing.under_way
    if standing.invoice.state is not State.OPEN:
        raise InvoiceStateRefused(standing.invoice.state, State.PAID)
    method = _method(standing.methods, method_id)
    await _check_cap(tx, desk, standing, filed, method)
    trigger = Trigger.STAFF if call.principal.kind is PrincipalKind.STAFF else Trigger.CUSTOMER
    ordered = await orders.order_attempt(tx, call, desk.now, standing, method_id=method.id, trigger=trigger)
    assert ordered is not None, "the invoice is open, and no attempt is under way"
    if filed is not None and filed.case.state is CaseState.OPEN:
        facts = {"attempt": ordered.number, "trigger": trigger}
        await filing.write(tx, call, filed, cases.ordered(filed.case, desk.now), "payment_ordered", facts=facts)
    return ordered


def _method(methods: Sequence[PaymentMethod], method_id: MethodId | None) -> PaymentMethod:
    """Return the attached method to charge."""
    default = next((each for each in methods if each.is_default), None)
    if method_id is None and default is None:
        raise PaymentMethodMissing
    chosen = default if method_id is None else find(methods, method_id)
    assert chosen is not None, "one was found above"
    if chosen.blocked is not None:
        raise PaymentMethodBlocked
    return chosen


async def _check_cap(tx: Tx, desk: Desk, standing: Standing, filed: Filed | None, method: PaymentMethod) -> None:
    """Refuse what the networks' caps for a card do not allow yet. Raises CardCapReached."""
    if method.kind != CARD:
        return
    if filed is not None:
        caps = filed.policy.caps
    else:
        on_it = await owing.subscriptions_on(tx, desk, standing.invoice.id)
        version, _ = await policies.policies_for(tx, desk.catalogue, desk.customer.id, on_it)
        caps = version.policy.caps
    tries = await orders.tries_on(tx, method, since=desk.now - cap.longest(caps))
    allowed_at = cap.allowed_at(caps, method.brand, tries, desk.now, automatic=False)
    if allowed_at > desk.now:
        raise CardCapReached(allowed_at)
