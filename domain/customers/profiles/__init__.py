"""What an invoice needs to know about its recipient: billing address, VAT number, and how the customer is taxed."""
