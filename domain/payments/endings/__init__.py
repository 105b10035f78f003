"""The gateway's copy of an invoice follows what became of ours after it was opened."""
