"""What staff do to invoices by hand, with the subscriptions on them held meanwhile."""
