"""Wallets as they stand at an instant, for those who look at them."""
