"""How a customer's invoices are paid."""
