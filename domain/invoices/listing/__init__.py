"""Find invoices and credit notes of all customers, and add them up."""
