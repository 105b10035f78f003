"""Cases, their timelines and recovery figures, for those who may read them."""
