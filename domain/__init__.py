"""Everything Tollgate decides: ordered slices, each of which calls only those below it.

From the top down: runtime, config, adapters, webhooks, alerts, payments, contracts, invoices, ledger, limits, usage,
subscriptions, customers, plans, access, journal, db, kernel. What should happen further up is staged as a job.
"""
