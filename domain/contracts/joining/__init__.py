"""What falls due together is invoiced together, where a customer's invoices are consolidated."""
