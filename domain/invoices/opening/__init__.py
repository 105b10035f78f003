"""What becomes of a draft and of an open invoice: opened, paid, written off; each with its entries in the books."""
