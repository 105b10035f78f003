"""`tollgate mail`: what mails look like."""
