"""Every table of every slice, by its name."""
