"""Void and replace earlier events: what stands, and what a correction takes back."""
