"""Changes of plan, interval and quantity, carried out."""
