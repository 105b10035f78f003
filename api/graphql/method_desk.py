"""Give, verify, choose and remove payment methods. Card and account numbers stay on Stripe's form in the browser."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import changing, reading
from api.graphql.once import KEY_DESCRIPTION, Wish, once, once_outside
from api.graphql.payments import PaymentMethod, method_of
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from domain.access.roles import Permission
from domain.db import Tx
from domain.kernel.ids import MethodId
from domain.payments import method as methods
from domain.payments import setup as port
from domain.payments import store
from domain.payments.keeping import service
from domain.payments.method_rules import PaymentSetupNotFound

_CUSTOMER = "`cus_…`"
_SETUP = "`seti_…` of Stripe, from startPaymentMethodSetup."

name_enum(
    port.SetupWay,
    "PaymentSetupWay",
    "How a payment method is given.",
    CARD="A card.",
    ACH_INSTANT="A US bank account, verified at once by signing in to the bank.",
    ACH_DEPOSITS="A US bank account, verified in one to two working days by small deposits.",
)
name_enum(
    port.SetupState,
    "PaymentSetupState",
    "Where giving a payment method stands.",
    WAITING="It waits for what is entered on Stripe's form.",
    ACTION_REQUIRED="The customer has to confirm it at the bank.",
    DEPOSITS_SENT="The customer has to tell which small deposits came: verifyBankAccount.",
    PROCESSING="Stripe works on it.",
    SUCCEEDED="The method is attached.",
    CANCELED="It was given up.",
)
name_enum(
    port.DepositKind,
    "DepositKind",
    "What the customer reads on the bank statement.",
    AMOUNTS="Two amounts in cents.",
    CODE="A code of six characters that begins with SM.",
)


@guarded_type(Permission.PAYMENT_WRITE, "A payment method that is being given.")
class PaymentMethodSetup:
    """A set-up."""

    id: strawberry.ID = strawberry.field(description="`seti_…` of Stripe.")
    state: port.SetupState = strawberry.field(description="Where it stands.")
    client_secret: str | None = strawberry.field(
        description="Opens Stripe's form in the customer's browser. Hand it to nobody else, and store it nowhere."
    )
    deposit_kind: port.DepositKind | None = strawberry.field(description="What to tell in verifyBankAccount.")
    deposits_at: datetime | None = strawberry.field(description="About when the small deposits arrive.")
    verification_url: str | None = strawberry.field(description="Stripe's own page to tell the deposits on.")


def _setup_of(value: port.GatewaySetup) -> PaymentMethodSetup:
    return PaymentMethodSetup(
        id=strawberry.ID(value.id),
        state=value.state,
        client_secret=value.client_secret,
        deposit_kind=value.deposit_kind,
        deposits_at=value.deposits_at,
        verification_url=value.verification_url,
    )


@guarded_type(Permission.PAYMENT_WRITE, "A payment method can be given now.")
class PaymentMethodSetupStarted:
    """Success of startPaymentMethodSetup."""

    setup: PaymentMethodSetup = strawberry.field(description="Open Stripe's form with its clientSecret.")


@guarded_type(Permission.PAYMENT_WRITE, "The deposits are right, and the account is attached.")
class BankAccountVerified:
    """Success of verifyBankAccount."""

    setup: PaymentMethodSetup = strawberry.field(description="As it now stands.")


@guarded_type(Permission.PAYMENT_WRITE, "Coming invoices are charged to it.")
class DefaultPaymentMethodSet:
    """Success of setDefaultPaymentMethod."""

    method: PaymentMethod = strawberry.field(description="The method.")


@guarded_type(Permission.PAYMENT_WRITE, "The method is removed for good and charged no more.")
class PaymentMethodDetached:
    """Success of detachPaymentMethod."""

    method: PaymentMethod = strawberry.field(description="As it last was.")


StartPaymentMethodSetupResult = Annotated[
    PaymentMethodSetupStarted | AnyProblem,
    strawberry.union("StartPaymentMethodSetupResult", description="What became of startPaymentMethodSetup."),
]
VerifyBankAccountResult = Annotated[
    BankAccountVerified | AnyProblem,
    strawberry.union("VerifyBankAccountResult", description="What became of verifyBankAccount."),
]
SetDefaultPaymentMethodResult = Annotated[
    DefaultPaymentMethodSet | AnyProblem,
    strawberry.union("SetDefaultPaymentMethodResult", description="What became of setDefaultPaymentMethod."),
]
DetachPaymentMethodResult = Annotated[
    PaymentMethodDetached | AnyProblem,
    strawberry.union("DetachPaymentMethodResult", description="What became of detachPaymentMethod."),
]


@strawberry.input(description="Whose payment method, and how it is given.")
class StartPaymentMethodSetupInput:
    """Input of startPaymentMethodSetup."""

    customer_id: strawberry.ID = strawberry.field(description=_CUSTOMER)
    way: port.SetupWay = strawberry.field(description="How it is given.")
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


@strawberry.input(description="Which small deposits came: the two amounts, or the code.")
class VerifyBankAccountInput:
    """Input of verifyBankAccount."""

    customer_id: strawberry.ID = strawberry.field(description=_CUSTOMER)
    setup_id: strawberry.ID = strawberry.field(description=_SETUP)
    amounts: list[int] | None = strawberry.field(description="Two amounts in cents, each 1 to 99.", default=None)
    code: str | None = strawberry.field(description="The code of six characters, such as SM11AA.", default=None)


@strawberry.input(description="Which method is charged from now on.")
class SetDefaultPaymentMethodInput:
    """Input of setDefaultPaymentMethod."""

    customer_id: strawberry.ID = strawberry.field(description=_CUSTOMER)
    method_id: strawberry.ID = strawberry.field(description="`pm_…` of Tollgate.")
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


@strawberry.input(description="Which method to remove.")
class DetachPaymentMethodInput:
    """Input of detachPaymentMethod."""

    customer_id: strawberry.ID = strawberry.field(description=_CUSTOMER)
    method_id: strawberry.ID = strawberry.field(description="`pm_…` of Tollgate.")
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


@strawberry.type
class MethodDeskQuery:
    """Queries about payment methods that are being given."""

    @reading(Permission.PAYMENT_WRITE, "How giving a payment method stands, or null.")
    async def payment_method_setup(
        self,
        info: Info[Context, None],
        customer_id: Annotated[strawberry.ID, strawberry.argument(description=_CUSTOMER)],
        id: Annotated[strawberry.ID, strawberry.argument(description=_SETUP)],
    ) -> PaymentMethodSetup | None:
        """Ask Stripe, and keep the method where it has one."""
        runtime, customer = info.context.runtime, ids.customer_id(customer_id)
        try:
            found = await service.read_setup(
                runtime.db, runtime.gateway, info.context.call, customer_id=customer, setup_id=id
            )
        except PaymentSetupNotFound:
            return None
        return _setup_of(found)


@strawberry.type
class MethodDeskMutation:
    """Changes of payment methods."""

    @changing(
        Permission.PAYMENT_WRITE,
        "Begin to give a payment method that can be charged later. Once per idempotency key.",
    )
    async def start_payment_method_setup(
        self,
        info: Info[Context, None],
        input: Annotated[StartPaymentMethodSetupInput, strawberry.argument(description="Whose, and how.")],
    ) -> StartPaymentMethodSetupResult:
        """Begin it; what is remembered is Stripe's id, never the secret."""
        context, customer = info.context, ids.customer_id(input.customer_id)
        db, gateway, call = context.runtime.db, context.runtime.gateway, context.call

        async def act() -> tuple[PaymentMethodSetupStarted, Mapping[str, str]]:
            begun = await service.start_setup(
                db, gateway, call, customer_id=customer, way=input.way, wish=input.idempotency_key
            )
            return PaymentMethodSetupStarted(setup=_setup_of(begun)), {"setup": begun.id}

        kept: dict[str, str] = {}

        async def again(_: Tx, found: Mapping[str, str]) -> PaymentMethodSetupStarted | None:
            kept.update(found)
            return None

        wish = Wish(context, "startPaymentMethodSetup", input.idempotency_key, customer, strawberry.asdict(input))
        done = await once_outside(wish, act, again)
        if done is not None:
            return done
        seen = await service.read_setup(db, gateway, call, customer_id=customer, setup_id=kept["setup"])
        return PaymentMethodSetupStarted(setup=_setup_of(seen))

    @changing(
        Permission.PAYMENT_WRITE,
        "Verify a bank account by the small deposits that came to it. Safe to repeat; Stripe allows ten wrong answers.",
    )
    async def verify_bank_account(
        self,
        info: Info[Context, None],
        input: Annotated[VerifyBankAccountInput, strawberry.argument(description="Which, and what came.")],
    ) -> VerifyBankAccountResult:
        """Tell Stripe."""
        runtime = info.context.runtime
        seen = await service.verify_deposits(
            runtime.db,
            runtime.gateway,
            info.context.call,
            customer_id=ids.customer_id(input.customer_id),
            setup_id=input.setup_id,
            amounts=input.amounts,
            code=input.code,
        )
        return BankAccountVerified(setup=_setup_of(seen))

    @changing(
        Permission.PAYMENT_WRITE, "Charge coming invoices to one of the attached methods. Once per idempotency key."
    )
    async def set_default_payment_method(
        self,
        info: Info[Context, None],
        input: Annotated[SetDefaultPaymentMethodInput, strawberry.argument(description="Whose, and which.")],
    ) -> SetDefaultPaymentMethodResult:
        """Choose it."""
        given = strawberry.asdict(input)
        done = await _once(info.context, "setDefaultPaymentMethod", given, service.set_default)
        return DefaultPaymentMethodSet(method=method_of(done)) if isinstance(done, methods.PaymentMethod) else done

    @changing(
        Permission.PAYMENT_WRITE,
        "Remove a payment method for good. The last one of a customer with a paid subscription stays. Once per "
        "idempotency key.",
    )
    async def detach_payment_method(
        self,
        info: Info[Context, None],
        input: Annotated[DetachPaymentMethodInput, strawberry.argument(description="Whose, and which.")],
    ) -> DetachPaymentMethodResult:
        """Remove it."""
        given = strawberry.asdict(input)
        done = await _once(info.context, "detachPaymentMethod", given, service.detach)
        return PaymentMethodDetached(method=method_of(done)) if isinstance(done, methods.PaymentMethod) else done


async def _once(
    context: Context,
    mutation: str,
    given: Mapping[str, object],
    change: Callable[..., Awaitable[methods.PaymentMethod]],
) -> methods.PaymentMethod | AnyProblem:
    """Change the method that an input names, once per idempotency key of its customer."""
    customer = ids.customer_id(str(given["customer_id"]))
    method_id = ids.method_id(str(given["method_id"]))

    async def act(tx: Tx) -> tuple[methods.PaymentMethod, Mapping[str, str]]:
        changed = await change(tx, context.call, customer_id=customer, method_id=method_id)
        return changed, {"method": str(method_id)}

    async def again(tx: Tx, kept: Mapping[str, str]) -> methods.PaymentMethod:
        wanted = MethodId(ids.uuid_of(kept["method"]))
        return (await store.methods_by_id(tx, [wanted], scope=customer))[wanted]

    return await once(Wish(context, mutation, str(given["idempotency_key"]), customer, given), act, again)
