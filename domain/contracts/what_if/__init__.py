"""Replay a customer's usage period against another plan or plan version, without writing anything."""
