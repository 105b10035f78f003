"""What a customer holds with the merchant pays invoices when they are opened, and comes back when they are void."""
