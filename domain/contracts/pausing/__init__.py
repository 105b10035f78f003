"""Pause a subscription at the end of what is paid, and resume it."""
