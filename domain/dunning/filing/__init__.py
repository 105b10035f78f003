"""A case in hand: what holds it, what is written about it, and what its end does."""
