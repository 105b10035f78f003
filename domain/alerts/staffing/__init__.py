"""What staff are told of: something that the system cannot mend by itself."""
