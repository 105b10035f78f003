"""Taxes: what invoices state, and the merchant's rates and registrations."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import changing, reading
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from api.graphql.scalars import Money, exact, money_of
from domain.access.roles import Permission
from domain.invoices import tax as taxes
from domain.invoices.invoice import Invoice
from domain.invoices.taxing import service
from domain.invoices.taxing import treatment as tables
from domain.invoices.taxing.statement import TaxStatement
from domain.kernel import money
from domain.kernel.call import Environment

name_enum(
    taxes.NoTax,
    "NoTaxReason",
    "Why no tax is taken.",
    EXEMPT="The customer is exempt, by a certificate.",
    REVERSE_CHARGE="The customer owes the tax itself.",
    NOT_REGISTERED="The merchant collects no tax where the customer is.",
    NO_RATE="What is sold bears no tax there.",
    LOCATION_UNKNOWN="The customer's country is not known.",
)
name_enum(
    tables.TaxSource,
    "TaxSource",
    "What computes taxes.",
    TABLE="The table of rates.",
    STRIPE="Stripe's tax calculations; invoices stay drafts until it has answered.",
)


@guarded_type(Permission.INVOICE_READ, "One rate on an invoice, or one reason for none.")
class InvoiceTax:
    """A tax."""

    name: str | None = strawberry.field(description="Of the rate; null where no tax is taken.")
    rate: Decimal | None = strawberry.field(description="In percent; null where no tax is taken.")
    inclusive: bool = strawberry.field(description="Whether prices contain it.")
    country: str | None = strawberry.field(description="ISO 3166 country of the rate.")
    region: str | None = strawberry.field(description="ISO 3166-2 part of it, where the rate is of a region.")
    base: Money = strawberry.field(description="The net that it applies to, after discounts.")
    amount: Money = strawberry.field(description="Rounded once for the invoice.")
    reason: taxes.NoTax | None = strawberry.field(description="Why no tax is taken; null where one is.")


@guarded_type(Permission.TAX_READ, "A row of the table of tax rates.")
class TaxRate:
    """A rate. Several of one place, tax code and time with different names are taken together."""

    id: strawberry.ID = strawberry.field(description="`txr_…`")
    country: str = strawberry.field(description="ISO 3166.")
    region: str | None = strawberry.field(description="ISO 3166-2 without the country; null: the whole country.")
    tax_code: str | None = strawberry.field(description="Of plans; null: all without a rate of their own.")
    name: str = strawberry.field(description="As invoices state it.")
    percent: Decimal = strawberry.field(description="0 to 100, exact.")
    inclusive: bool = strawberry.field(description="Whether prices contain it.")
    valid_from: datetime = strawberry.field(description="First instant at which it holds.")
    valid_to: datetime | None = strawberry.field(description="First instant at which it no longer holds; null: open.")


@guarded_type(Permission.TAX_READ, "Where the merchant collects tax.")
class TaxRegistration:
    """A registration."""

    id: strawberry.ID = strawberry.field(description="`reg_…`")
    country: str = strawberry.field(description="ISO 3166.")
    region: str | None = strawberry.field(description="ISO 3166-2 without the country; null: the whole country.")
    number: str | None = strawberry.field(description="The merchant's own number there, which documents repeat.")
    valid_from: datetime = strawberry.field(description="Since when.")
    valid_to: datetime | None = strawberry.field(description="First instant at which it no longer holds; null: open.")


@guarded_type(Permission.TAX_READ, "How the merchant is taxed in one environment.")
class MerchantTax:
    """The merchant's own setting."""

    country: str = strawberry.field(description="Where the merchant sits; ISO 3166.")
    source: tables.TaxSource = strawberry.field(description="What computes taxes.")


