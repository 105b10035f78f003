"""Which subscriptions wait for an instant, and what a customer has had before."""
