"""Reservations: holds in the memory of a process on what it has leased, and the rows that outlive it."""
