"""The schema's history. `tollgate migrate` brings a database to the newest revision.

Processes of the version before run beside the newest revision: nothing that they need is taken away. An index of a
table that may be large (usage events and their identities, totals, ledger, audit log, jobs) is built by `indexes`.
"""
