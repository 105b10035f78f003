"""The use case of the gateway's copy of an invoice: make it, finish it after a crash, refuse one that differs."""
