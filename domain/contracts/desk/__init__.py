"""What every use case about one customer's contracts works with: the held subscriptions, and their drafts."""
