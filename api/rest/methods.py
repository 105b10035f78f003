"""Routes of payment methods (REQUIREMENTS B8).

    GET    /api/billing/payment-methods               the attached ones, the default first
    POST   /api/billing/payment-methods               {"payment_method": "pm_…"} of Stripe
    POST   /api/billing/payment-methods/setup         {"way": "card"}
    POST   /api/billing/payment-methods/{id}/default
    DELETE /api/billing/payment-methods/{id}

They act on the caller's customer, as the other billing routes do. Attaching the same method again gives the same one;
choosing and removing are safe to repeat.
"""

import msgspec

from api.rest.billing import customer_of
from api.rest.billing_documents import method_document, methods_document, setup_document
from api.rest.reads import Asked, Read
from api.rest.writes import KEY_HEADER, Write
from domain.access.roles import Permission
from domain.kernel.ids import MethodId, decode
from domain.payments.keeping import service as keeping
from domain.payments.methods import service as methods
from domain.payments.setup import SetupWay


class AttachBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A method that Stripe's form in the browser made."""

    payment_method: str


class SetupBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a method is to be given."""

    way: SetupWay = SetupWay.CARD


class NoBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing."""


async def listed(asked: Asked) -> object:
    """Return the attached methods."""
    async with asked.serving.runtime.db.transaction() as tx:
        return methods_document(await methods.list_methods(tx, asked.call, customer_of(asked)))


async def attach(asked: Asked, body: AttachBody) -> object:
    """Attach a method; the same one again is the same one."""
    runtime = asked.serving.runtime
    attached = await methods.attach_method(
        runtime.db,
        runtime.gateway,
        asked.call,
        customer_id=customer_of(asked),
        gateway_method_id=body.payment_method,
    )
    return method_document(attached)


async def set_up(asked: Asked, body: SetupBody) -> object:
    """Begin to give a method."""
    runtime = asked.serving.runtime
    begun = await keeping.start_setup(
        runtime.db,
        runtime.gateway,
        asked.call,
        customer_id=customer_of(asked),
        way=body.way,
        wish=asked.request.headers.get(KEY_HEADER) or str(asked.call.new_id()),
    )
    return setup_document(begun)


async def choose(asked: Asked, _: NoBody) -> object:
    """Make a method the default."""
    async with asked.serving.runtime.db.transaction() as tx:
        chosen = await keeping.set_default(tx, asked.call, customer_id=customer_of(asked), method_id=_method_id(asked))
    return method_document(chosen)


async def remove(asked: Asked, _: NoBody) -> object:
    """Remove a method."""
    async with asked.serving.runtime.db.transaction() as tx:
        gone = await keeping.detach(tx, asked.call, customer_id=customer_of(asked), method_id=_method_id(asked))
    return method_document(gone)


def _method_id(asked: Asked) -> MethodId:
    return MethodId(decode("method", asked.request.path_params["id"]))


_PATH = "/api/billing/payment-methods"
METHODS = (
    Read(_PATH, Permission.PAYMENT_READ, listed),
    Write(_PATH, Permission.PAYMENT_WRITE, AttachBody, attach),
    Write(f"{_PATH}/setup", Permission.PAYMENT_WRITE, SetupBody, set_up),
    Write(f"{_PATH}/{{id}}/default", Permission.PAYMENT_WRITE, NoBody, choose),
    Write(f"{_PATH}/{{id}}", Permission.PAYMENT_WRITE, NoBody, remove, "DELETE"),
)
