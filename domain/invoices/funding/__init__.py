"""Top-ups as rows, the rules by which they are made by themselves, and what the end of one does to its wallet."""
