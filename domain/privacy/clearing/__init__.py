"""Rows of a customer, deleted or overwritten as the inventory says, a batch at a time."""
