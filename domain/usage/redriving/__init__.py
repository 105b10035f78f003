"""Count events in quarantine once what they lacked is there."""
