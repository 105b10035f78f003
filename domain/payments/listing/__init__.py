"""Find payment attempts of all customers: what came in a stretch of time, what failed, whose a payment of Stripe is."""
