"""What becomes of a trial: the reminder before its end, and its end."""
