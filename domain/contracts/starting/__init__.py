"""How a new subscription starts: its trial, its grid, its first payment."""
