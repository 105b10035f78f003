"""Failed jobs, offered to workers again by staff."""
