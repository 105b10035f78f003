"""`tollgate close`: have everything closed that is due, and wait for it."""
