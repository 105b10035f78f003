"""What invoices take of wallets, and what comes back."""