@strawberry.input(description="A rate that holds from an instant on.")
class SetTaxRateInput:
    """Input of setTaxRate."""

    country: str = strawberry.field(description="ISO 3166, two capital letters.")
    name: str = strawberry.field(description="1 to 60 characters, as invoices state it, such as VAT.")
    percent: Decimal = strawberry.field(description="0 to 100 with at most 4 digits after the point.")
    valid_from: datetime = strawberry.field(description="The open rate of this place, code and name ends there.")
    valid_to: datetime | None = strawberry.field(description="Null: open.", default=None)
    region: str | None = strawberry.field(description="ISO 3166-2 without the country.", default=None)
    tax_code: str | None = strawberry.field(
        description="Of plans; null: all without a rate of their own.", default=None
    )
    inclusive: bool = strawberry.field(description="Whether prices contain it.", default=False)


@strawberry.input(description="Where the merchant collects tax, and since when.")
class SetTaxRegistrationInput:
    """Input of setTaxRegistration."""

    country: str = strawberry.field(description="ISO 3166, two capital letters.")
    valid_from: datetime = strawberry.field(description="Since when; one of the same start is changed.")
    valid_to: datetime | None = strawberry.field(description="Until when; null: open.", default=None)
    region: str | None = strawberry.field(description="ISO 3166-2 without the country.", default=None)
    number: str | None = strawberry.field(description="The merchant's own, at most 40 characters.", default=None)


@strawberry.input(description="How the merchant is taxed in one environment.")
class SetMerchantTaxInput:
    """Input of setMerchantTax."""

    environment: Environment = strawberry.field(description="Live or test.")
    country: str = strawberry.field(description="Where the merchant sits; ISO 3166.")
    source: tables.TaxSource = strawberry.field(description="What computes taxes.", default=tables.TaxSource.TABLE)


@guarded_type(Permission.TAX_WRITE, "The rate is on the table.")
class TaxRateSet:
    """Success of setTaxRate."""

    rate: TaxRate = strawberry.field(description="The row.")


@guarded_type(Permission.TAX_WRITE, "The registration is noted.")
class TaxRegistrationSet:
    """Success of setTaxRegistration."""

    registration: TaxRegistration = strawberry.field(description="As it now stands.")


@guarded_type(Permission.TAX_WRITE, "The merchant is taxed so from now on.")
class MerchantTaxSet:
    """Success of setMerchantTax."""

    merchant: MerchantTax = strawberry.field(description="As it now stands.")


SetTaxRateResult = Annotated[
    TaxRateSet | AnyProblem, strawberry.union("SetTaxRateResult", description="What became of setTaxRate.")
]
SetTaxRegistrationResult = Annotated[
    TaxRegistrationSet | AnyProblem,
    strawberry.union("SetTaxRegistrationResult", description="What became of setTaxRegistration."),
]
SetMerchantTaxResult = Annotated[
    MerchantTaxSet | AnyProblem, strawberry.union("SetMerchantTaxResult", description="What became of setMerchantTax.")
]


def taxes_of(invoice: Invoice, stated: Sequence[TaxStatement]) -> list[InvoiceTax]:
    """Wrap what an invoice states."""
    return [_tax_of(each, invoice.currency) for each in service.stated_or_none(invoice, stated)]


def _tax_of(value: TaxStatement, currency: str) -> InvoiceTax:
    rate = value.stated if isinstance(value.stated, taxes.Rate) else None
    return InvoiceTax(
        name=rate.name if rate else None,
        rate=exact(rate.percent) if rate else None,
        inclusive=value.is_included,
        country=rate.country if rate else None,
        region=rate.region if rate else None,
        base=money_of(money.Money(value.base_minor, currency)),
        amount=money_of(money.Money(value.tax_minor, currency)),
        reason=value.stated if isinstance(value.stated, taxes.NoTax) else None,
    )


def _rate_of(value: tables.TaxRate) -> TaxRate:
    return TaxRate(
        id=ids.id_of("tax_rate", value.id),
        country=value.country,
        region=value.region,
        tax_code=value.tax_code,
        name=value.name,
        percent=exact(value.percent),
        inclusive=value.inclusive,
        valid_from=value.valid_from,
        valid_to=value.valid_to,
    )


