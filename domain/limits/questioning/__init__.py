"""Understand what is asked: the event that a call would become, resolved as recording resolves it."""
