"""What is known about people, and what becomes of it: the inventory, export, erasure and retention.

Owns the inventory of personal data (`inventory.toml`), the files of exports, and the record of erasures. Does not own
the data: slices below clear what needs their rules, and everything else is cleared as the inventory says. It reads and
clears tables of every slice, which nobody else may: docs/decisions/0042 tells why.

Words: an *export* is everything of one customer in one file; an *erasure* takes away who a customer is; what the law
wants kept is *restricted* until its *retention* ends.
"""
