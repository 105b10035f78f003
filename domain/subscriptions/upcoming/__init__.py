"""Starts that lie ahead, and what became of them."""
