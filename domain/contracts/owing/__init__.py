"""What an unpaid invoice does to the subscriptions on it, and what clears it."""
