"""One-off charges by staff, with the next invoice or at once."""
