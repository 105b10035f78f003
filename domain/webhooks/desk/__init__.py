"""What staff see of inbound events, and what they have processed again."""
