"""The lines that stand: those on invoices that are not void, and credits that stand on credit notes."""
