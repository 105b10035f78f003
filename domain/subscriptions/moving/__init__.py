"""Subscriptions that go on as something else."""
