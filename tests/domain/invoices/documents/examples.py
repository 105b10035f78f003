"""Invoices to write documents of, made by hand."""

from dataclasses import replace
from decimal import Decimal

from domain.credits.discount import Discount
from domain.customers.customer import Customer
from domain.customers.profiles.profile import Address, Profile, TaxStatus
from domain.invoices.documents.content import Seller, Sold
from domain.invoices.invoice import Identity, Invoice, InvoiceKind, Line, LineKind, State
from domain.invoices.tax import NoTax, Rate
from domain.invoices.taxing.statement import TaxStatement
from domain.invoices.taxing.treatment import Registration
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, InvoiceId, LineId, RegistrationId, SubscriptionId
from domain.kernel.money import Money
from domain.kernel.period import Period
from tests import make

CUSTOMER = CustomerId(make.new_id())
INVOICE = InvoiceId(make.new_id())
JANUARY = Period(make.at("2026-01-01"), make.at("2026-02-01"))
VAT = Rate("VAT", Decimal(19), country="DE")
REDUCED = Rate("VAT", Decimal(7), country="DE")


def customer(name: str = "Ada Lovelace", locale: str = "en", zone: str = "Europe/Berlin") -> Customer:
    """Make a live customer."""
    return Customer(
        CUSTOMER, Environment.LIVE, None, name, "ada@example.com", zone, locale, "DE", None, JANUARY.start, 1
    )


def line(text: str = "LLM Pro, monthly fee", minor: int = 7900, *, tax: int = 0, currency: str = "USD") -> Line:
    """Make a line of January."""
    return Line(
        id=LineId(make.new_id()),
        invoice_id=INVOICE,
        customer_id=CUSTOMER,
        identity=Identity(LineKind.FEE, SubscriptionId(make.new_id()), None, None, JANUARY),
        revision=0,
        description=text,
        quantity=Decimal(1),
        unit="month",
        amount=Money(minor, currency),
        tax=Money(tax, currency),
        derivation={},
    )


def discounted(of: Line, minor: int) -> Line:
    """Take a coupon off a line."""
    return replace(of, discounts=(Discount("app", "welcome", "Welcome", Money(minor, of.amount.currency)),))


def sold(
    *lines: Line,
    to: Customer | None = None,
    taxes: tuple[TaxStatement, ...] | None = None,
    profile: Profile | None = None,
) -> Sold:
    """Make an opened invoice of these lines, at 19 % unless told."""
    subtotal = sum(each.amount.minor for each in lines)
    discount = sum(each.discount.minor for each in lines)
    currency = lines[0].amount.currency
    if taxes is None:
        net = subtotal - discount
        taxes = (TaxStatement(VAT, net, net * 19 // 100, lines={each.id: 0 for each in lines}),)
    invoice = Invoice(
        customer_id=CUSTOMER,
        id=INVOICE,
        environment=Environment.LIVE,
        currency=currency,
        kind=InvoiceKind.INVOICE,
        state=State.OPEN,
        number="2026-000001",
        created_at=JANUARY.start,
        grace_ends_at=JANUARY.start,
        issued_at=JANUARY.end,
        due_at=JANUARY.end,
        paid_at=None,
        subtotal=Money(subtotal, currency),
        discount=Money(discount, currency),
        tax=Money(sum(each.tax_minor for each in taxes), currency),
        version=1,
    )
    registration = Registration(RegistrationId(make.new_id()), "DE", None, "DE123456788", JANUARY.start, None)
    return Sold(
        seller=Seller("Example Ltd", ("Main Street 1", "10115 Berlin"), (registration,)),
        customer=to or customer(),
        profile=profile
        or Profile(CUSTOMER, Address("Allee 1", "", "Berlin", "10115", "BE", "DE"), "DE136695976", TaxStatus.TAXABLE),
        invoice=invoice,
        lines=lines,
        taxes=taxes,
    )


def reason(why: NoTax, *lines: Line) -> TaxStatement:
    """State why no tax is taken of lines."""
    return TaxStatement(why, sum(each.amount.minor for each in lines), 0, lines={each.id: 0 for each in lines})
