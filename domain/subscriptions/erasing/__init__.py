"""What an erasure asks of a customer's subscriptions: that nobody goes on as if it was not erased."""
