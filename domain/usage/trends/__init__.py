"""Usage over time: what counters counted in the local days and months of a customer."""
