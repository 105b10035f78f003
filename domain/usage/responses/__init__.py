"""Response times of calls, from the newest of the stored events."""
