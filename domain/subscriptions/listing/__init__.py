"""Find subscriptions of all customers, and count them."""
