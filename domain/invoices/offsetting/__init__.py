"""What a change takes back of a fee that was never paid lowers the unpaid invoice, by a credit note on it."""
