"""The comparison of one page, of each kind of thing that both sides hold."""
