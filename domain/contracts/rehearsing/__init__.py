"""A start as it would be at an instant ahead, inside of what is undone."""
