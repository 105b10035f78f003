"""What becomes of mail once it is written: reports of the provider, addresses that are stopped, and sending again."""
