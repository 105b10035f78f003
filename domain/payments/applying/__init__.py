"""What staff do with money that no invoice could take: pay another invoice with it, or send it back."""
