"""Begin, choose and remove payment methods, and follow what banks and networks say about them."""