def _registration_of(value: tables.Registration) -> TaxRegistration:
    return TaxRegistration(
        id=ids.id_of("registration", value.id),
        country=value.country,
        region=value.region,
        number=value.number,
        valid_from=value.valid_from,
        valid_to=value.valid_to,
    )


@strawberry.type
class TaxQuery:
    """Queries about taxes."""

    @reading(Permission.TAX_READ, "The table of tax rates, by place, tax code, name and time; at most 10,000.")
    async def tax_rates(
        self,
        info: Info[Context, None],
        country: Annotated[str | None, strawberry.argument(description="Those of one country; ISO 3166.")] = None,
    ) -> list[TaxRate]:
        """List the rates."""
        async with info.context.runtime.db.transaction() as tx:
            found = await service.list_rates(tx, info.context.call, country=country)
        info.context.spend(len(found))
        return [_rate_of(each) for each in found]

    @reading(Permission.TAX_READ, "Where the merchant collects tax, by place and time; at most 10,000.")
    async def tax_registrations(self, info: Info[Context, None]) -> list[TaxRegistration]:
        """List the registrations."""
        async with info.context.runtime.db.transaction() as tx:
            found = await service.list_registrations(tx, info.context.call)
        info.context.spend(len(found))
        return [_registration_of(each) for each in found]

    @reading(Permission.TAX_READ, "How the merchant is taxed, or null where it was never set up: then no tax is taken.")
    async def merchant_tax(
        self,
        info: Info[Context, None],
        environment: Annotated[Environment, strawberry.argument(description="Live or test.")],
    ) -> MerchantTax | None:
        """Look it up."""
        async with info.context.runtime.db.transaction() as tx:
            found = await service.find_merchant(tx, info.context.call, environment)
        return MerchantTax(country=found.country, source=found.source) if found else None


@strawberry.type
class TaxMutation:
    """Changes of taxes. None of them changes an invoice that was issued."""

    @changing(Permission.TAX_WRITE, "Put a rate on the table of tax rates. Safe to repeat; audited.")
    async def set_tax_rate(
        self, info: Info[Context, None], input: Annotated[SetTaxRateInput, strawberry.argument(description="The rate.")]
    ) -> SetTaxRateResult:
        """Set it."""
        async with info.context.runtime.db.transaction() as tx:
            rate = await service.set_rate(
                tx,
                info.context.call,
                country=input.country,
                region=input.region,
                tax_code=input.tax_code,
                name=input.name,
                percent=input.percent,
                inclusive=input.inclusive,
                valid_from=input.valid_from.astimezone(UTC),
                valid_to=input.valid_to.astimezone(UTC) if input.valid_to else None,
            )
        return TaxRateSet(rate=_rate_of(rate))

    @changing(Permission.TAX_WRITE, "Note where the merchant collects tax. Safe to repeat; audited.")
    async def set_tax_registration(
        self,
        info: Info[Context, None],
        input: Annotated[SetTaxRegistrationInput, strawberry.argument(description="Where, and since when.")],
    ) -> SetTaxRegistrationResult:
        """Set it."""
        async with info.context.runtime.db.transaction() as tx:
            registered = await service.register(
                tx,
                info.context.call,
                country=input.country,
                region=input.region,
                number=input.number,
                valid_from=input.valid_from.astimezone(UTC),
                valid_to=input.valid_to.astimezone(UTC) if input.valid_to else None,
            )
        return TaxRegistrationSet(registration=_registration_of(registered))

    @changing(Permission.TAX_WRITE, "Say where the merchant sits and what computes taxes. Safe to repeat; audited.")
    async def set_merchant_tax(
        self,
        info: Info[Context, None],
        input: Annotated[SetMerchantTaxInput, strawberry.argument(description="The merchant.")],
    ) -> SetMerchantTaxResult:
        """Set it."""
        async with info.context.runtime.db.transaction() as tx:
            after = await service.set_merchant(
                tx, info.context.call, input.environment, country=input.country, source=input.source
            )
        return MerchantTaxSet(merchant=MerchantTax(country=after.country, source=after.source))
