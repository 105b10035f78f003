"""What becomes of a subscription by itself: one due instant after the other."""
