"""While a payment of an invoice is disputed, dunning of that invoice stands still."""
