"""What the payment provider sent about a customer that is erased, taken out of the stored events."""
