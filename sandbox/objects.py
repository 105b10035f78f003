"""Every module that registers operations. Importing this one fills `call.ROUTES`; a new object is named here."""

from sandbox import (
    charges,
    collecting,
    credit_notes,
    customers,
    events,
    invoice_lines,
    invoice_states,
    invoices,
    payment_intents,
    payment_methods,
    prices,
    refunds,
    setup_intents,
    subscriptions,
    tax_rates,
    webhook_endpoints,
)

MODULES = (
    charges,
    collecting,
    credit_notes,
    customers,
    events,
    invoice_lines,
    invoice_states,
    invoices,
    payment_intents,
    payment_methods,
    prices,
    refunds,
    setup_intents,
    subscriptions,
    tax_rates,
    webhook_endpoints,
)
