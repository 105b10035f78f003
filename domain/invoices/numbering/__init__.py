"""Gap-free numbers of invoices and credit notes."""
