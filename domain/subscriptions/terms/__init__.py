"""The terms of subscriptions over time."""
