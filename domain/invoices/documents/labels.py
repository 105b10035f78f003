"""The words on documents, in the languages there are; what was sold keeps the words that the catalogue has for it."""

from collections.abc import Mapping

from babel import Locale

from domain.invoices.tax import NoTax

ENGLISH = "en"

_EN: Mapping[str, str] = {
    "invoice": "Invoice",
    "credit_note": "Credit note",
    "invoice_number": "Invoice number",
    "credit_note_number": "Credit note number",
    "issued": "Date of issue",
    "due": "Due",
    "purchase_order": "Purchase order",
    "description": "Description",
    "quantity": "Quantity",
    "tax": "Tax",
    "amount": "Amount",
    "subtotal": "Subtotal",
    "discount": "Discount",
    "discounts": "Discounts",
    "total": "Total",
    "paid_from_balance": "Paid from balance",
    "amount_due": "Amount due",
    "taken_off": "Taken off the invoice",
    "kept": "Kept as customer credit",
    "refunded": "To be refunded",
    "to_wallet": "Back to your prepaid balance",
    "tax_number": "Tax number {number}",
    "vat_number": "VAT number {number}",
    "tax_on": "{tax} on {base}",
    "includes": "Includes {tax}",
    "exemption": "Tax exemption: {certificate}",
    "reverse_note": "Reverse charge. VAT number of the customer: {number}",
    "test": "Test document. No payment is due.",
    "pay_by_transfer": "Pay by bank transfer",
    "transfer_until": "Please transfer {amount} by {until} to:",
    "reference": "Reference",
    "account_holder_name": "Account holder",
    "bank_name": "Bank",
    "iban": "IBAN",
    "bic": "BIC",
    "account_number": "Account number",
    "routing_number": "Routing number",
    "sort_code": "Sort code",
    "clabe": "CLABE",
    "swift_code": "SWIFT code",
    "bank_code": "Bank code",
    "branch_name": "Branch",
    "branch_code": "Branch code",
    "account_type": "Account type",
    "month": "month",
    "year": "year",
    "unit": "unit",
    NoTax.EXEMPT: "Exempt from tax",
    NoTax.REVERSE_CHARGE: "Reverse charge: the customer accounts for the tax",
    NoTax.NOT_REGISTERED: "No tax is collected at the customer's place",
    NoTax.NO_RATE: "Not taxable",
    NoTax.LOCATION_UNKNOWN: "No tax: the customer's place is not known",
}
_DE: Mapping[str, str] = {
    "invoice": "Rechnung",
    "credit_note": "Rechnungskorrektur",
    "invoice_number": "Rechnungsnummer",
    "credit_note_number": "Nummer der Rechnungskorrektur",
    "issued": "Rechnungsdatum",
    "due": "Fällig am",
    "purchase_order": "Bestellnummer",
    "description": "Beschreibung",
    "quantity": "Menge",
    "tax": "Steuer",
    "amount": "Betrag",
    "subtotal": "Zwischensumme",
    "discount": "Rabatt",
    "discounts": "Rabatte",
    "total": "Gesamtbetrag",
    "paid_from_balance": "Mit Guthaben bezahlt",
    "amount_due": "Zu zahlen",
    "taken_off": "Von der Rechnung abgezogen",
    "kept": "Als Guthaben verbucht",
    "refunded": "Wird erstattet",
    "to_wallet": "Zurück auf Ihr vorausbezahltes Guthaben",
    "tax_number": "Steuernummer {number}",
    "vat_number": "USt-IdNr. {number}",
    "tax_on": "{tax} auf {base}",
    "includes": "Enthält {tax}",
    "exemption": "Steuerbefreiung: {certificate}",
    "reverse_note": "Steuerschuldnerschaft des Leistungsempfängers. USt-IdNr. des Kunden: {number}",
    "test": "Testdokument. Es ist nichts zu zahlen.",
    "pay_by_transfer": "Zahlung per Überweisung",
    "transfer_until": "Bitte überweisen Sie {amount} bis {until} an:",
    "reference": "Verwendungszweck",
    "account_holder_name": "Kontoinhaber",
    "bank_name": "Bank",
    "iban": "IBAN",
    "bic": "BIC",
    "account_number": "Kontonummer",
    "routing_number": "Routing Number (Bankleitzahl)",
    "sort_code": "Sort Code (Bankleitzahl)",
    "clabe": "CLABE",
    "swift_code": "SWIFT-Code",
    "bank_code": "Bankleitzahl",
    "branch_name": "Filiale",
    "branch_code": "Filialnummer",
    "account_type": "Kontoart",
    "month": "Monat",
    "year": "Jahr",
    "unit": "Einheit",
    NoTax.EXEMPT: "Steuerfrei",
    NoTax.REVERSE_CHARGE: "Steuerschuldnerschaft des Leistungsempfängers",
    NoTax.NOT_REGISTERED: "Am Ort des Kunden wird keine Steuer erhoben",
    NoTax.NO_RATE: "Nicht steuerbar",
    NoTax.LOCATION_UNKNOWN: "Keine Steuer: der Ort des Kunden ist nicht bekannt",
}
LANGUAGES: Mapping[str, Mapping[str, str]] = {ENGLISH: _EN, "de": _DE}


def language_of(locale: Locale) -> str:
    """Return the language of a document: the locale's own where it exists, else English."""
    return locale.language if locale.language in LANGUAGES else ENGLISH


def labels_of(locale: Locale) -> Mapping[str, str]:
    """Return the words of a document for a locale."""
    return LANGUAGES[language_of(locale)]
