"""What is left in wallets with unbilled usage taken off, and top-ups that follow from it by themselves."""
