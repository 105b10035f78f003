"""Stop selling plans, and sell them again."""
