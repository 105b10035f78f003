"""Sends what was sent before once more, and leaves out what cannot be sent."""
