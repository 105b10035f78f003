"""What waits to be carried out, by the party that it may wait for."""
