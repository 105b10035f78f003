"""What a customer paid with, forgotten when the customer is erased: here at once, then at the gateway."""
