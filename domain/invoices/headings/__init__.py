"""What invoices carry besides their lines: net terms, memo and purchase order of a customer, subscription or draft."""
