"""Keeping one-off charges, and carrying them to the draft of their customer and currency."""
