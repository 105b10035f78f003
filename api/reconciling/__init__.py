"""`tollgate reconcile`: compare everything with the payment provider now, and print what differs."""
