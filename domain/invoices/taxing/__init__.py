"""Which tax a line bears: the merchant's country and registrations, the table of rates, and what an invoice states."""
