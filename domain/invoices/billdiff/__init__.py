"""Why an invoice differs from the one before it, in parts that add up to the difference."""
