"""Owns bringing stored events and hours back, to count them again."""
