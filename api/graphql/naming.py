"""Names that customers are found by: the merchant's own, Stripe's, and the numbers of their documents."""

from collections.abc import Sequence

from domain.customers import service
from domain.customers.customer import Customer, fold_email
from domain.db import Tx
from domain.invoices.listing import service as documents
from domain.kernel.call import Call, Environment
from domain.kernel.ids import CustomerId
from domain.kernel.values import dataclass
from domain.payments.finding import service as payments


@dataclass(frozen=True, slots=True)
class Names:
    """What is known of a customer; None says nothing. Who is looked for has all of them."""

    external_id: str | None
    gateway_id: str | None
    document_number: str | None

    @property
    def are_given(self) -> bool:
        """Whether any is."""
        return (self.external_id, self.gateway_id, self.document_number) != (None, None, None)


async def named(
    tx: Tx, call: Call, names: Names, environment: Environment | None, email: str | None
) -> Sequence[Customer]:
    """Find the few customers that the caller may see and that have all these names, newest first.

    Raises Forbidden, PaymentFilterRefused, FilterRefused.
    """
    found: list[list[Customer]] = []
    if names.external_id is not None:
        found.append(await _of_merchant(tx, call, names.external_id, environment))
    if names.gateway_id is not None:
        found.append(await _seen(tx, call, await payments.customers_of(tx, call, names.gateway_id)))
    if names.document_number is not None:
        found.append(await _seen(tx, call, await documents.customers_of(tx, call, names.document_number)))
    common = [each for each in found[0] if all(each in others for others in found[1:])]
    return [
        each
        for each in common
        if environment in {None, each.environment} and (email is None or fold_email(email) == fold_email(each.email))
    ]


async def _of_merchant(tx: Tx, call: Call, external_id: str, environment: Environment | None) -> list[Customer]:
    """Find the customers with an external id: one in each environment that is looked at."""
    found: list[Customer] = []
    for each in [environment] if environment else Environment:
        found += (await service.customers_by_external_id(tx, call, [external_id], environment=each)).values()
    return found


async def _seen(tx: Tx, call: Call, ids: Sequence[CustomerId]) -> list[Customer]:
    """Load those that the caller may see."""
    found = await service.customers_by_id(tx, ids, scope=call.scope, environment=call.principal.environment)
    return [found[each] for each in ids if each in found]
