"""`tollgate privacy`: where personal data is, everything of one customer in a file, and its erasure."""
