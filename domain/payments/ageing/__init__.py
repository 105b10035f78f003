"""What customers owe at an instant, by how long it is overdue: the ledger's receivables, invoice by invoice."""
