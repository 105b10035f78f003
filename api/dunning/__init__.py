"""`tollgate dunning`: policies tried out before they are followed."""
