"""The one settlement of an attempt, and what follows from its end."""
