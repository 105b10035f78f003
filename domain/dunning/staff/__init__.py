"""What staff do about a case by hand."""
