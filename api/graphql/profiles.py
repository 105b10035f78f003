"""Billing profiles: addresses, VAT numbers, and how customers are taxed."""

from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import changing
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from domain.access.roles import Permission
from domain.customers.profiles import profile as profiles
from domain.customers.profiles import service as profiling

name_enum(
    profiles.TaxStatus,
    "TaxStatus",
    "How a customer is taxed.",
    TAXABLE="By the rates of its place.",
    EXEMPT="Not at all, by a certificate.",
    REVERSE_CHARGE="Across a border the customer owes the tax itself, by its VAT number.",
)


@guarded_type(Permission.PROFILE_READ, "Where invoices are made out to. Only country and region decide taxes.")
class BillingAddress:
    """An address; stored encrypted but for country and region."""

    line1: str = strawberry.field(description="Street and number; may be empty, as all parts.")
    line2: str = strawberry.field(description="More of it.")
    city: str = strawberry.field(description="City.")
    postal_code: str = strawberry.field(description="Postal code.")
    region: str | None = strawberry.field(description="ISO 3166-2 without the country, such as CA.")
    country: str | None = strawberry.field(description="ISO 3166, such as US.")


@guarded_type(Permission.PROFILE_READ, "What invoices and taxes need to know of a customer.")
class BillingProfile:
    """A billing profile."""

    address: BillingAddress = strawberry.field(description="Where invoices are made out to.")
    vat_number: str | None = strawberry.field(description="With its country; form and check digits were checked.")
    tax_status: profiles.TaxStatus = strawberry.field(description="How the customer is taxed, as staff have set it.")
    certificate: str | None = strawberry.field(description="Text of an exemption.")


@strawberry.input(description="A billing profile; it replaces address and VAT number.")
class ChangeBillingProfileInput:
    """Input of changeBillingProfile."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    line1: str = strawberry.field(description="At most 200 characters, as all parts.", default="")
    line2: str = strawberry.field(description="More of the address.", default="")
    city: str = strawberry.field(description="City.", default="")
    postal_code: str = strawberry.field(description="Postal code.", default="")
    region: str | None = strawberry.field(description="ISO 3166-2 without the country, such as CA.", default=None)
    country: str | None = strawberry.field(description="ISO 3166, two capital letters.", default=None)
    vat_number: str | None = strawberry.field(description="Country first, such as DE136695976.", default=None)
    locale: str | None = strawberry.field(
        description="Language of dates and money in documents, such as de-CH; null: as before.", default=None
    )


@strawberry.input(description="How a customer is taxed from now on.")
class SetTaxStatusInput:
    """Input of setTaxStatus."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    status: profiles.TaxStatus = strawberry.field(description="Reverse charge needs a VAT number on the profile.")
    certificate: str | None = strawberry.field(
        description="Text of an exemption, 1 to 500 characters; needed for EXEMPT only.", default=None
    )


@guarded_type(Permission.PROFILE_WRITE, "The profile is as it was given.")
class BillingProfileChanged:
    """Success of changeBillingProfile."""

    profile: BillingProfile = strawberry.field(description="As it now stands.")


@guarded_type(Permission.TAX_WRITE, "The customer is taxed so from now on.")
class TaxStatusSet:
    """Success of setTaxStatus."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    status: profiles.TaxStatus = strawberry.field(description="As it now is.")


ChangeBillingProfileResult = Annotated[
    BillingProfileChanged | AnyProblem,
    strawberry.union("ChangeBillingProfileResult", description="What became of changeBillingProfile."),
]
SetTaxStatusResult = Annotated[
    TaxStatusSet | AnyProblem, strawberry.union("SetTaxStatusResult", description="What became of setTaxStatus.")
]


def profile_of(value: profiles.Profile) -> BillingProfile:
    """Wrap a billing profile."""
    address = value.address
    return BillingProfile(
        address=BillingAddress(
            line1=address.line1,
            line2=address.line2,
            city=address.city,
            postal_code=address.postal_code,
            region=address.region,
            country=address.country,
        ),
        vat_number=value.vat_number,
        tax_status=value.status,
        certificate=value.certificate,
    )


@strawberry.type
class ProfileMutation:
    """Changes of billing profiles. None of them changes an invoice that was issued."""

    @changing(Permission.PROFILE_WRITE, "Set a customer's billing address and VAT number. Safe to repeat; audited.")
    async def change_billing_profile(
        self,
        info: Info[Context, None],
        input: Annotated[ChangeBillingProfileInput, strawberry.argument(description="All of it.")],
    ) -> ChangeBillingProfileResult:
        """Set it."""
        address = profiles.Address(input.line1, input.line2, input.city, input.postal_code, input.region, input.country)
        async with info.context.runtime.db.transaction() as tx:
            changed = await profiling.change_profile(
                tx,
                info.context.call,
                ids.customer_id(input.customer_id),
                address=address,
                vat_number=input.vat_number,
                locale=input.locale,
            )
        return BillingProfileChanged(profile=profile_of(changed))

    @changing(Permission.TAX_WRITE, "Say how a customer is taxed from now on. Safe to repeat; audited.")
    async def set_tax_status(
        self,
        info: Info[Context, None],
        input: Annotated[SetTaxStatusInput, strawberry.argument(description="Who, and how.")],
    ) -> SetTaxStatusResult:
        """Set it."""
        async with info.context.runtime.db.transaction() as tx:
            after = await profiling.set_tax_status(
                tx,
                info.context.call,
                ids.customer_id(input.customer_id),
                status=input.status,
                certificate=input.certificate,
            )
        return TaxStatusSet(customer_id=input.customer_id, status=after.status)
