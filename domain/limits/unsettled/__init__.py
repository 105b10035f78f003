"""Reservations of metered calls that expired with nobody telling what the calls used, since a process was killed."""
