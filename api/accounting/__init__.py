"""What bookkeeping takes over: the invoices and credit notes of a stretch of time as files."""
